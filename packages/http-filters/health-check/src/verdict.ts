import type { Cluster, ClusterManager } from '@dragoman/core';

/** What the filter answers. `stat` names the counter of the reason, where there is one. */
export interface Verdict {
  readonly status: number;
  /** Envoy's response code details. */
  readonly details: string;
  readonly stat?: 'failed_cluster_not_found' | 'failed_cluster_empty' | 'failed_cluster_unhealthy';
  readonly degraded?: boolean;
}

const OK = 200;
const UNAVAILABLE = 503;
const WELL: Verdict = { status: OK, details: 'health_check_ok' };
const CLUSTERS_WELL: Verdict = { status: OK, details: 'health_check_ok_cluster_healthy' };
const NOT_FOUND: Verdict = {
  status: UNAVAILABLE,
  details: 'health_check_failed_no_cluster_found',
  stat: 'failed_cluster_not_found',
};
const EMPTY: Verdict = {
  status: UNAVAILABLE,
  details: 'health_check_failed_cluster_empty',
  stat: 'failed_cluster_empty',
};
const UNHEALTHY: Verdict = {
  status: UNAVAILABLE,
  details: 'health_check_failed_cluster_unhealthy',
  stat: 'failed_cluster_unhealthy',
};

/** `/healthcheck/fail` was called. */
export const FAILED: Verdict = { status: UNAVAILABLE, details: 'health_check_failed' };

/** Whether enough hosts of each cluster are healthy or degraded. The first cluster that is not well decides. */
export function judgeClusters(
  clusters: readonly (readonly [name: string, minPercent: number])[],
  manager: ClusterManager,
): Verdict {
  if (clusters.length === 0) return WELL;
  for (const [name, minPercent] of clusters) {
    const cluster = manager.get(name);
    const verdict = cluster === undefined ? NOT_FOUND : judgeCluster(cluster, minPercent);
    if (verdict !== CLUSTERS_WELL) return verdict;
  }
  return CLUSTERS_WELL;
}

function judgeCluster({ hostSets }: Cluster, minPercent: number): Verdict {
  let total = 0;
  let available = 0;
  for (const { hosts, healthyHosts, degradedHosts } of hostSets) {
    total += hosts.length;
    available += healthyHosts.length + degradedHosts.length;
  }
  if (total === 0) return minPercent === 0 ? CLUSTERS_WELL : EMPTY;
  return 100 * available < total * minPercent ? UNHEALTHY : CLUSTERS_WELL;
}
