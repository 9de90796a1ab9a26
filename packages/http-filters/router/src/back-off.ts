import type { Clock, RandomSource, ResetHeader, ResponseHeaders } from '@dragoman/core';
import { readWhole } from './timeouts.ts';

/** Delays drawn from an interval that doubles each time, up to a maximum (Envoy: fully jittered exponential back-off). */
export class ExponentialBackOff {
  private readonly maxMs: number;
  private intervalMs: number;

  /** @param baseMs at least 1, at most `maxMs` */
  constructor(baseMs: number, maxMs: number) {
    this.maxMs = maxMs;
    this.intervalMs = baseMs;
  }

  /** Whole milliseconds: 0 … the interval, exclusive. */
  next(random: RandomSource): number {
    const { intervalMs, maxMs } = this;
    this.intervalMs = intervalMs < Math.floor(maxMs / 2) ? intervalMs * 2 : maxMs;
    return random.next() % intervalMs;
  }
}

/** Not before `ms`, and up to half as much again. @param ms more than 1 */
export function jitteredFrom(ms: number, random: RandomSource): number {
  return ms + (random.next() % Math.floor(ms / 2));
}

/** Milliseconds from now until the time that a response's header names; undefined for none, or one that is over. */
export function readResetInterval(
  response: ResponseHeaders,
  { name, format }: ResetHeader,
  clock: Clock,
): number | undefined {
  const seconds = readWhole(response.get(name));
  if (seconds === undefined) return undefined;
  if (format === 'seconds') return seconds * 1000;
  const now = Math.floor(clock.wallTime() / 1000);
  return seconds < now ? undefined : (seconds - now) * 1000;
}
