import { isIPv4, isIPv6 } from 'node:net';
import { KubernetesCluster_AddressFamily as Family } from '@dragoman/api';
import { type LocatedEndpoint, printable } from '@dragoman/api-discovery';
import { Address, type EndpointData } from '@dragoman/core';
import type { Slice, SliceEndpoint } from './slices.ts';

/** How slices become hosts. */
export interface HostOptions {
  /** At most one of the two; with none a slice must have exactly one TCP port. */
  readonly portName: string | undefined;
  readonly portNumber: number | undefined;
  readonly family: Family;
  readonly includeNotReady: boolean;
  readonly region: string;
}

/** The hosts of some slices, and what of them is none. */
export interface SliceHosts {
  readonly hosts: readonly LocatedEndpoint[];
  /** Endpoints that should have been hosts and cannot be, and why that of the first is so. */
  readonly omitted: number;
  readonly reason: string;
}

/** The namespace of the hosts' metadata. */
const METADATA = 'dragoman.clusters.kubernetes';

/** Hosts of the slices, those of one address perhaps several times. Slices are taken in the order of their names. */
export function hostsOf(slices: ReadonlyMap<string, Slice>, options: HostOptions): SliceHosts {
  const names = [...slices.keys()].sort();
  const all = names.map((name) => slices.get(name) as Slice);
  const accepted = acceptedTypes(all, options.family);
  const hosts: LocatedEndpoint[] = [];
  let omitted = 0;
  let reason = '';
  const omit = (count: number, why: string): void => {
    if (omitted === 0 && count > 0) reason = why;
    omitted += count;
  };
  for (const slice of all) {
    if (!accepted.has(slice.addressType)) {
      if (!isIpType(slice.addressType))
        omit(
          slice.endpoints.length,
          `slice ${slice.name} holds addresses of type ${printable(slice.addressType)}, not IPs; names belong into a STRICT_DNS cluster`,
        );
      continue;
    }
    const port = portOf(slice, options);
    if (typeof port === 'string') {
      omit(slice.endpoints.length, `slice ${slice.name} ${port}`);
      continue;
    }
    for (const endpoint of slice.endpoints) {
      const health = healthOf(endpoint);
      if (health === 'unhealthy' && !options.includeNotReady) continue;
      if (!isAddress(endpoint.address, slice.addressType))
        omit(
          1,
          `slice ${slice.name} has an ${slice.addressType} address that is none: ${printable(endpoint.address)}`,
        );
      else hosts.push(hostOf(endpoint, port, health, options.region));
    }
  }
  return { hosts, omitted, reason };
}

const isIpType = (type: string): boolean => type === 'IPv4' || type === 'IPv6';

function acceptedTypes(slices: readonly Slice[], family: Family): ReadonlySet<string> {
  switch (family) {
    case Family.V4_ONLY:
      return new Set(['IPv4']);
    case Family.V6_ONLY:
      return new Set(['IPv6']);
    case Family.ALL:
      return new Set(['IPv4', 'IPv6']);
    default:
      return new Set([slices.some(({ addressType }) => addressType === 'IPv4') ? 'IPv4' : 'IPv6']);
  }
}

/** A pod that is going away and still answers gets no new requests; what it is at is brought to an end. */
function healthOf({ ready, serving, terminating }: SliceEndpoint): NonNullable<EndpointData['health']> {
  if (ready) return 'healthy';
  return serving && terminating ? 'draining' : 'unhealthy';
}

/** The number, or what is wrong with the slice's ports. */
function portOf({ ports }: Slice, { portName, portNumber }: HostOptions): number | string {
  const tcp = ports.filter(({ protocol }) => protocol === 'TCP');
  const listed = tcp
    .map(({ name, number }) => printable(`${name || '(unnamed)'} ${number ?? 'any'}`))
    .join(', ');
  if (portNumber !== undefined) {
    return tcp.some(({ number }) => number === portNumber || number === undefined)
      ? portNumber
      : `has no TCP port ${portNumber}; it has: ${listed || 'none'}`;
  }
  const found = portName === undefined ? tcp : tcp.filter(({ name }) => name === portName);
  if (portName === undefined && tcp.length !== 1)
    return `has ${tcp.length} TCP ports; say which with port_name or port_number: ${listed || 'none'}`;
  if (found.length === 0) return `has no TCP port named ${portName}; it has: ${listed || 'none'}`;
  const { number } = found[0];
  if (number === undefined) return 'says "every port"; give port_number';
  return Number.isInteger(number) && number > 0 && number <= 65_535 ? number : 'has a port out of range';
}

function isAddress(text: string, type: string): boolean {
  return type === 'IPv4' ? isIPv4(text) : isIPv6(text) && !text.includes('%');
}

function hostOf(
  endpoint: SliceEndpoint,
  port: number,
  health: NonNullable<EndpointData['health']>,
  region: string,
): LocatedEndpoint {
  const metadata = {
    ...(endpoint.targetKind === '' ? {} : { kind: endpoint.targetKind }),
    ...(endpoint.targetName === '' ? {} : { name: endpoint.targetName }),
    ...(endpoint.node === '' ? {} : { node: endpoint.node }),
  };
  return {
    locality: { region, zone: endpoint.zone, subZone: '' },
    endpoint: {
      address: Address.ip(endpoint.address, port).text,
      hostname: endpoint.hostname,
      weight: 1,
      ...(Object.keys(metadata).length === 0 ? {} : { metadata: { [METADATA]: metadata } }),
      ...(health === 'healthy' ? {} : { health }),
    },
  };
}
