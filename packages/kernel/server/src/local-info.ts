import { networkInterfaces } from 'node:os';
import type { Bootstrap } from '@dragoman/api';
import type { LocalInfo } from '@dragoman/core';

/** What flags say of this proxy; they win over the bootstrap's `node`. */
export interface LocalInfoFlags {
  readonly serviceCluster: string;
  readonly serviceNode: string;
  readonly serviceZone: string;
  readonly localAddressIpVersion: 'v4' | 'v6';
}

export function readLocalInfo({ node, clusterManager }: Bootstrap, flags: LocalInfoFlags): LocalInfo {
  return {
    cluster: flags.serviceCluster || (node?.cluster ?? ''),
    node: flags.serviceNode || (node?.id ?? ''),
    zone: flags.serviceZone || (node?.locality?.zone ?? ''),
    region: node?.locality?.region ?? '',
    subZone: node?.locality?.subZone ?? '',
    localClusterName: clusterManager?.localClusterName || undefined,
    address: firstAddress(flags.localAddressIpVersion),
  };
}

/** The first address of the machine that is not the loopback; the loopback when there is no other. */
function firstAddress(version: 'v4' | 'v6'): string {
  const family = version === 'v4' ? 'IPv4' : 'IPv6';
  for (const addresses of Object.values(networkInterfaces())) {
    for (const entry of addresses ?? []) {
      if (entry.family === family && !entry.internal) return entry.address;
    }
  }
  return version === 'v4' ? '127.0.0.1' : '::1';
}
