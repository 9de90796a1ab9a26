import { type Host, type HostSet, type Locality, type LocalityRouting, totalWeight } from '@dragoman/core';
import { type LocalZone, sameLocality } from './local-zone.ts';

type ZoneAware = Extract<LocalityRouting, { kind: 'zone-aware' }>;

/** Shares are whole parts of this, as in Envoy. */
export const ZONE_POINTS = 10_000;

/** How the requests of a priority are spread over its localities. */
export type ZoneRoutes =
  /** Localities play no part. */
  | undefined
  /** All requests stay in the proxy's own locality. */
  | { readonly kind: 'direct'; readonly own: number }
  /** As many as it can carry stay in the own locality (none at `own` −1), the others go where there is room. */
  | {
      readonly kind: 'residual';
      readonly own: number;
      /** Of {@link ZONE_POINTS}. */
      readonly ownShare: number;
      /** Room up to and with each locality, summed; only the differences mean anything. */
      readonly room: readonly number[];
    };

export interface ZoneVerdict {
  readonly routes: ZoneRoutes;
  /** Why {@link routes} is undefined, where Envoy counts it. */
  readonly reason?: 'too-small';
}

/**
 * Envoy's zone-aware routing: the localities of the upstream hosts are compared with those of the proxies that send to them, so that each
 * locality gets as much as the others while as little as possible leaves its own.
 *
 * @param minClusterSize as runtime has it
 */
export function zoneRoutes(
  set: HostSet,
  zone: LocalZone,
  routing: ZoneAware,
  minClusterSize: number,
): ZoneVerdict {
  const { healthyHostsByLocality: healthy, localities } = set;
  const local = zone.set;
  if (local === undefined || healthy.filter((hosts) => hosts.length > 0).length < 2)
    return { routes: undefined };
  const own = localities.findIndex((locality) => sameLocality(locality, zone.locality));
  if (own < 0 || healthy[own].length === 0) return { routes: undefined };
  if (set.healthyHosts.length < minClusterSize) return { routes: undefined, reason: 'too-small' };
  const { forceLocalZoneMinSize } = routing;
  if (forceLocalZoneMinSize !== undefined && healthy[own].length >= forceLocalZoneMinSize)
    return { routes: { kind: 'direct', own } };
  const size = routing.basis === 'weights' ? totalWeight : count;
  const upstream = shares(healthy.map(size));
  const senders = shares(
    localities.map((locality) => size(hostsIn(local, locality))),
    totalOf(local, size),
  );
  if (upstream[own] >= senders[own]) return { routes: { kind: 'direct', own } };
  return { routes: residual(own, upstream, senders) };
}

function residual(own: number, upstream: readonly number[], senders: readonly number[]): ZoneRoutes {
  const room: number[] = [];
  let sum = 0;
  for (let i = 0; i < upstream.length; i++) {
    if (i !== own) sum += Math.max(0, upstream[i] - senders[i]);
    room.push(sum);
  }
  const ownShare = senders[own] > 0 ? Math.floor((upstream[own] * ZONE_POINTS) / senders[own]) : 0;
  return { kind: 'residual', own, ownShare, room };
}

function count(hosts: readonly Host[]): number {
  return hosts.length;
}

function shares(sizes: readonly number[], total = sizes.reduce((sum, size) => sum + size, 0)): number[] {
  return sizes.map((size) => (total > 0 ? Math.floor((size * ZONE_POINTS) / total) : 0));
}

function hostsIn(set: HostSet, locality: Locality): readonly Host[] {
  return set.healthyHostsByLocality.flatMap((hosts, index) =>
    sameLocality(set.localities[index], locality) ? hosts : [],
  );
}

function totalOf(set: HostSet, size: (hosts: readonly Host[]) => number): number {
  return set.healthyHostsByLocality.reduce((sum, hosts) => sum + size(hosts), 0);
}
