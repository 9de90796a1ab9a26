import { ClusterLoadAssignmentSchema as EDS } from '@dragoman/api';
import { describe, expect, it } from 'vitest';
import { type Variant, apiSource, Rig } from './support/rig.ts';

function open(variant: Variant = 'delta') {
  const rig = new Rig(variant, { adsConfig: apiSource(variant, {}, 'first', 'second') });
  const subscriber = rig.subscribe(EDS, ['a']);
  return { rig, subscriber, state: () => rig.stat('control_plane.connected_state') };
}

const opened = (rig: Rig) => rig.grpc.streams.map(({ destination }) => destination);

describe('a second server', () => {
  it('is asked once the first has failed twice, and only then', () => {
    const { rig, state } = open();
    expect(state()).toBe(1);
    rig.stream.end(14);
    rig.stream.open();
    rig.context.clock.advance(10_000);
    expect(opened(rig)).toEqual(['first']);
    rig.stream.end(14);
    expect(rig.stream.closed).toBe(true);
    rig.context.clock.advance(0);
    expect(opened(rig)).toEqual(['first', 'second']);
    expect(rig.sent()).toEqual(['EDS +a']);
    expect(state()).toBe(2);
  });

  it('is not asked when the first has ever answered', () => {
    const { rig } = open();
    rig.send(EDS, { changed: { a: '1' } });
    for (let i = 0; i < 5; i++) {
      rig.stream.end(14);
      rig.stream.open();
    }
    rig.context.clock.advance(10_000);
    expect(opened(rig)).toEqual(['first']);
  });

  it('takes turns with the first while neither answers', () => {
    const { rig, subscriber } = open();
    rig.stream.end(14);
    rig.stream.open();
    rig.grpc.down.add('first').add('second');
    rig.stream.end(14);
    rig.context.clock.advance(0);
    rig.context.clock.advance(499);
    expect(opened(rig)).toEqual(['first', 'second']);
    rig.context.clock.advance(1);
    expect(opened(rig)).toEqual(['first', 'second', 'first', 'second']);
    rig.context.clock.advance(5000);
    expect(opened(rig)).toHaveLength(24);
    expect(rig.grpc.streams.filter(({ closed }) => !closed)).toHaveLength(0);
    expect(subscriber.take().every((event) => event === 'connection' || event === 'timeout')).toBe(true);
  });

  it.each(['sotw', 'delta'] as const)(
    'is told nothing of versions of the first, and the other way round (%s)',
    (variant) => {
      const { rig, subscriber } = open(variant);
      rig.stream.end(14);
      rig.stream.open();
      rig.stream.end(14);
      rig.context.clock.advance(0);
      rig.send(EDS, { changed: { a: '1' }, version: '7' });
      expect(subscriber.take()).toContain('+a=1 v7');
      rig.sent();
      // Its stream ends: the first gets another chance.
      rig.stream.end(14);
      rig.context.clock.advance(500);
      expect(opened(rig).at(-1)).toBe('first');
      expect(rig.sent()).toEqual([variant === 'sotw' ? 'EDS v [a]' : 'EDS +a']);
      rig.stream.end(14);
      rig.context.clock.advance(0);
      expect(opened(rig).at(-1)).toBe('second');
      expect(rig.sent()).toEqual([variant === 'sotw' ? 'EDS v [a]' : 'EDS +a {a:7}']);
    },
  );

  it('ends with its owner', () => {
    const { rig } = open();
    rig.stream.end(14);
    rig.stream.open();
    rig.stream.end(14);
    rig.xds.close();
    rig.context.clock.advance(10_000);
    expect(opened(rig)).toEqual(['first']);
    expect(rig.context.clock.pendingTimers).toBe(0);
  });
});

describe('a stream that ends', () => {
  it('is told of once for each kind of failure', () => {
    const rig = new Rig('sotw');
    rig.subscribe(EDS, ['a']);
    const warnings = () =>
      rig.context.loggers.lines.filter((line) => line.startsWith('config warning')).length;
    const end = (code: number) => {
      rig.stream.end(code);
      rig.stream.open();
      return warnings();
    };
    expect([end(14), end(14), end(0), end(14), end(7), end(7)]).toEqual([1, 1, 1, 1, 2, 2]);
    rig.send(EDS, { changed: { a: '1' } });
    expect(end(7)).toBe(3);
  });
});
