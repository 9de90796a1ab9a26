import type { Host, HostSet, LoadBalancer, LoadBalancerContext } from '@dragoman/core';
import { type Frame, SetDraft } from './set-draft.ts';

/** Some of a cluster's hosts, in every priority. Filled anew, priority by priority, when the cluster's hosts change. */
export interface Subset {
  /** No host in any priority. */
  readonly empty: boolean;
  /**
   * Takes a host of the priority that is being filled.
   *
   * @returns false for one too many
   */
  add(host: Host, locality: number, health: Health, isNews: boolean): boolean;
  /** The priority is complete: what was added are its hosts now. */
  complete(frame: Frame): void;
  /** All priorities are complete. @param factors overprovisioning factor of each */
  commit(factors: readonly number[]): void;
  choose(context: LoadBalancerContext | undefined): Host | undefined;
  close(): void;
}

export type Health = 'healthy' | 'degraded' | 'unhealthy';

/** Balances over its hosts with a balancer of its own. */
export class BalancedSubset implements Subset {
  private readonly balancer: LoadBalancer;
  private sets: readonly HostSet[] = [];
  private nextSets: HostSet[] = [];
  private draft: SetDraft | undefined = undefined;

  constructor(balancer: LoadBalancer) {
    this.balancer = balancer;
  }

  get empty(): boolean {
    return this.sets.every(({ hosts }) => hosts.length === 0);
  }

  add(host: Host, locality: number, health: Health, isNews: boolean): boolean {
    this.draft ??= new SetDraft();
    this.draft.add(host, locality, health, isNews);
    return true;
  }

  complete(frame: Frame): void {
    const { draft } = this;
    const { priority } = frame.set;
    const before = this.sets[priority] as HostSet | undefined;
    this.draft = undefined;
    // Without hosts it is filled in by the commit.
    if (draft !== undefined) this.nextSets[priority] = draft.finish(frame, before);
    else if (before !== undefined && before.hosts.length > 0)
      this.nextSets[priority] = emptySet(priority, frame.set.overprovisioningFactor);
  }

  commit(factors: readonly number[]): void {
    const { sets, nextSets } = this;
    const next = factors.map((factor, priority) => {
      const set = (nextSets[priority] ?? sets[priority]) as HostSet | undefined;
      const kept = set !== undefined && (set.hosts.length > 0 || set.overprovisioningFactor === factor);
      return kept ? set : emptySet(priority, factor);
    });
    this.nextSets = [];
    this.sets = next;
    this.balancer.update(next);
  }

  choose(context: LoadBalancerContext | undefined): Host | undefined {
    return this.balancer.choose(context);
  }

  close(): void {
    this.balancer.close?.();
  }
}

/** One host, whatever its health: the first of the first priority that has any. The others are one too many. */
export class SingleHostSubset implements Subset {
  private hosts: (Host | undefined)[] = [];
  private draft: Host | undefined = undefined;
  private host: Host | undefined = undefined;

  get empty(): boolean {
    return this.host === undefined;
  }

  add(host: Host): boolean {
    if (this.draft !== undefined) return false;
    this.draft = host;
    return true;
  }

  complete({ set: { priority } }: Frame): void {
    this.hosts[priority] = this.draft;
    this.draft = undefined;
  }

  commit({ length }: readonly number[]): void {
    this.hosts.length = length;
    this.host = this.hosts.find((host) => host !== undefined);
  }

  choose(): Host | undefined {
    return this.host;
  }

  close(): void {}
}

function emptySet(priority: number, overprovisioningFactor: number): HostSet {
  return {
    priority,
    hosts: [],
    healthyHosts: [],
    degradedHosts: [],
    localities: [],
    hostsByLocality: [],
    healthyHostsByLocality: [],
    degradedHostsByLocality: [],
    localityWeights: undefined,
    excludedByLocality: [],
    excluded: 0,
    overprovisioningFactor,
  };
}
