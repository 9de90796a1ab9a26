import type { Counter, Gauge, HostListUpdate, StatsScope } from '@dragoman/core';
import { isExcluded } from '@dragoman/load-balancing';
import { endpointHealthFlags, isDegraded, isHealthy } from '../hosts/host.ts';
import { identityOf } from '../hosts/identity.ts';
import { CLUSTER_MEMBERSHIP_COUNTERS, CLUSTER_MEMBERSHIP_GAUGES } from '../stats/cluster-stats.ts';

/** Counts the hosts of a cluster as its source publishes them. */
export class Membership {
  private readonly change: Counter;
  private readonly total: Gauge;
  private readonly healthy: Gauge;
  private readonly degraded: Gauge;
  private readonly excluded: Gauge;
  private readonly maxWeight: Gauge;
  private known = new Members();

  /** @param scope `cluster.<name>` */
  constructor(scope: StatsScope) {
    for (const name of CLUSTER_MEMBERSHIP_COUNTERS) scope.counter(name);
    // Of this process alone: what another one has is not added in a hot restart (as in Envoy).
    const gauge = (name: string): Gauge => scope.gauge(name, 'never-import');
    for (const name of CLUSTER_MEMBERSHIP_GAUGES) gauge(name);
    this.change = scope.counter('membership_change');
    this.total = gauge('membership_total');
    this.healthy = gauge('membership_healthy');
    this.degraded = gauge('membership_degraded');
    this.excluded = gauge('membership_excluded');
    this.maxWeight = gauge('max_host_weight');
  }

  record(update: HostListUpdate): void {
    const known = new Members();
    let healthy = 0;
    let degraded = 0;
    let excluded = 0;
    let maxWeight = 0;
    for (const { priority, endpoints } of update.localities)
      for (const endpoint of endpoints) {
        const flags = endpointHealthFlags(endpoint);
        if (isExcluded(flags)) excluded++;
        if (isHealthy(flags)) healthy++;
        if (isDegraded(flags)) degraded++;
        if (endpoint.weight > maxWeight) maxWeight = endpoint.weight;
        known.add(identityOf(endpoint), priority);
      }
    if (known.differsFrom(this.known)) this.change.inc();
    this.known = known;
    this.total.set(known.count);
    this.healthy.set(healthy);
    this.degraded.set(degraded);
    this.excluded.set(excluded);
    this.maxWeight.set(maxWeight);
  }

  clear(): void {
    for (const gauge of [this.total, this.healthy, this.degraded, this.excluded, this.maxWeight])
      gauge.set(0);
  }
}

/** Members. Enough for hosts that come or go one by one; with more, two quite different lists take longer. */
const NEAR = 8;

/** Who is a member, in the order of the list. As a set: neither order nor repetitions count. */
class Members {
  private readonly identities: string[] = [];
  private readonly priorities: number[] = [];

  get count(): number {
    return this.identities.length;
  }

  add(identity: string, priority: number): void {
    this.identities.push(identity);
    this.priorities.push(priority);
  }

  /** Goes through both side by side, and looks closely only at what is not in both at about the same place. */
  differsFrom(other: Members): boolean {
    let tail = 0;
    const shorter = Math.min(this.count, other.count);
    while (tail < shorter && this.sameAt(this.count - 1 - tail, other, other.count - 1 - tail)) tail++;
    const mine = new Map<string, string>();
    const theirs = new Map<string, string>();
    let index = 0;
    let otherIndex = 0;
    while (index < this.count - tail) {
      const found = this.findNear(index, other, otherIndex);
      if (found < 0) this.note(mine, index);
      else {
        while (otherIndex < found) other.note(theirs, otherIndex++);
        otherIndex++;
      }
      index++;
    }
    while (otherIndex < other.count - tail) other.note(theirs, otherIndex++);
    return other.lacksAny(mine, theirs) || this.lacksAny(theirs, mine);
  }

  /** Where, in the next few from `from` on, `other` has the member at `index`; −1 when it has not. */
  private findNear(index: number, other: Members, from: number): number {
    const end = Math.min(other.count, from + NEAR);
    for (let at = from; at < end; at++) if (this.sameAt(index, other, at)) return at;
    return -1;
  }

  /** Whether one of `members` is nowhere here. Those in `present` are known to be. */
  private lacksAny(members: ReadonlyMap<string, string>, present: ReadonlyMap<string, string>): boolean {
    const missing = new Set([...members.keys()].filter((key) => !present.has(key)));
    if (missing.size === 0) return false;
    const identities = new Set(members.values());
    for (let index = 0; index < this.count; index++)
      if (identities.has(this.identities[index])) missing.delete(this.keyAt(index));
    return missing.size > 0;
  }

  private sameAt(index: number, other: Members, otherIndex: number): boolean {
    return (
      this.identities[index] === other.identities[otherIndex] &&
      this.priorities[index] === other.priorities[otherIndex]
    );
  }

  /** Adds the key of a member, and its identity. */
  private note(members: Map<string, string>, index: number): void {
    members.set(this.keyAt(index), this.identities[index]);
  }

  private keyAt(index: number): string {
    return `${this.priorities[index]} ${this.identities[index]}`;
  }
}
