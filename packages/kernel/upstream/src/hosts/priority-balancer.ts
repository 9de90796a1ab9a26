import type {
  Counter,
  Host,
  HostPicker,
  HostSet,
  LoadBalancerContext,
  LoadBalancerPolicy,
  PriorityShares,
  RandomSource,
} from '@dragoman/core';
import { hashModulo } from '@dragoman/hashing';
import {
  choosePriority,
  DEGRADED_BIT,
  PRIORITY_POINTS,
  type PriorityLoad,
  priorityLoad,
} from './priority-load.ts';

export interface PriorityBalancerOptions {
  readonly policy: LoadBalancerPolicy;
  readonly random: RandomSource;
  /** Percent; asked for anew at each update (runtime may change it). */
  panicThreshold(): number;
  /** `fail_traffic_on_panic`: a priority in panic has no host at all. */
  readonly failTrafficOnPanic: boolean;
  readonly healthyPanic: Counter;
}

/** The pickers of one priority. A list that takes no traffic has none. */
interface PriorityPickers {
  readonly healthy: HostPicker | undefined;
  readonly degraded: HostPicker | undefined;
  /** Over all hosts, used in panic. */
  readonly all: HostPicker | undefined;
}

/** Chooses a priority, then lets the policy's picker of that priority choose the host. */
export class PriorityBalancer {
  private readonly options: PriorityBalancerOptions;
  private load: PriorityLoad = { healthy: [100], degraded: [0], panic: [false] };
  private pickers: PriorityPickers[] = [];
  private sets: readonly HostSet[] = [];

  constructor(options: PriorityBalancerOptions) {
    this.options = options;
  }

  /** Takes new host sets. Pickers are made anew, and go on from where their predecessors were. */
  update(sets: readonly HostSet[]): void {
    const { policy } = this.options;
    const load = priorityLoad(sets, this.options.panicThreshold());
    const before = this.pickers;
    this.load = load;
    this.sets = sets;
    this.pickers = sets.map((set, priority) => {
      const previous = before[priority];
      const panic = load.panic[priority];
      const picker = (wanted: boolean, hosts: readonly Host[], old: HostPicker | undefined) =>
        wanted && hosts.length > 0 ? policy.createPicker(hosts, old) : undefined;
      return {
        healthy: picker(!panic, set.healthyHosts, previous?.healthy),
        degraded: picker(!panic, set.degradedHosts, previous?.degraded),
        all: picker(panic, set.hosts, previous?.all),
      };
    });
  }

  choose(context: LoadBalancerContext | undefined): Host | undefined {
    let host = this.chooseOnce(context);
    if (host === undefined || context === undefined || context.shouldSkip === undefined) return host;
    const attempts = context.hostSelectionAttempts ?? 1;
    for (let attempt = 0; attempt < attempts && context.shouldSkip(host); attempt++) {
      host = this.chooseOnce(context);
      if (host === undefined) return undefined;
    }
    return host;
  }

  private chooseOnce(context: LoadBalancerContext | undefined): Host | undefined {
    const { load, pickers } = this;
    if (pickers.length === 0) return undefined;
    const single = pickers.length === 1 && load.degraded[0] === 0;
    const choice = single ? 0 : choosePriority(this.sharesFor(context), this.draw(context));
    const priority = choice & ~DEGRADED_BIT;
    const { healthy, degraded, all } = pickers[priority];
    if (load.panic[priority]) {
      this.options.healthyPanic.inc();
      return this.options.failTrafficOnPanic || all === undefined ? undefined : all.pick(context);
    }
    const picker = (choice & DEGRADED_BIT) === 0 ? healthy : degraded;
    return picker === undefined ? undefined : picker.pick(context);
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
    const { policy, random } = this.options;
    const hash = policy.usesHash === true ? context?.hash : undefined;
    return hash === undefined ? random.next() : hashModulo(hash, PRIORITY_POINTS);
  }
}
