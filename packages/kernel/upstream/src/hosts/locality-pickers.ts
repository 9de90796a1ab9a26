import type {
  Counter,
  Host,
  HostPicker,
  HostSet,
  LoadBalancerContext,
  LocalityRouting,
  PickerPolicy,
  RandomSource,
  Runtime,
} from '@dragoman/core';
import { EdfScheduler } from '@dragoman/load-balancing';
import type { LocalZone } from './local-zone.ts';
import { inPanic } from './priority-load.ts';
import { ZONE_POINTS, type ZoneRoutes, zoneRoutes } from './zone-routing.ts';

type HostLists = readonly (readonly Host[])[];

/** Over localities with weights: earliest deadline first, then a picker of the locality's own. */
export class WeightedLocalities implements HostPicker {
  private readonly pickers: readonly HostPicker[];
  private readonly scheduler: EdfScheduler;
  private readonly byLocality: readonly (HostPicker | undefined)[];

  /** Undefined when no locality can take traffic. */
  static over(
    lists: HostLists,
    weights: readonly number[],
    policy: PickerPolicy,
    previous: HostPicker | undefined,
  ): WeightedLocalities | undefined {
    const before = previous instanceof WeightedLocalities ? previous.byLocality : [];
    const byLocality = lists.map((hosts, index) =>
      weights[index] > 0 ? policy.createPicker(hosts, before[index]) : undefined,
    );
    return byLocality.some((picker) => picker !== undefined)
      ? new WeightedLocalities(byLocality, weights)
      : undefined;
  }

  private constructor(byLocality: readonly (HostPicker | undefined)[], weights: readonly number[]) {
    this.byLocality = byLocality;
    this.pickers = byLocality.filter((picker) => picker !== undefined);
    this.scheduler = new EdfScheduler(weights.filter((weight) => weight > 0));
  }

  pick(context: LoadBalancerContext | undefined): Host | undefined {
    return this.pickers[this.scheduler.next()].pick(context);
  }
}

/**
 * What each locality takes: its weight, less when so many of its hosts are away that the overprovisioning factor does not make up
 * for them (Envoy: effective locality weight).
 *
 * @param available the hosts that would take the traffic, by locality
 */
export function effectiveWeights(set: HostSet, available: HostLists): number[] {
  const { localityWeights, hostsByLocality, excludedByLocality, overprovisioningFactor } = set;
  return hostsByLocality.map((hosts, index) => {
    const counted = hosts.length - excludedByLocality[index];
    const weight = localityWeights?.[index] ?? 0;
    if (counted <= 0 || available[index].length === 0) return 0;
    const ratio = available[index].length / counted;
    return weight * Math.min(1, (overprovisioningFactor / 100) * ratio);
  });
}

/** What picking by zone counts (`cluster.<name>.lb_*`). */
export interface ZoneStats {
  readonly lbLocalClusterNotOk: Counter;
  readonly lbRecalculateZoneStructures: Counter;
  readonly lbZoneClusterTooSmall: Counter;
  readonly lbZoneNoCapacityLeft: Counter;
  readonly lbZoneRoutingAllDirectly: Counter;
  readonly lbZoneRoutingCrossZone: Counter;
  readonly lbZoneRoutingSampled: Counter;
}

/** What picking by zone needs of its cluster. */
export interface ZoneScene {
  readonly zone: LocalZone;
  readonly runtime: Runtime;
  readonly random: RandomSource;
  readonly stats: ZoneStats;
  /** Percent. */
  panicThreshold(): number;
}

const ENABLED_KEY = 'upstream.zone_routing.enabled';

type ZoneAware = Extract<LocalityRouting, { kind: 'zone-aware' }>;

/** The healthy hosts of a priority, those of the proxy's own zone first (Envoy: zone-aware routing). */
export class ZonePicker implements HostPicker {
  /** Over all healthy hosts. */
  private readonly whole: HostPicker;
  private readonly set: HostSet;
  private readonly policy: PickerPolicy;
  private readonly routing: ZoneAware;
  private readonly scene: ZoneScene;
  private byLocality: readonly (HostPicker | undefined)[];
  private routes: ZoneRoutes = undefined;
  private version = -1;

  constructor(
    set: HostSet,
    policy: PickerPolicy,
    routing: ZoneAware,
    scene: ZoneScene,
    previous: HostPicker | undefined,
  ) {
    const before = previous instanceof ZonePicker ? previous : undefined;
    this.whole = policy.createPicker(set.healthyHosts, before?.whole);
    this.set = set;
    this.policy = policy;
    this.routing = routing;
    this.scene = scene;
    this.byLocality = before?.byLocality ?? [];
    this.recalculate();
  }

  pick(context: LoadBalancerContext | undefined): Host | undefined {
    // The proxy's own cluster has changed: rare, and only here it matters.
    if (this.version !== this.scene.zone.version) this.recalculate();
    const { routes } = this;
    if (routes === undefined || !this.takesPart()) return this.whole.pick(context);
    return this.byLocality[this.chooseLocality(routes)]?.pick(context);
  }

  private recalculate(): void {
    const { scene, routing, set } = this;
    this.version = scene.zone.version;
    const minSize = scene.runtime.getInteger(
      'upstream.zone_routing.min_cluster_size',
      routing.minClusterSize,
    );
    const forced = scene.runtime.getInteger('upstream.zone_routing.force_local_zone.min_size', 0);
    const { routes, reason } = zoneRoutes(
      set,
      scene.zone,
      forced > 0 ? { ...routing, forceLocalZoneMinSize: forced } : routing,
      minSize,
    );
    if (scene.zone.set !== undefined) scene.stats.lbRecalculateZoneStructures.inc();
    if (reason === 'too-small') scene.stats.lbZoneClusterTooSmall.inc();
    this.routes = routes;
    const before = this.byLocality;
    this.byLocality =
      routes === undefined
        ? []
        : set.healthyHostsByLocality.map((hosts, index) =>
            hosts.length === 0 ? undefined : this.policy.createPicker(hosts, before[index]),
          );
  }

  /** Whether this request is one that goes by zone. */
  private takesPart(): boolean {
    const { runtime, random, zone, stats } = this.scene;
    const { routingEnabled } = this.routing;
    const all = routingEnabled >= 100 && runtime.get(ENABLED_KEY) === undefined;
    const part = { numerator: Math.round(routingEnabled * 100), denominator: 10_000 } as const;
    if (!all && !runtime.featureEnabled(ENABLED_KEY, part, random.next())) return false;
    if (zone.set !== undefined && inPanic(zone.set, this.scene.panicThreshold())) {
      stats.lbLocalClusterNotOk.inc();
      return false;
    }
    return true;
  }

  private chooseLocality(routes: NonNullable<ZoneRoutes>): number {
    const { stats, random } = this.scene;
    if (routes.kind === 'direct') {
      stats.lbZoneRoutingAllDirectly.inc();
      return routes.own;
    }
    const { own, ownShare, room } = routes;
    if (random.next() % ZONE_POINTS < ownShare) {
      stats.lbZoneRoutingSampled.inc();
      return own;
    }
    stats.lbZoneRoutingCrossZone.inc();
    const most = room[room.length - 1];
    if (most === 0) {
      // Only rounding makes this: any locality will do, as long as it has hosts.
      stats.lbZoneNoCapacityLeft.inc();
      const filled = this.byLocality.flatMap((picker, index) => (picker === undefined ? [] : [index]));
      return filled[random.next() % filled.length];
    }
    const point = random.next() % most;
    let index = 0;
    while (point >= room[index]) index++;
    return index;
  }
}
