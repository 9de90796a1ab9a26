import type { Counter } from '@dragoman/core';
import { LocalCounter } from '../stats/local-stats.ts';

/** A counter that is read by taking: its value is what has come since. */
export class Tally extends LocalCounter {
  take(): number {
    const { count } = this;
    this.count = 0;
    return count;
  }
}

/** One event that two counters count. */
export class TwinCounter implements Counter {
  private readonly first: Counter;
  private readonly second: Counter;

  /** @param first whose name and value it shows */
  constructor(first: Counter, second: Counter) {
    this.first = first;
    this.second = second;
  }

  get name(): string {
    return this.first.name;
  }

  inc(): void {
    this.first.inc();
    this.second.inc();
  }

  add(amount: number): void {
    this.first.add(amount);
    this.second.add(amount);
  }

  value(): number {
    return this.first.value();
  }
}
