import type { StatsScope } from '@dragoman/core';

/**
 * `config_reload` and `config_reload_time_ms` of a subscription whose updates are many resources: counted once for each update of which at
 * least one was another than before.
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

  /** @param changes each is fulfilled with whether it has changed something; those that fail have not */
  async count(removed: number, changes: readonly Promise<boolean>[]): Promise<void> {
    const results = await Promise.allSettled(changes);
    const changed = results.some((result) => result.status === 'fulfilled' && result.value);
    if (removed === 0 && !changed) return;
    this.reloads.inc();
    this.reloadedAt.set(Math.floor(this.wallTime()));
  }
}
