import type { ResettableStream } from '@dragoman/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HighMemoryStreams, sizeClass, smallestClass } from '../src/overload/high-memory-streams.ts';

const MIB = 2 ** 20;

class Stream implements ResettableStream {
  heldBytes: number;
  resets = 0;
  onReset: () => void = () => {};

  constructor(heldBytes: number) {
    this.heldBytes = heldBytes;
  }

  resetForOverload(): void {
    this.resets++;
    this.heldBytes = 0;
    this.onReset();
  }
}

/** Streams of two connections. */
function carried(sizes: readonly number[]): { registry: HighMemoryStreams; streams: Stream[] } {
  const registry = new HighMemoryStreams(20);
  const streams = sizes.map((size) => new Stream(size));
  for (const parity of [0, 1]) {
    registry.add({
      forEachStream: (visit) => streams.forEach((stream, i) => void (i % 2 === parity && visit(stream))),
    });
  }
  return { registry, streams };
}

const resetOf = (streams: readonly Stream[]): number[] =>
  streams.flatMap(({ resets }, i) => (resets === 0 ? [] : [i]));

describe('classes of size', () => {
  test.each([
    [0, -1],
    [MIB - 1, -1],
    [MIB, 0],
    [2 * MIB - 1, 0],
    [2 * MIB, 1],
    [4 * MIB, 2],
    [64 * MIB - 1, 5],
    [64 * MIB, 6],
    [128 * MIB, 7],
    [2 ** 50, 7],
  ])('%s bytes, from 1 MiB on', (bytes, found) => {
    expect(sizeClass(bytes, 20)).toBe(found);
  });

  test('never fall while the bytes grow, for every power that may be configured', () => {
    fc.assert(
      fc.property(fc.integer({ min: 10, max: 56 }), fc.maxSafeNat(), fc.maxSafeNat(), (power, a, b) => {
        const [low, high] = [Math.min(a, b), Math.max(a, b)].map((bytes) => sizeClass(bytes, power));
        return low <= high && low >= -1 && high <= 7;
      }),
    );
  });

  test.each([
    [1e-9, 7],
    [0.124, 7],
    [0.125, 6],
    [(0.9 - 0.85) / (0.95 - 0.85), 3],
    [0.62, 3],
    [0.874, 1],
    [0.875, 0],
    [1, 0],
  ])('at a value of %s', (value, smallest) => {
    expect(smallestClass(value)).toBe(smallest);
  });
});

describe('what is reset', () => {
  const sizes = [0.5, 1, 3, 20, 100, 200].map((mib) => mib * MIB);

  test.each([
    [0, []],
    [0.01, [5]],
    [0.2, [4, 5]],
    [0.4, [3, 4, 5]],
    [0.8, [2, 3, 4, 5]],
    [1, [1, 2, 3, 4, 5]],
  ])('at a value of %s', (value, expected) => {
    const { registry, streams } = carried(sizes);
    const { streams: count, bytes } = registry.reset(value);
    expect([resetOf(streams), count]).toEqual([expected, expected.length]);
    expect(bytes).toBe(expected.reduce((sum, i) => sum + (sizes[i] as number), 0));
    expect(registry.reset(value)).toEqual({ streams: 0, bytes: 0 });
  });

  test('50 at a time, those that hold most first, and the others next time', () => {
    const { registry, streams } = carried(Array.from({ length: 120 }, (_, i) => 2 * MIB + ((i * 37) % 120)));
    expect(registry.reset(1).streams).toBe(50);
    const left = streams.filter(({ resets }) => resets === 0).map(({ heldBytes }) => heldBytes);
    expect(left).toHaveLength(70);
    expect(Math.max(...left)).toBe(2 * MIB + 69);
    expect([registry.reset(1).streams, registry.reset(1).streams, registry.reset(1).streams]).toEqual([
      50, 20, 0,
    ]);
    expect(streams.every(({ resets }) => resets === 1)).toBe(true);
  });

  test('one that has gone with another is not counted', () => {
    const { registry, streams } = carried([5 * MIB, 4 * MIB]);
    const [larger, smaller] = streams as [Stream, Stream];
    larger.onReset = () => {
      smaller.heldBytes = 0;
    };
    expect(registry.reset(1)).toEqual({ streams: 1, bytes: 5 * MIB });
    expect(resetOf(streams)).toEqual([0]);
  });

  test('a connection that has left is not asked', () => {
    const registry = new HighMemoryStreams(20);
    let asked = 0;
    const leave = registry.add({ forEachStream: () => void asked++ });
    registry.reset(1);
    leave();
    registry.reset(1);
    expect(asked).toBe(1);
  });
});
