import { describe, expect, it } from 'vitest';
import type { ParentAnswer } from '../src/protocol.ts';
import { type FakeChild, Scene } from './scene.ts';

/** The parent's own ids are the supervisor's; this is the last one that it was asked with. */
function lastQuestion(parent: FakeChild): number {
  const question = parent.messages.findLast(
    ({ kind }) => kind === 'admin-takeover' || kind === 'parent-stats',
  );
  if (question === undefined || !('id' in question)) throw new Error('the parent was not asked');
  return question.id;
}

function answerTo(child: FakeChild): ParentAnswer {
  return child.messages.findLast(({ kind }) => kind === 'parent-answer') as ParentAnswer;
}

describe('questions to the parent', () => {
  it.each(['admin-takeover', 'parent-stats'] as const)('%s is relayed, and the answer back', (kind) => {
    const { old, next } = Scene.restarting();
    next.say({ kind, id: 77 });
    expect(old.told).toEqual([kind]);
    const stats = { counters: [1, 2] };
    old.say({ kind: 'stats-answer', id: lastQuestion(old), stats });
    expect(next.messages).toEqual([{ kind: 'parent-answer', id: 77, stats, final: false, gone: false }]);
  });

  it('of an epoch without one are answered at once', () => {
    const scene = new Scene();
    scene.last.hello();
    scene.last.say({ kind: 'parent-stats', id: 3 });
    expect(scene.last.messages).toEqual([
      { kind: 'parent-answer', id: 3, stats: undefined, final: false, gone: true },
    ]);
  });

  it('do not wait for a parent that hangs', () => {
    const { scene, old, next } = Scene.restarting({ answerTimeoutMs: 5000 });
    next.say({ kind: 'admin-takeover', id: 1 });
    scene.clock.advance(4999);
    expect(next.messages).toEqual([]);
    scene.clock.advance(1);
    const answer = { kind: 'parent-answer', id: 1, stats: undefined, final: false, gone: false };
    expect(next.messages).toEqual([answer]);
    expect(scene.lines.at(-1)).toBe(
      'warning: epoch 0 (pid 1000) has not answered "admin-takeover" within 5000 ms',
    );
    // It will not say so again.
    old.say({ kind: 'stats-answer', id: lastQuestion(old), stats: 'late' });
    old.say({ kind: 'stats-answer', id: lastQuestion(old), stats: 'twice' });
    expect(next.messages).toEqual([answer, { ...answer, stats: 'late' }]);
  });

  it('that a parent has not answered when it ends are over', () => {
    const { scene, old, next } = Scene.restarting({ answerTimeoutMs: 5000 });
    next.say({ kind: 'admin-takeover', id: 1 });
    scene.clock.advance(5000);
    next.live();
    old.say({ kind: 'final-stats', stats: 'all of it' });
    old.end(0);
    expect(next.messages.slice(1)).toEqual([{ kind: 'parent-gone', stats: 'all of it', another: false }]);
  });

  it('do not wait for a parent that has closed its channel', () => {
    const { old, next } = Scene.restarting();
    old.connected = false;
    next.say({ kind: 'parent-stats', id: 1 });
    expect(answerTo(next)).toMatchObject({ id: 1, gone: false, stats: undefined });
  });

  it('of an epoch that has failed are forgotten', () => {
    const { scene, old, next } = Scene.restarting();
    next.say({ kind: 'admin-takeover', id: 1 });
    next.end(1);
    old.say({ kind: 'stats-answer', id: lastQuestion(old), stats: 1 });
    expect(next.messages).toEqual([]);
    expect(scene.clock.pendingTimers).toBe(0);
  });

  it('are answered by the parent only', () => {
    const { scene, old, next } = Scene.restarting();
    next.say({ kind: 'live' });
    scene.signal('SIGHUP');
    const third = scene.last;
    third.hello();
    third.say({ kind: 'parent-stats', id: 1 });
    old.say({ kind: 'stats-answer', id: lastQuestion(next), stats: 'not mine' });
    expect(third.messages).toEqual([]);
  });
});

describe('the end of the parent', () => {
  it('brings the last of its stats', () => {
    const { old, next } = Scene.restarting();
    next.say({ kind: 'live' });
    old.say({ kind: 'final-stats', stats: 'last' });
    old.say({ kind: 'exiting' });
    expect(next.messages).toEqual([]);
    old.end(0);
    expect(next.messages).toEqual([{ kind: 'parent-gone', stats: 'last', another: false }]);
    next.say({ kind: 'parent-stats', id: 2 });
    expect(answerTo(next)).toMatchObject({ id: 2, gone: true });
  });

  it('answers what it was asked, with the last of it, once', () => {
    const { scene, old, next } = Scene.restarting();
    next.say({ kind: 'live' });
    next.say({ kind: 'parent-stats', id: 1 });
    next.say({ kind: 'parent-stats', id: 2 });
    old.say({ kind: 'final-stats', stats: 'last' });
    old.end(0);
    expect(next.messages).toEqual([
      { kind: 'parent-answer', id: 1, stats: 'last', final: true, gone: false },
      { kind: 'parent-answer', id: 2, stats: undefined, final: true, gone: false },
      { kind: 'parent-gone', stats: undefined, another: false },
    ]);
    expect(scene.clock.pendingTimers).toBe(0);
  });

  it('without a word is told too', () => {
    const { old, next } = Scene.restarting();
    next.say({ kind: 'live' });
    old.end(null, 'SIGKILL');
    expect(next.messages).toEqual([{ kind: 'parent-gone', stats: undefined, another: false }]);
  });

  it('before that of its own parent makes that one the parent', () => {
    const { scene, old, next } = Scene.restarting();
    next.say({ kind: 'live' });
    scene.signal('SIGHUP');
    const third = scene.last;
    third.live();
    third.say({ kind: 'parent-stats', id: 8 });
    next.say({ kind: 'final-stats', stats: 'of 1' });
    next.end(0);
    expect(third.messages).toEqual([
      { kind: 'parent-answer', id: 8, stats: 'of 1', final: false, gone: false },
      { kind: 'parent-gone', stats: undefined, another: true },
    ]);
    third.say({ kind: 'parent-stats', id: 9 });
    old.say({ kind: 'stats-answer', id: lastQuestion(old), stats: 'of 0' });
    expect(answerTo(third)).toMatchObject({ id: 9, stats: 'of 0' });
    old.end(0);
    expect(third.messages.at(-1)).toEqual({ kind: 'parent-gone', stats: undefined, another: false });
  });
});
