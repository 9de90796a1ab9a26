import type { GaugeMode, StatsScope } from '@dragoman/core';
import type { StatsStore } from '@dragoman/stats';

/** What a process tells the one that takes over from it. Plain data. */
export interface TransferredStats {
  /** What was counted since the last transfer. */
  readonly counters: readonly (readonly [name: string, added: number])[];
  /** As they are now; those that mean something in another process. */
  readonly gauges: readonly (readonly [name: string, value: number])[];
  /** Open connections. */
  readonly connections: number;
  /** Since the first of the processes that took over from one another, ms. */
  readonly uptimeMs: number;
  /** `server.hot_restart_generation`. */
  readonly generation: number;
}

/** Tells what has been counted since it was asked last. */
export class CounterExport {
  private readonly stats: StatsStore;
  /** By counter, not by its name: one that was forgotten and comes back begins at 0. */
  private sent = new WeakMap<object, number>();

  constructor(stats: StatsStore) {
    this.stats = stats;
  }

  take(): Pick<TransferredStats, 'counters' | 'gauges'> {
    const counters: [string, number][] = [];
    for (const counter of this.stats.counters.values()) {
      const { name, total, value } = counter;
      // What `/reset_counters` has taken off is not told.
      const added = total - (this.sent.get(counter) ?? total - value);
      if (added === 0) continue;
      this.sent.set(counter, total);
      counters.push([name, added]);
    }
    const gauges: [string, number][] = [];
    for (const { name, mode, used, value } of this.stats.gauges.values())
      if (used && importable(mode)) gauges.push([name, value]);
    return { counters, gauges };
  }

  /** Whoever was told has failed: the next one is told everything. */
  forget(): void {
    this.sent = new WeakMap();
  }
}

/** A maximum of states says nothing about another process's; see {@link GaugeMode}. */
function importable(mode: GaugeMode): boolean {
  return mode === 'accumulate';
}

/** Adds what another process counts to this one's, for as long as that one is there; what it has counted stays. */
export class StatsImport {
  private readonly stats: StatsStore;
  private readonly scope: StatsScope;
  private readonly detach: () => void;
  private readonly gauges = new Set<string>();

  constructor(stats: StatsStore) {
    this.stats = stats;
    const { stats: scope, detach } = stats.createImport();
    this.scope = scope;
    this.detach = detach;
  }

  add({ counters, gauges }: TransferredStats): void {
    for (const [name, added] of counters) this.scope.counter(name).add(added);
    const gone = new Set(this.gauges);
    for (const [name, value] of gauges) {
      // Another version may have meant something else by it: what this one makes of a gauge counts.
      if (!importable(this.stats.gauges.get(name)?.mode ?? 'accumulate')) continue;
      this.scope.gauge(name).set(value);
      this.gauges.add(name);
      gone.delete(name);
    }
    for (const name of gone) this.scope.gauge(name).set(0);
  }

  /** The other process has ended: its gauges are gone. */
  end(): void {
    this.detach();
  }
}
