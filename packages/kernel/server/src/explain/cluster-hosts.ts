import { type Cluster, Cluster_DiscoveryType } from '@dragoman/api';
import { HealthFlag } from '@dragoman/core';
import type { ClusterHosts } from '@dragoman/http';
import type { ClusterReport } from '../worker/cluster-report.ts';

type Lookup = (name: string) => ClusterHosts | undefined;

/** What a configuration says of clusters: the endpoints that are written down. */
export function configuredHosts(clusters: Iterable<Cluster>): Lookup {
  const known = new Map<string, ClusterHosts>();
  for (const cluster of clusters) {
    const endpoints = cluster.loadAssignment?.endpoints ?? [];
    const total = endpoints.reduce((sum, { lbEndpoints }) => sum + lbEndpoints.length, 0);
    known.set(cluster.name, { total, healthy: undefined, type: typeOf(cluster) });
  }
  return (name) => known.get(name);
}

/** What the workers know of clusters: the hosts that discovery found, and which of them are well. */
export function runningHosts(clusters: Iterable<Cluster>, reports: readonly ClusterReport[]): Lookup {
  const known = new Map<string, ClusterHosts>();
  const configured = configuredHosts(clusters);
  for (const { name, priorities } of reports) {
    const hosts = priorities.flatMap(({ localities }) => localities.flatMap((locality) => locality.hosts));
    known.set(name, {
      total: hosts.length,
      healthy: hosts.filter(({ healthFlags }) => (healthFlags & ~DEGRADED) === 0).length,
      type: configured(name)?.type ?? '',
    });
  }
  return (name) => known.get(name) ?? configured(name);
}

/** A host that is slow still takes requests. */
const DEGRADED = HealthFlag.degraded_active_hc | HealthFlag.degraded_eds_health;

function typeOf({ clusterDiscoveryType }: Cluster): string {
  switch (clusterDiscoveryType.case) {
    case 'clusterType':
      return clusterDiscoveryType.value.name;
    default:
      return Cluster_DiscoveryType[clusterDiscoveryType.value ?? 0] ?? 'STATIC';
  }
}
