import type {
  Host,
  HostPicker,
  HostSet,
  LoadBalancer,
  LoadBalancerContext,
  LocalityRouting,
  PickerPolicy,
  PriorityShares,
} from '@dragoman/core';
import type { Counter } from '@dragoman/core';
import { hashModulo } from '@dragoman/hashing';
import { DEFAULT_LOCALITY_ROUTING } from '@dragoman/load-balancing';
import {
  effectiveWeights,
  WeightedLocalities,
  ZonePicker,
  type ZoneScene,
  type ZoneStats,
} from './locality-pickers.ts';
import { ForeseenPicks } from './foreseen-picks.ts';
import {
  choosePriority,
  DEGRADED_BIT,
  PRIORITY_POINTS,
  type PriorityLoad,
  priorityLoad,
} from './priority-load.ts';

/** What the balancers of one cluster share. */
export interface BalancerScene extends ZoneScene {
  readonly stats: ZoneStats & { readonly lbHealthyPanic: Counter };
}

/** The pickers of one priority. A list that takes no traffic has none. */
interface PriorityPickers {
  /** What they were made of. */
  readonly set: HostSet;
  readonly panic: boolean;
  readonly healthy: HostPicker | undefined;
  readonly degraded: HostPicker | undefined;
  /** Over all hosts, used in panic. */
  readonly all: HostPicker | undefined;
}

/** Chooses a priority and, where they count, a locality; then lets the policy's picker choose the host. */
export class PriorityBalancer implements LoadBalancer {
  readonly peek: LoadBalancer['peek'];
  private readonly policy: PickerPolicy;
  private readonly routing: LocalityRouting;
  private readonly scene: BalancerScene;
  private load: PriorityLoad = { healthy: [100], degraded: [0], panic: [false] };
  private pickers: PriorityPickers[] = [];
  private sets: readonly HostSet[] = [];
  /** Made with the first pick that is told of ahead. */
  private foreseen: ForeseenPicks | undefined = undefined;

  constructor(policy: PickerPolicy, scene: BalancerScene) {
    this.policy = policy;
    this.routing = policy.locality ?? DEFAULT_LOCALITY_ROUTING;
    this.scene = scene;
    this.peek = policy.foreseeable === true ? () => this.foresee() : undefined;
  }

  /** Pickers of a priority that has changed are made anew, and go on from where their predecessors were. */
  update(sets: readonly HostSet[]): void {
    const load = priorityLoad(sets, this.scene.panicThreshold());
    const before = this.pickers;
    this.foreseen?.update(sets, this.load, load);
    this.load = load;
    this.sets = sets;
    this.pickers = sets.map((set, priority) => {
      const previous = before[priority];
      const panic = load.panic[priority];
      return previous?.set === set && previous.panic === panic
        ? previous
        : this.pickersOf(set, panic, previous);
    });
  }

  choose(context: LoadBalancerContext | undefined): Host | undefined {
    let host = this.chooseOnce(context, 0);
    if (host === undefined || context === undefined || context.shouldSkip === undefined) return host;
    const attempts = context.hostSelectionAttempts ?? 1;
    for (let attempt = 1; attempt <= attempts && context.shouldSkip(host); attempt++) {
      host = this.chooseOnce(context, attempt);
      if (host === undefined) return undefined;
    }
    return host;
  }

  close(): void {
    this.policy.close?.();
  }

  private pickersOf(set: HostSet, panic: boolean, previous: PriorityPickers | undefined): PriorityPickers {
    return {
      set,
      panic,
      healthy: panic ? undefined : this.healthyPicker(set, previous?.healthy),
      degraded: panic
        ? undefined
        : this.picker(set, set.degradedHosts, set.degradedHostsByLocality, previous?.degraded),
      all: panic ? this.pickerOfAll(set, previous?.all) : undefined,
    };
  }

  private healthyPicker(set: HostSet, previous: HostPicker | undefined): HostPicker | undefined {
    const { policy, routing, scene } = this;
    if (routing.kind === 'zone-aware' && policy.usesHash !== true && this.mayGoByZone(set))
      return new ZonePicker(set, policy, routing, scene, previous);
    return this.picker(set, set.healthyHosts, set.healthyHostsByLocality, previous);
  }

  private mayGoByZone({ healthyHosts, localities }: HostSet): boolean {
    return this.scene.zone.version > 0 && localities.length > 1 && healthyHosts.length > 0;
  }

  private picker(
    set: HostSet,
    hosts: readonly Host[],
    byLocality: readonly (readonly Host[])[],
    previous: HostPicker | undefined,
  ): HostPicker | undefined {
    if (hosts.length === 0) return undefined;
    const { policy } = this;
    const weighted = this.routing.kind === 'weighted' && set.localityWeights !== undefined;
    if (!weighted) return policy.createPicker(hosts, previous);
    if (policy.usesHash === true)
      return policy.createPicker(hosts, previous, { hosts: byLocality, weights: set.localityWeights });
    return (
      WeightedLocalities.over(byLocality, effectiveWeights(set, byLocality), policy, previous) ??
      policy.createPicker(hosts, previous)
    );
  }

  /** In panic localities do not count; but for hashing ones, whose picks must stay what they were. */
  private pickerOfAll(set: HostSet, previous: HostPicker | undefined): HostPicker | undefined {
    if (this.policy.usesHash === true) return this.picker(set, set.hosts, set.hostsByLocality, previous);
    return set.hosts.length === 0 ? undefined : this.policy.createPicker(set.hosts, previous);
  }

  private foresee(): Host | undefined {
    this.foreseen ??= new ForeseenPicks(this.sets);
    if (this.foreseen.full) return undefined;
    const host = this.pick(undefined, 0);
    if (host !== undefined) this.foreseen.push(host);
    return host;
  }

  private chooseOnce(context: LoadBalancerContext | undefined, attempt: number): Host | undefined {
    if (this.foreseen === undefined) return this.pick(context, attempt);
    // One that spreads itself over the priorities in its own way was not foreseen.
    const host = context?.priorityShares === undefined ? this.foreseen.shift() : undefined;
    return host ?? this.pick(context, attempt);
  }

  private pick(context: LoadBalancerContext | undefined, attempt: number): Host | undefined {
    const { load, pickers } = this;
    if (pickers.length === 0) return undefined;
    const single = pickers.length === 1 && load.degraded[0] === 0;
    const choice = single ? 0 : choosePriority(this.sharesFor(context), this.draw(context));
    const priority = choice & ~DEGRADED_BIT;
    const { healthy, degraded, all } = pickers[priority];
    if (load.panic[priority]) {
      this.scene.stats.lbHealthyPanic.inc();
      const fails = this.routing.kind === 'zone-aware' && this.routing.failTrafficOnPanic;
      return fails || all === undefined ? undefined : all.pick(context, attempt);
    }
    const picker = (choice & DEGRADED_BIT) === 0 ? healthy : degraded;
    return picker === undefined ? undefined : picker.pick(context, attempt);
  }

  private sharesFor(context: LoadBalancerContext | undefined): PriorityShares {
    const { load, sets } = this;
    return context?.priorityShares === undefined ? load : context.priorityShares(sets, load);
  }

  /**
   * With a policy that picks by the request's hash that hash, so that the same request meets the same priority. Others do not
   * ask for it: working it out may make a cookie.
   */
  private draw(context: LoadBalancerContext | undefined): number {
    const hash = this.policy.usesHash === true ? context?.hash : undefined;
    return hash === undefined ? this.scene.random.next() : hashModulo(hash, PRIORITY_POINTS);
  }
}
