import type { RandomSource } from '@dragoman/core';

/** A bound that doubles with each failure. Milliseconds. */
export interface FailureRate {
  readonly baseMs: number;
  readonly maxMs: number;
}

/** How long to wait after failures of DNS: fully jittered and doubling, as Envoy backs off. */
export class FailureBackOff {
  private readonly rate: FailureRate | undefined;
  private readonly otherwiseMs: number;
  private readonly random: RandomSource;
  private bound: number;

  /** @param otherwiseMs the wait where there is no rate */
  constructor(rate: FailureRate | undefined, otherwiseMs: number, random: RandomSource) {
    this.rate = rate;
    this.otherwiseMs = otherwiseMs;
    this.random = random;
    this.bound = rate?.baseMs ?? 0;
  }

  /** Milliseconds, at least 1. */
  next(): number {
    const { rate, bound } = this;
    if (rate === undefined) return this.otherwiseMs;
    this.bound = Math.min(bound * 2, rate.maxMs);
    return Math.max(1, this.random.random() * bound);
  }

  /** A query has succeeded. */
  reset(): void {
    this.bound = this.rate?.baseMs ?? 0;
  }
}
