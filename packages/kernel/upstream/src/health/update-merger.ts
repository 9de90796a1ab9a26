import type { Clock, Counter, Timer } from '@dragoman/core';

/** Counters of `cluster_manager.`. */
export interface MergeStats {
  readonly viaMerge: Counter;
  readonly cancelled: Counter;
  readonly outOfWindow: Counter;
}

/** Delivers changes that add and remove no host at most once in a window (`update_merge_window`); the others at once. */
export class UpdateMerger {
  private readonly windowMs: number;
  private readonly clock: Clock;
  private readonly stats: MergeStats;
  private readonly deliver: () => void;
  private readonly timer: Timer;
  private last = Number.NEGATIVE_INFINITY;

  /** @param windowMs 0: everything at once */
  constructor(windowMs: number, clock: Clock, stats: MergeStats, deliver: () => void) {
    this.windowMs = windowMs;
    this.clock = clock;
    this.stats = stats;
    this.deliver = deliver;
    this.timer = clock.timer(() => {
      this.last = clock.now();
      stats.viaMerge.inc();
      deliver();
    });
  }

  /** @param mergeable only health, weights or metadata have changed */
  schedule(mergeable: boolean): void {
    const now = this.clock.now();
    const outside = now - this.last > this.windowMs;
    if (this.windowMs > 0 && mergeable && !outside) {
      if (!this.timer.enabled) this.timer.enable(this.windowMs);
      return;
    }
    if (this.windowMs > 0 && mergeable) this.stats.outOfWindow.inc();
    if (this.timer.enabled) {
      this.timer.disable();
      this.stats.cancelled.inc();
    }
    this.last = now;
    this.deliver();
  }

  stop(): void {
    this.timer.disable();
  }
}
