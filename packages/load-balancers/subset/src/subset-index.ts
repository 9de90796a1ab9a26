import type { Host, HostSet, LoadBalancer, MetadataValue } from '@dragoman/core';
import { hasLabels } from '@dragoman/load-balancing';
import type { SubsetOptions } from './config.ts';
import { HostRecords } from './host-records.ts';
import { type KeySet, KeySets } from './key-sets.ts';
import type { Frame } from './set-draft.ts';
import type { SubsetStats } from './subset-stats.ts';
import { BalancedSubset, type Health, SingleHostSubset, type Subset } from './subsets.ts';

/** Where a subset stands. */
interface Place {
  readonly set: KeySet<Subset>;
  readonly values: readonly MetadataValue[];
}

/** The subsets of a cluster: finds those that its hosts make, fills them, and lets go those that are empty. */
export class SubsetIndex {
  readonly keySets: KeySets<Subset>;
  /** `default_subset`, where a fallback goes there. */
  readonly defaultSubset: Subset | undefined;
  private readonly options: SubsetOptions;
  private readonly stats: SubsetStats;
  private readonly createBalancer: () => LoadBalancer;
  private readonly places = new Map<Subset, Place>();
  private records: HostRecords[] = [];
  private sets: readonly HostSet[] = [];
  private updates = 0;

  constructor(
    options: SubsetOptions,
    stats: SubsetStats,
    createBalancer: () => LoadBalancer,
    withDefault: boolean,
  ) {
    this.options = options;
    this.stats = stats;
    this.createBalancer = createBalancer;
    this.keySets = new KeySets(options);
    this.defaultSubset = withDefault ? new BalancedSubset(createBalancer()) : undefined;
  }

  /** Priorities that are the same object as before are not looked through. */
  update(sets: readonly HostSet[]): void {
    const before = this.sets;
    this.sets = sets;
    this.updates++;
    this.records.length = Math.min(this.records.length, sets.length);
    for (const [priority, set] of sets.entries())
      if (set !== before[priority]) this.fill(set, before[priority] as HostSet | undefined);
    this.commit(sets.map((set) => set.overprovisioningFactor));
  }

  close(): void {
    this.defaultSubset?.close();
    for (const [subset, place] of this.places) this.remove(subset, place);
  }

  private fill(set: HostSet, before: HostSet | undefined): void {
    const { priority, hostsByLocality } = set;
    this.records[priority] ??= new HostRecords();
    let tooMany = 0;
    for (let locality = 0; locality < hostsByLocality.length; locality++)
      tooMany += this.fillLocality(set, locality);
    this.records[priority].sweep(this.updates, set.hosts.length);
    const frame: Frame = {
      set,
      sameLocalities: before !== undefined && sameLocalities(before, set),
      weightAware: this.options.localityWeightAware,
      scaleWeights: this.options.scaleLocalityWeight,
    };
    this.defaultSubset?.complete(frame);
    for (const subset of this.places.keys()) subset.complete(frame);
    this.stats.singleHostDuplicate.set(tooMany);
  }

  /** @returns how many hosts were too many for subsets of a single one */
  private fillLocality(set: HostSet, locality: number): number {
    const records = this.records[set.priority];
    const healthy = set.healthyHostsByLocality[locality];
    const degraded = set.degradedHostsByLocality[locality];
    let healthyIndex = 0;
    let degradedIndex = 0;
    let tooMany = 0;
    for (const host of set.hostsByLocality[locality]) {
      // Both are parts of the whole list, in its order.
      let health: Health = 'unhealthy';
      if (healthyIndex < healthy.length && healthy[healthyIndex] === host) {
        health = 'healthy';
        healthyIndex++;
      } else if (degradedIndex < degraded.length && degraded[degradedIndex] === host) {
        health = 'degraded';
        degradedIndex++;
      }
      const record = records.of(host, this.updates);
      const isNews = record.refresh(host, this.subsetsOf);
      for (const subset of record.subsets) if (!subset.add(host, locality, health, isNews)) tooMany++;
    }
    return tooMany;
  }

  /** Once for each selector and combination of values, though it were the same subset. */
  private readonly subsetsOf = (host: Host): readonly Subset[] => {
    const { listAsAny, defaultLabels } = this.options;
    const found: Subset[] = [];
    const { defaultSubset } = this;
    if (defaultSubset !== undefined && hasLabels(host, defaultLabels, listAsAny)) found.push(defaultSubset);
    for (const set of this.keySets.ofSelectors)
      for (const values of set.valuesOf(host, listAsAny))
        found.push(set.at(values, () => this.create(set, values)));
    return found;
  };

  private create(set: KeySet<Subset>, values: readonly MetadataValue[]): Subset {
    const subset = set.singleHost ? new SingleHostSubset() : new BalancedSubset(this.createBalancer());
    this.places.set(subset, { set, values });
    this.stats.created.inc();
    this.stats.active.inc();
    return subset;
  }

  private commit(factors: readonly number[]): void {
    this.defaultSubset?.commit(factors);
    for (const [subset, place] of this.places) {
      subset.commit(factors);
      if (subset.empty) this.remove(subset, place);
    }
  }

  private remove(subset: Subset, { set, values }: Place): void {
    this.places.delete(subset);
    set.remove(values);
    subset.close();
    this.stats.removed.inc();
    this.stats.active.dec();
  }
}

function sameLocalities({ localities: before }: HostSet, { localities: now }: HostSet): boolean {
  return (
    before.length === now.length &&
    before.every(
      ({ region, zone, subZone }, index) =>
        region === now[index].region && zone === now[index].zone && subZone === now[index].subZone,
    )
  );
}
