import type { Clock, Counter, Timer } from '@dragoman/core';

export interface HeapShrinkerOptions {
  readonly clock: Clock;
  /** `timer_interval`, ms. */
  readonly intervalMs: number;
  /** `overload.envoy.overload_actions.shrink_heap.shrink_count`. */
  readonly count: Counter;
  /** Whether the action is saturated. */
  readonly active: () => boolean;
  /** Shrinks the heaps of the workers, one after the other. Does not reject. */
  readonly shrinkWorkers: () => Promise<void>;
  /** Shrinks main's, then has the C library give back what all threads have freed. */
  readonly shrinkMain: () => void;
}

/** Carries out `shrink_heap`: at every interval while the action is saturated, as in Envoy. */
export class HeapShrinker {
  private readonly options: HeapShrinkerOptions;
  private readonly timer: Timer;
  private shrinking = false;
  private stopped = false;

  constructor(options: HeapShrinkerOptions) {
    this.options = options;
    this.timer = options.clock.timer(() => this.onInterval());
  }

  start(): void {
    this.timer.enable(this.options.intervalMs);
  }

  stop(): void {
    this.stopped = true;
    this.timer.disable();
  }

  private onInterval(): void {
    this.start();
    if (!this.options.active() || this.shrinking) return;
    this.shrinking = true;
    this.options.count.inc();
    void this.options.shrinkWorkers().then(() => {
      this.shrinking = false;
      if (!this.stopped) this.options.shrinkMain();
    });
  }
}
