import type { Counter, Gauge, HostListUpdate, StatsScope } from '@dragoman/core';
import { isDegraded, isHealthy, sourceHealthFlags } from '../hosts/host.ts';
import { CLUSTER_MEMBERSHIP_COUNTERS, CLUSTER_MEMBERSHIP_GAUGES } from '../stats/cluster-stats.ts';

/** Counts the hosts of a cluster as its source publishes them. */
export class Membership {
  private readonly change: Counter;
  private readonly total: Gauge;
  private readonly healthy: Gauge;
  private readonly degraded: Gauge;
  private readonly maxWeight: Gauge;
  private known: ReadonlySet<string> = new Set();

  /** @param scope `cluster.<name>` */
  constructor(scope: StatsScope) {
    for (const name of CLUSTER_MEMBERSHIP_COUNTERS) scope.counter(name);
    for (const name of CLUSTER_MEMBERSHIP_GAUGES) scope.gauge(name);
    this.change = scope.counter('membership_change');
    this.total = scope.gauge('membership_total');
    this.healthy = scope.gauge('membership_healthy');
    this.degraded = scope.gauge('membership_degraded');
    this.maxWeight = scope.gauge('max_host_weight');
  }

  record(update: HostListUpdate): void {
    const known = new Set<string>();
    let total = 0;
    let healthy = 0;
    let degraded = 0;
    let maxWeight = 0;
    for (const { priority, endpoints } of update.localities)
      for (const endpoint of endpoints) {
        const flags = sourceHealthFlags(endpoint.health);
        total++;
        if (isHealthy(flags)) healthy++;
        if (isDegraded(flags)) degraded++;
        if (endpoint.weight > maxWeight) maxWeight = endpoint.weight;
        known.add(`${priority} ${endpoint.id ?? endpoint.address}`);
      }
    if (!sameSet(known, this.known)) this.change.inc();
    this.known = known;
    this.total.set(total);
    this.healthy.set(healthy);
    this.degraded.set(degraded);
    this.maxWeight.set(maxWeight);
  }

  clear(): void {
    for (const gauge of [this.total, this.healthy, this.degraded, this.maxWeight]) gauge.set(0);
  }
}

function sameSet(one: ReadonlySet<string>, other: ReadonlySet<string>): boolean {
  return one.size === other.size && [...one].every((key) => other.has(key));
}
