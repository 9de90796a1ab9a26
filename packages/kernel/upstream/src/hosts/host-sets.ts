import type { HostListUpdate, HostSet } from '@dragoman/core';
import { isDegraded, isHealthy, UpstreamHost } from './host.ts';

/** Percent: how much of a priority may be unhealthy before traffic spills to the next (Envoy). */
export const DEFAULT_OVERPROVISIONING_FACTOR = 140;

/** The hosts of a cluster at one moment. */
export interface HostSnapshot {
  /** By identity; a second entry of the same one has a key of its own. */
  readonly byKey: ReadonlyMap<string, UpstreamHost>;
  /** One for each priority from 0 to the highest used; at least one. */
  readonly sets: readonly HostSet[];
}

/** What an update did. */
export interface HostChange {
  readonly snapshot: HostSnapshot;
  readonly removed: readonly UpstreamHost[];
}

/**
 * Builds new host sets. A host whose address (or `id`) stays is the same host: stats, connections, load. An endpoint
 * whose address cannot be read is left out and reported to `onBadAddress`.
 */
export function applyHostList(
  clusterName: string,
  previous: HostSnapshot,
  update: HostListUpdate,
  onBadAddress: (address: string) => void,
): HostChange {
  const byKey = new Map<string, UpstreamHost>();
  const highest = update.localities.reduce((most, locality) => Math.max(most, locality.priority), 0);
  const builders = Array.from({ length: highest + 1 }, (_, priority) => new SetBuilder(priority));
  for (const group of update.localities) {
    const members: UpstreamHost[] = [];
    for (const endpoint of group.endpoints) {
      const key = freeKey(byKey, endpoint.id ?? endpoint.address);
      try {
        const host = previous.byKey.get(key) ?? new UpstreamHost(clusterName, endpoint.address);
        host.update(endpoint, group.locality, group.priority);
        byKey.set(key, host);
        members.push(host);
      } catch {
        onBadAddress(endpoint.address);
      }
    }
    builders[group.priority].add(members);
  }
  const factor = update.overprovisioningFactor ?? DEFAULT_OVERPROVISIONING_FACTOR;
  const removed: UpstreamHost[] = [];
  for (const [key, host] of previous.byKey) if (byKey.get(key) !== host) removed.push(host);
  return { snapshot: { byKey, sets: builders.map((builder) => builder.build(factor)) }, removed };
}

class SetBuilder {
  private readonly priority: number;
  private readonly groups: (readonly UpstreamHost[])[] = [];

  constructor(priority: number) {
    this.priority = priority;
  }

  add(hosts: readonly UpstreamHost[]): void {
    this.groups.push(hosts);
  }

  build(overprovisioningFactor: number): HostSet {
    const hosts = this.groups.flat();
    return {
      priority: this.priority,
      hosts,
      healthyHosts: hosts.filter((host) => isHealthy(host.healthFlags)),
      degradedHosts: hosts.filter((host) => isDegraded(host.healthFlags)),
      hostsByLocality: this.groups,
      healthyHostsByLocality: this.groups.map((group) => group.filter((host) => isHealthy(host.healthFlags))),
      localityWeights: undefined,
      overprovisioningFactor,
    };
  }
}

/** Before the first update. */
export const EMPTY_SNAPSHOT: HostSnapshot = {
  byKey: new Map(),
  sets: [new SetBuilder(0).build(DEFAULT_OVERPROVISIONING_FACTOR)],
};

/** The same address may be listed twice (a way to give it more weight): each listing is a host. */
function freeKey(taken: ReadonlyMap<string, unknown>, identity: string): string {
  if (!taken.has(identity)) return identity;
  let index = 2;
  while (taken.has(`${identity} ${index}`)) index++;
  return `${identity} ${index}`;
}
