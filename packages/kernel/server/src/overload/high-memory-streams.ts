import type { ResettableStream, StreamCarrier, StreamRegistry } from '@dragoman/core';

/** Envoy's: so many classes of size, each twice the one before. */
const CLASSES = 8;
/** Envoy's: as many streams are reset at a time, lest the thread stand still for them. */
const MAX_RESETS = 50;
/** What fractions in binary are off by: (0.9 − 0.85) / (0.95 − 0.85) is to be a half. */
const ROUNDING = 1e-6;

/** What one run of the action has done. */
export interface StreamResets {
  readonly streams: number;
  /** That they held. */
  readonly bytes: number;
}

/**
 * The class of a stream that holds `bytes`: 0 from 2^`power` on, 1 from twice as much on, 7 from 128 times as much on.
 * @returns −1 for less
 */
export function sizeClass(bytes: number, power: number): number {
  let found = -1;
  for (let from = 2 ** power; found < CLASSES - 1 && bytes >= from; from *= 2) found++;
  return found;
}

/** The smallest class whose streams are reset at the action's `value` (above 0): the largest at once, all of them from 7/8 on. */
export function smallestClass(value: number): number {
  return Math.max(0, CLASSES - 1 - Math.floor(value * CLASSES + ROUNDING));
}

/**
 * The downstream streams of one worker, for `reset_high_memory_stream`. Nobody keeps books: what a stream holds is asked when the action
 * acts, so that the way of a request costs the same with it and without.
 */
export class HighMemoryStreams implements StreamRegistry {
  private readonly carriers = new Set<StreamCarrier>();
  private readonly power: number;

  /** @param power `minimum_account_to_track_power_of_two` */
  constructor(power: number) {
    this.power = power;
  }

  add(carrier: StreamCarrier): () => void {
    this.carriers.add(carrier);
    return () => this.carriers.delete(carrier);
  }

  /** Resets those that hold most. @param value of the action, 0 … 1; nothing happens at 0 */
  reset(value: number): StreamResets {
    if (value <= 0) return NOTHING;
    const victims = this.above(smallestClass(value)).sort((a, b) => b.bytes - a.bytes);
    let streams = 0;
    let bytes = 0;
    for (const victim of victims) {
      // One that went with another's connection holds nothing any more.
      if (victim.stream.heldBytes === 0) continue;
      victim.stream.resetForOverload();
      streams++;
      bytes += victim.bytes;
      if (streams === MAX_RESETS) break;
    }
    return { streams, bytes };
  }

  private above(smallest: number): Victim[] {
    const found: Victim[] = [];
    const visit = (stream: ResettableStream): void => {
      const bytes = stream.heldBytes;
      if (bytes > 0 && sizeClass(bytes, this.power) >= smallest) found.push({ stream, bytes });
    };
    for (const carrier of this.carriers) carrier.forEachStream(visit);
    return found;
  }
}

interface Victim {
  readonly stream: ResettableStream;
  readonly bytes: number;
}

const NOTHING: StreamResets = { streams: 0, bytes: 0 };
