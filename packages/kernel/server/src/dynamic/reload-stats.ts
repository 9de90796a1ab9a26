import type { StatsScope } from '@dragoman/core';

/**
 * `config_reload` and `config_reload_time_ms` of a subscription.
 */
export class ReloadStats {
  private readonly reloads: ReturnType<StatsScope['counter']>;
  private readonly reloadedAt: ReturnType<StatsScope['gauge']>;
  private readonly wallTime: () => number;

  /** @param wallTime ms */
  constructor(scope: StatsScope, wallTime: () => number) {
    this.reloads = scope.counter('config_reload');
    this.reloadedAt = scope.gauge('config_reload_time_ms', 'never-import');
    this.wallTime = wallTime;
  }

  /**
   * An update of many resources: counted once when at least one was another than before.
   * @param changes each is fulfilled with whether it has changed something; those that fail have not
   */
  async count(removed: number, changes: readonly Promise<boolean>[]): Promise<void> {
    const results = await Promise.allSettled(changes);
    const changed = results.some((result) => result.status === 'fulfilled' && result.value);
    if (removed === 0 && !changed) return;
    this.note();
  }

  /** Something is in place that was not before. */
  note(): void {
    this.reloads.inc();
    this.reloadedAt.set(Math.floor(this.wallTime()));
  }
}
