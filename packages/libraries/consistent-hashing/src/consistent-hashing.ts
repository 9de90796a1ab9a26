import type {
  Gauge,
  Host,
  HostPicker,
  LoadBalancerContext,
  LoadBalancerContextForCluster,
  LocalityRouting,
  PickerLocalities,
  PickerPolicy,
  RandomSource,
} from '@dragoman/core';
import { NO_HOST } from '@dragoman/load-balancing';
import { BoundedLoad } from './bounded-load.ts';
import type { HashingSettings } from './settings.ts';
import { normalizeWeights, type WeightedHosts } from './weighted-hosts.ts';

const TWO_32 = 2 ** 32;

/** Where each hash belongs. A snapshot. */
export interface HashTable {
  /**
   * The number of the host of a hash. Does not allocate.
   *
   * @param high unsigned
   * @param low unsigned
   * @param attempt 0; or of a repeated pick, because the host of the one before is to be skipped: 1, 2, …
   */
  find(high: number, low: number, attempt: number): number;
}

/** A policy that picks by hash out of a table of the hosts (Envoy: ThreadAwareLoadBalancerBase). */
export class ConsistentHashing implements PickerPolicy {
  readonly usesHash = true;
  readonly locality: LocalityRouting | undefined;
  private readonly settings: HashingSettings;
  private readonly random: RandomSource;
  private readonly openRequests: Gauge;
  private readonly build: (hosts: WeightedHosts) => HashTable;

  /** @param build makes the table of one host or more */
  constructor(
    settings: HashingSettings,
    { random, stats }: LoadBalancerContextForCluster,
    build: (hosts: WeightedHosts) => HashTable,
  ) {
    this.settings = settings;
    this.locality = settings.localityWeighted ? { kind: 'weighted' } : undefined;
    this.random = random;
    this.openRequests = stats.gauge('upstream_rq_active');
    this.build = build;
  }

  createPicker(
    hosts: readonly Host[],
    _previous: HostPicker | undefined,
    localities?: PickerLocalities,
  ): HostPicker {
    const weighted = normalizeWeights(hosts, localities);
    if (weighted.hosts.length === 0) return NO_HOST;
    const { balanceFactor } = this.settings;
    const bounds =
      balanceFactor === 0 ? undefined : new BoundedLoad(weighted, balanceFactor, this.openRequests);
    return new HashPicker(weighted.hosts, this.build(weighted), bounds, this.random);
  }
}

class HashPicker implements HostPicker {
  private readonly hosts: readonly Host[];
  private readonly table: HashTable;
  private readonly bounds: BoundedLoad | undefined;
  private readonly random: RandomSource;

  constructor(
    hosts: readonly Host[],
    table: HashTable,
    bounds: BoundedLoad | undefined,
    random: RandomSource,
  ) {
    this.hosts = hosts;
    this.table = table;
    this.bounds = bounds;
    this.random = random;
  }

  /** A request without a hash goes anywhere. */
  pick(context: LoadBalancerContext | undefined, attempt = 0): Host | undefined {
    const hash = context?.hash;
    const high = hash === undefined ? this.random.next() % TWO_32 : hash.high;
    const low = hash === undefined ? this.random.next() % TWO_32 : hash.low;
    const found = this.table.find(high, low, attempt);
    return this.hosts[this.bounds === undefined ? found : this.bounds.choose(found, low)];
  }
}
