import type { Host, HostSet } from '@dragoman/core';
import { isExcluded } from '@dragoman/load-balancing';
import type { Health } from './subsets.ts';

type Hosts = readonly Host[];

const NONE: Hosts = [];

/** A priority of the cluster out of which subsets are filled. */
export interface Frame {
  readonly set: HostSet;
  /** Its localities are those of the update before, in the same order. */
  readonly sameLocalities: boolean;
  readonly weightAware: boolean;
  readonly scaleWeights: boolean;
}

/** The hosts of one subset and priority, while they are found. */
export class SetDraft {
  private readonly hosts: Host[][] = [];
  private readonly healthy: Host[][] = [];
  private readonly degraded: Host[][] = [];
  private readonly excluded: number[] = [];
  /** The weights of those that are not excluded. */
  private counted = 0;
  private latest: Host | undefined = undefined;
  private hasNews = false;

  /** Takes hosts in the order of the priority; the same one twice in a row counts once. @param isNews something of it has changed */
  add(host: Host, locality: number, health: Health, isNews: boolean): void {
    if (host === this.latest) return;
    this.latest = host;
    if (isNews) this.hasNews = true;
    push(this.hosts, locality, host);
    if (health === 'healthy') push(this.healthy, locality, host);
    else if (health === 'degraded') push(this.degraded, locality, host);
    if (isExcluded(host.healthFlags)) this.excluded[locality] = (this.excluded[locality] ?? 0) + 1;
    else this.counted += host.weight;
  }

  /** @returns `before` when it says the same */
  finish(frame: Frame, before: HostSet | undefined): HostSet {
    const localityWeights = this.weights(frame);
    const countedWeight = frame.set.countedWeight === undefined ? undefined : this.counted;
    const same = before !== undefined && before.countedWeight === countedWeight;
    if (same && this.isAs(before, frame, localityWeights)) return before;
    const { priority, localities, overprovisioningFactor } = frame.set;
    const { length } = localities;
    const hostsByLocality = filled(this.hosts, length);
    const healthyHostsByLocality = filled(this.healthy, length);
    const degradedHostsByLocality = filled(this.degraded, length);
    const excludedByLocality = Array.from({ length }, (_, index) => this.excluded[index] ?? 0);
    return {
      priority,
      hosts: joined(hostsByLocality),
      healthyHosts: joined(healthyHostsByLocality),
      degradedHosts: joined(degradedHostsByLocality),
      localities,
      hostsByLocality,
      healthyHostsByLocality,
      degradedHostsByLocality,
      localityWeights,
      excludedByLocality,
      excluded: excludedByLocality.reduce((all, count) => all + count, 0),
      countedWeight,
      overprovisioningFactor,
    };
  }

  /** Envoy's: those of the priority, each by the share of its locality's hosts that is in the subset; rounded, in floats. */
  private weights({ set, weightAware, scaleWeights }: Frame): readonly number[] | undefined {
    const { localityWeights, hostsByLocality } = set;
    if (!weightAware || !scaleWeights || localityWeights === undefined)
      return weightAware ? localityWeights : undefined;
    return localityWeights.map((weight, locality) => {
      const all = hostsByLocality[locality].length;
      const own = this.hosts[locality]?.length ?? 0;
      return all === 0 ? 0 : Math.round(Math.fround(Math.fround(weight * own) / all));
    });
  }

  private isAs(before: HostSet, frame: Frame, weights: readonly number[] | undefined): boolean {
    if (this.hasNews || !frame.sameLocalities) return false;
    if (before.overprovisioningFactor !== frame.set.overprovisioningFactor) return false;
    if (!sameNumbers(before.localityWeights, weights)) return false;
    return before.hostsByLocality.every(
      (hosts, locality) =>
        sameHosts(hosts, this.hosts[locality]) &&
        sameHosts(before.healthyHostsByLocality[locality], this.healthy[locality]) &&
        sameHosts(before.degradedHostsByLocality[locality], this.degraded[locality]) &&
        before.excludedByLocality[locality] === (this.excluded[locality] ?? 0),
    );
  }
}

function push(lists: Host[][], locality: number, host: Host): void {
  const list = lists[locality] as Host[] | undefined;
  if (list === undefined) lists[locality] = [host];
  else list.push(host);
}

function filled(lists: readonly (Hosts | undefined)[], length: number): Hosts[] {
  return Array.from({ length }, (_, locality) => lists[locality] ?? NONE);
}

function joined(lists: readonly Hosts[]): Hosts {
  return lists.length === 1 ? lists[0] : lists.flat();
}

function sameHosts(one: Hosts, other: Hosts = NONE): boolean {
  if (one.length !== other.length) return false;
  for (let i = 0; i < one.length; i++) if (one[i] !== other[i]) return false;
  return true;
}

function sameNumbers(one: readonly number[] | undefined, other: readonly number[] | undefined): boolean {
  if (one === other) return true;
  return one?.length === other?.length && one?.every((item, index) => item === other?.[index]) === true;
}
