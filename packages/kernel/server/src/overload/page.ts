import type { ScaledTimerName } from '@dragoman/core';

/** How far `reduce_timeouts` goes with one kind of timer. */
export interface ScaledTimerRule {
  readonly name: ScaledTimerName;
  /** `min_timeout`, ms; undefined: {@link minShare} counts. */
  readonly minMs: number | undefined;
  /** `min_scale`, as a share of the timeout, 0 … 1. */
  readonly minShare: number;
}

/** What a thread needs to see the decisions of main: plain data, it can be posted as it is. */
export interface OverloadHandle {
  /** A word for each action, then one for each load shed point. */
  readonly buffer: SharedArrayBuffer;
  readonly actions: readonly string[];
  readonly points: readonly string[];
  readonly timers: readonly ScaledTimerRule[];
  readonly maxDownstreamConnections: number | undefined;
  /** `minimum_account_to_track_power_of_two` where `reset_high_memory_stream` is configured. */
  readonly resetPower: number | undefined;
}

/** The word that stands for 1. Whole numbers, since only those are read and written as a whole. */
export const ONE = 2 ** 30;

/** Makes the page; everything stands at 0. */
export function createPage(words: number): SharedArrayBuffer {
  return new SharedArrayBuffer(Math.max(1, words) * Int32Array.BYTES_PER_ELEMENT);
}

/** What is nearly saturated is not saturated: some actions wait for the last step. */
export function wordOf(value: number): number {
  return value >= 1 ? ONE : Math.min(ONE - 1, Math.floor(value * ONE));
}
