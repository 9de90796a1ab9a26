import type {
  EndpointData,
  HostListPolicy,
  HostListUpdate,
  HostSet,
  LocalityEndpoints,
} from '@dragoman/core';
import { isExcluded } from '@dragoman/load-balancing';
import { isDegraded, isHealthy, UpstreamHost } from './host.ts';
import { identityOf } from './identity.ts';

/** Percent: how much of a priority may be unhealthy before traffic spills to the next (Envoy). */
export const DEFAULT_OVERPROVISIONING_FACTOR = 140;

type Hosts = readonly UpstreamHost[];

const NONE: Hosts = [];

/** The hosts of one locality and priority: one entry of the list. */
interface HostGroup {
  readonly source: LocalityEndpoints;
  readonly hosts: Hosts;
  /** Where they begin in {@link HostSnapshot.hosts}. */
  readonly start: number;
  readonly healthy: Hosts;
  readonly degraded: Hosts;
  /** How many are left out when the health of all is judged. */
  readonly excluded: number;
}

/** The hosts of a cluster at one moment. */
export class HostSnapshot {
  readonly groups: readonly HostGroup[];
  /** In the order of the list. */
  readonly hosts: Hosts;
  /** One for each priority from 0 to the highest used; at least one. */
  readonly sets: readonly HostSet[];
  private index: Map<string, UpstreamHost> | undefined = undefined;

  constructor(groups: readonly HostGroup[], sets: readonly HostSet[]) {
    this.groups = groups;
    this.hosts = joined(groups.map((group) => group.hosts));
    this.sets = sets;
  }

  /** By identity; a second entry of the same one has a key of its own. Made when first asked for. */
  get byKey(): ReadonlyMap<string, UpstreamHost> {
    this.index ??= indexed(this.hosts);
    return this.index;
  }
}

/** Before the first update. */
export const EMPTY_SNAPSHOT = new HostSnapshot([], [setOf(0, [], DEFAULT_OVERPROVISIONING_FACTOR)]);

/** What an update did. */
export interface HostChange {
  readonly snapshot: HostSnapshot;
  readonly removed: readonly UpstreamHost[];
}

/** Tells hosts that this update has listed from those that it has not (yet). */
let updates = 0;

/**
 * Builds new host sets. A host whose address (or `id`) stays is the same host: stats, connections, load. An endpoint
 * whose address cannot be read is left out and reported to `onBadAddress`.
 *
 * What is the same object as in the update before (an endpoint, a whole locality) is taken to be unchanged, and costs next to
 * nothing. A set of which nothing has changed is the same object too.
 *
 * @param now {@link Clock.now}: since when new hosts are there
 * @param owner of new hosts
 */
export function applyHostList(
  clusterName: string,
  previous: HostSnapshot,
  update: HostListUpdate,
  now: number,
  onBadAddress: (address: string) => void,
  owner?: UpstreamHost['owner'],
): HostChange {
  const number = ++updates;
  const kept = keepGroups(previous, update, number);
  const finder = new HostFinder(previous, number, clusterName, now, owner);
  const groups: HostGroup[] = [];
  let start = 0;
  for (const [index, source] of update.localities.entries()) {
    const same = kept[index];
    if (same !== undefined) finder.passOver(same);
    const hosts = same?.hosts ?? hostsOf(source, finder, onBadAddress);
    groups.push(groupOf(source, hosts, start, same));
    start += hosts.length;
  }
  const sets = setsOf(groups, update, previous);
  return {
    snapshot: new HostSnapshot(groups, sets),
    removed: previous.hosts.filter((host) => host.listedBy !== number),
  };
}

/** Finds the groups that are still there as they were, before anything else may lay claim to their hosts. */
function keepGroups(
  previous: HostSnapshot,
  update: HostListUpdate,
  number: number,
): (HostGroup | undefined)[] {
  const left = new Map(previous.groups.map((group) => [group.source, group]));
  return update.localities.map((source) => {
    const group = left.get(source);
    if (group === undefined) return undefined;
    // Listed once more, it stands for further hosts.
    left.delete(source);
    for (const host of group.hosts) host.listedBy = number;
    return group;
  });
}

function hostsOf(
  { endpoints, locality, priority }: LocalityEndpoints,
  finder: HostFinder,
  onBadAddress: (address: string) => void,
): Hosts {
  const hosts: UpstreamHost[] = [];
  for (const endpoint of endpoints) {
    try {
      const host = finder.find(endpoint) ?? finder.create(endpoint);
      host.update(endpoint, locality, priority, finder.now);
      host.listedBy = finder.number;
      hosts.push(host);
    } catch {
      onBadAddress(endpoint.address);
    }
  }
  return hosts;
}

/** Finds endpoints' hosts of before. Most stand where they stood, one after the other; the index is for the others. */
class HostFinder {
  /** Of the update. */
  readonly number: number;
  readonly now: number;
  private readonly clusterName: string;
  private readonly owner: UpstreamHost['owner'];
  private readonly previous: HostSnapshot;
  private cursor = 0;
  /** For identities that are listed more than once: up to which number their hosts are taken. */
  private readonly repeats = new Map<string, number>();

  constructor(
    previous: HostSnapshot,
    number: number,
    clusterName: string,
    now: number,
    owner: UpstreamHost['owner'],
  ) {
    this.previous = previous;
    this.number = number;
    this.clusterName = clusterName;
    this.now = now;
    this.owner = owner;
  }

  create({ address }: EndpointData): UpstreamHost {
    const host = new UpstreamHost(this.clusterName, address, this.now);
    host.owner = this.owner;
    return host;
  }

  /** Undefined for a new one. */
  find(endpoint: EndpointData): UpstreamHost | undefined {
    const { hosts } = this.previous;
    const near = this.cursor < hosts.length ? hosts[this.cursor] : undefined;
    if (near !== undefined && this.isFree(near) && isOf(endpoint, near)) {
      this.cursor++;
      return near;
    }
    const found = this.search(identityOf(endpoint));
    if (found !== undefined) this.cursor = found.position + 1;
    return found;
  }

  passOver(group: HostGroup): void {
    this.cursor = group.start + group.hosts.length;
  }

  private search(identity: string): UpstreamHost | undefined {
    const { byKey } = this.previous;
    let host = byKey.get(identity);
    if (host === undefined || this.mayBe(identity, host)) return host;
    let index = this.repeats.get(identity) ?? 2;
    host = byKey.get(keyOf(identity, index));
    while (host !== undefined && !this.mayBe(identity, host)) host = byKey.get(keyOf(identity, ++index));
    this.repeats.set(identity, index);
    return host;
  }

  /** A key may be another's identity (`a 2`). */
  private mayBe(identity: string, host: UpstreamHost): boolean {
    return this.isFree(host) && host.identity === identity;
  }

  private isFree(host: UpstreamHost): boolean {
    return host.listedBy !== this.number;
  }
}

function isOf(endpoint: EndpointData, host: UpstreamHost): boolean {
  return endpoint === host.data || identityOf(endpoint) === host.identity;
}

/** Also notes where each host is. */
function indexed(hosts: Hosts): Map<string, UpstreamHost> {
  const byKey = new Map<string, UpstreamHost>();
  const repeats = new Map<string, number>();
  for (const [position, host] of hosts.entries()) {
    const { identity } = host;
    host.position = position;
    byKey.set(byKey.has(identity) ? freeKey(byKey, identity, repeats) : identity, host);
  }
  return byKey;
}

/** The same address may be listed twice (a way to give it more weight): each listing is a host. */
function freeKey(
  taken: ReadonlyMap<string, unknown>,
  identity: string,
  repeats: Map<string, number>,
): string {
  let index = repeats.get(identity) ?? 2;
  while (taken.has(keyOf(identity, index))) index++;
  repeats.set(identity, index + 1);
  return keyOf(identity, index);
}

function keyOf(identity: string, index: number): string {
  return `${identity} ${index}`;
}

/** @param same the group before, when it is the same but perhaps for the health of its hosts, which others decide on too */
function groupOf(
  source: LocalityEndpoints,
  hosts: Hosts,
  start: number,
  same: HostGroup | undefined,
): HostGroup {
  let healthyCount = 0;
  let degradedCount = 0;
  let excluded = 0;
  for (const { healthFlags } of hosts) {
    if (isExcluded(healthFlags)) excluded++;
    if (isHealthy(healthFlags)) healthyCount++;
    else if (isDegraded(healthFlags)) degradedCount++;
  }
  const healthy = some(hosts, healthyCount, isHealthy, same?.healthy);
  const degraded = some(hosts, degradedCount, isDegraded, same?.degraded);
  const unchanged =
    same?.start === start &&
    same.healthy === healthy &&
    same.degraded === degraded &&
    same.excluded === excluded;
  return unchanged ? same : { source, hosts, start, healthy, degraded, excluded };
}

/** The `count` of `hosts` whose flags are as wanted; the array from before if it has those. */
function some(
  hosts: Hosts,
  count: number,
  wanted: (flags: number) => boolean,
  before: Hosts | undefined,
): Hosts {
  if (count === 0) return NONE;
  if (count === hosts.length) return hosts;
  const chosen = hosts.filter((host) => wanted(host.healthFlags));
  return before !== undefined && sameItems(before, chosen) ? before : chosen;
}

function setsOf(groups: readonly HostGroup[], policy: HostListPolicy, previous: HostSnapshot): HostSet[] {
  const { overprovisioningFactor: factor = DEFAULT_OVERPROVISIONING_FACTOR, weightedPriorityHealth } = policy;
  const highest = groups.reduce((most, { source }) => Math.max(most, source.priority), 0);
  const byPriority: HostGroup[][] = Array.from({ length: highest + 1 }, () => []);
  for (const group of groups) byPriority[group.source.priority].push(group);
  return byPriority.map((members, priority) => {
    const before = previous.sets[priority];
    const weight = weightedPriorityHealth === true ? countedWeight(members) : undefined;
    const unchanged =
      before?.overprovisioningFactor === factor &&
      before.countedWeight === weight &&
      sameItems(
        members,
        previous.groups.filter((group) => group.source.priority === priority),
      );
    return unchanged ? before : setOf(priority, members, factor, weight);
  });
}

function countedWeight(groups: readonly HostGroup[]): number {
  let all = 0;
  for (const { hosts } of groups)
    for (const { healthFlags, weight } of hosts) if (!isExcluded(healthFlags)) all += weight;
  return all;
}

/** @param weight see {@link HostSet.countedWeight} */
function setOf(
  priority: number,
  groups: readonly HostGroup[],
  overprovisioningFactor: number,
  weight?: number,
): HostSet {
  const hostsByLocality = groups.map((group) => group.hosts);
  const healthyHostsByLocality = groups.map((group) => group.healthy);
  const degradedHostsByLocality = groups.map((group) => group.degraded);
  const excludedByLocality = groups.map((group) => group.excluded);
  const weighted = groups.some(({ source }) => source.weight > 0);
  return {
    priority,
    hosts: joined(hostsByLocality),
    healthyHosts: joined(healthyHostsByLocality),
    degradedHosts: joined(degradedHostsByLocality),
    localities: groups.map(({ source }) => source.locality),
    hostsByLocality,
    healthyHostsByLocality,
    degradedHostsByLocality,
    localityWeights: weighted ? groups.map(({ source }) => source.weight) : undefined,
    excludedByLocality,
    excluded: excludedByLocality.reduce((all, count) => all + count, 0),
    countedWeight: weight,
    overprovisioningFactor,
  };
}

function joined(lists: readonly Hosts[]): Hosts {
  return lists.length === 1 ? lists[0] : lists.flat();
}

function sameItems(one: readonly unknown[], other: readonly unknown[]): boolean {
  return one.length === other.length && one.every((item, index) => item === other[index]);
}
