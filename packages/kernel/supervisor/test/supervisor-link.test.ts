import { EventEmitter } from 'node:events';
import { beforeEach, describe, expect, it } from 'vitest';
import { type EpochMessage, SUPERVISED, type SupervisorMessage } from '../src/protocol.ts';
import { type SupervisedProcess, SupervisorLink } from '../src/supervisor-link.ts';
import { FakeSocket } from './scene.ts';

/** A process with a channel whose other end is the test. */
class FakeProcess extends EventEmitter implements SupervisedProcess {
  readonly env: NodeJS.ProcessEnv = { [SUPERVISED]: '1' };
  readonly pid = 4711;
  readonly argv = ['node', 'dragoman', '-c', 'x', '--restart-epoch', '3'];
  connected = true;
  readonly sent: EpochMessage[] = [];
  keptAlive = true;
  readonly channel = { ref: () => void (this.keptAlive = true), unref: () => void (this.keptAlive = false) };
  /** Runs when a message has left. */
  private left: (() => void)[] = [];

  send(
    message: unknown,
    _handle: unknown,
    _options: unknown,
    callback: (error: Error | null) => void,
  ): boolean {
    this.sent.push(message as EpochMessage);
    this.left.push(() => callback(null));
    return true;
  }

  flush(): void {
    for (const left of this.left.splice(0)) left();
  }

  says(message: SupervisorMessage, handle?: FakeSocket): void {
    this.emit('message', message, handle);
  }

  disconnect(): void {
    this.connected = false;
    this.emit('disconnect');
  }
}

const address = { family: 'ipv4', ip: '127.0.0.1', port: 0, ipv6Only: false } as const;
const bound = { ...address, port: 40_000 };
const wanted = { key: 'a', address, count: 2, reusePort: true };

let child: FakeProcess;
let link: SupervisorLink;

beforeEach(() => {
  child = new FakeProcess();
  link = SupervisorLink.connect(child) as SupervisorLink;
});

describe('connecting', () => {
  it('says hello, and does not keep the process alive', () => {
    expect(link.epoch).toBe(3);
    expect(child.sent).toEqual([{ kind: 'hello', protocol: 1, epoch: 3, pid: 4711 }]);
    expect(child.keptAlive).toBe(false);
  });

  it('needs a supervisor', () => {
    // The runner of these tests has a channel, which is none of ours.
    expect(SupervisorLink.connect(process)).toBeUndefined();
    const noChannel = { env: { [SUPERVISED]: '1' }, pid: 1, argv: [], on: () => {} };
    expect(SupervisorLink.connect(noChannel)).toBeUndefined();
  });
});

describe('sockets', () => {
  it('are there when the last has come', async () => {
    const waiting = link.sockets(wanted);
    expect(child.sent[1]).toEqual({ kind: 'sockets', id: 1, ...wanted });
    expect(child.keptAlive).toBe(true);
    const handles = [new FakeSocket(20, 'a'), new FakeSocket(21, 'b')];
    handles.forEach((handle, index) => {
      expect(child.keptAlive).toBe(true);
      child.says({ kind: 'socket', id: 1, index, of: 2, address: bound }, handle);
    });
    expect(child.keptAlive).toBe(false);
    expect(await waiting).toEqual({ handles, address: bound });
  });

  it('may be refused', async () => {
    const waiting = link.sockets(wanted);
    child.says({ kind: 'sockets-failed', id: 1, code: 'EADDRINUSE', message: 'somebody has it' });
    await expect(waiting).rejects.toMatchObject({ code: 'EADDRINUSE', message: 'somebody has it' });
    expect(child.keptAlive).toBe(false);
  });

  it('that nobody waits for are closed', () => {
    const handle = new FakeSocket(20, 'a');
    child.says({ kind: 'socket', id: 9, index: 0, of: 1, address: bound }, handle);
    expect(handle.open).toBe(false);
  });

  it('are not to be had when the supervisor is gone, before or after it is asked', async () => {
    const waiting = link.sockets(wanted);
    const handle = new FakeSocket(20, 'a');
    child.says({ kind: 'socket', id: 1, index: 0, of: 2, address: bound }, handle);
    child.disconnect();
    await expect(waiting).rejects.toMatchObject({ code: 'EPIPE' });
    expect(handle.open).toBe(false);
    await expect(link.sockets(wanted)).rejects.toThrow('no sockets for "a": the supervisor is gone');
  });
});

describe('the parent', () => {
  const answer = { kind: 'parent-answer', stats: 'stats', final: false, gone: false } as const;

  it('gives its admin interface and its stats', async () => {
    const admin = link.takeOverAdmin();
    const stats = link.parentStats();
    expect(child.sent.slice(1)).toEqual([
      { kind: 'admin-takeover', id: 1 },
      { kind: 'parent-stats', id: 2 },
    ]);
    child.says({ ...answer, id: 1 });
    expect(child.keptAlive).toBe(true);
    child.says({ ...answer, id: 2, final: true });
    expect(child.keptAlive).toBe(false);
    expect(await admin).toBe('stats');
    expect(await stats).toEqual({ stats: 'stats', final: true });
  });

  it('may answer after all', async () => {
    const late: unknown[] = [];
    link.onLateStats = (stats) => late.push(stats);
    const waiting = link.parentStats();
    child.says({ ...answer, id: 1, stats: undefined });
    expect(await waiting).toEqual({ stats: undefined, final: false });
    expect(late).toEqual([]);
    child.says({ ...answer, id: 1 });
    expect(late).toEqual(['stats']);
  });

  it('may not be there', async () => {
    const both = [link.takeOverAdmin(), link.parentStats()];
    for (const id of [1, 2]) child.says({ ...answer, id, stats: undefined, gone: true });
    expect(await Promise.all(both)).toEqual([undefined, undefined]);
  });

  it('is not there without a supervisor', async () => {
    const waiting = link.parentStats();
    child.disconnect();
    expect(await waiting).toBeUndefined();
    expect(await link.takeOverAdmin()).toBeUndefined();
  });
});

describe('being the parent', () => {
  it('answers with what the callbacks say', async () => {
    link.onAdminTakeover = async () => 'all';
    link.onParentStats = () => 'new';
    child.says({ kind: 'admin-takeover', id: 5 });
    child.says({ kind: 'parent-stats', id: 6 });
    await new Promise((resolve) => setImmediate(resolve));
    expect(child.sent.slice(1)).toEqual(
      expect.arrayContaining([
        { kind: 'stats-answer', id: 5, stats: 'all' },
        { kind: 'stats-answer', id: 6, stats: 'new' },
      ]),
    );
  });

  it('answers without stats when nobody has set any', async () => {
    child.says({ kind: 'admin-takeover', id: 5 });
    await new Promise((resolve) => setImmediate(resolve));
    expect(child.sent[1]).toEqual({ kind: 'stats-answer', id: 5, stats: undefined });
  });
});

it('passes on what it is told', () => {
  const heard: unknown[] = [];
  link.onDrain = () => heard.push('drain');
  link.onTerminate = () => heard.push('terminate');
  link.onResume = () => heard.push('resume');
  link.onSignal = (signal) => heard.push(signal);
  link.onParentGone = (stats, another) => heard.push([stats, another]);
  link.onDisconnect = () => heard.push('disconnect');
  for (const kind of ['drain', 'terminate', 'resume'] as const) child.says({ kind });
  child.says({ kind: 'parent-gone', stats: 1, another: true });
  child.says({ kind: 'signal', signal: 'SIGTERM' });
  child.emit('message', 'of somebody else');
  child.disconnect();
  child.emit('disconnect');
  expect(heard).toEqual(['drain', 'terminate', 'resume', [1, true], 'SIGTERM', 'disconnect']);
});

describe('the end', () => {
  it('waits until everything has left', async () => {
    let done = false;
    link.live();
    link.release('a');
    const exiting = link.exiting('stats').then(() => (done = true));
    expect(child.sent.slice(1)).toEqual([
      { kind: 'live' },
      { kind: 'release', key: 'a' },
      { kind: 'final-stats', stats: 'stats' },
      { kind: 'exiting' },
    ]);
    await Promise.resolve();
    expect(done).toBe(false);
    child.flush();
    await exiting;
    expect(done).toBe(true);
  });

  it('does not wait for a supervisor that is gone', async () => {
    child.disconnect();
    await link.exiting('stats');
    expect(child.sent).toHaveLength(1);
  });
});
