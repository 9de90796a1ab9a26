import {
  AdminSchema,
  type Bootstrap,
  Bootstrap_StaticResourcesSchema,
  BootstrapSchema,
  ClusterManager_OutlierDetectionSchema,
  ClusterManagerSchema,
} from '@dragoman/api';
import { ConfigError, ProblemCollector, refuseUnsupported } from '@dragoman/core';
import { StaticSecrets } from './secrets.ts';

const SUPPORTED = new Set([
  'node',
  'static_resources',
  'dynamic_resources',
  'config_sources',
  'default_config_source',
  'admin',
  'stats_config',
  'stats_flush_interval',
  'stats_flush_on_admin',
  'layered_runtime',
  'typed_dns_resolver_config',
  'dns_resolution_config',
  'watchdog',
  'watchdogs',
  'cluster_manager',
  'overload_manager',
]);

const REASONS = {
  tracing: 'tracing is not supported yet; remove it',
  hds_config: 'health discovery (HDS) is not supported yet; remove it',
  use_tcp_for_dns_lookups: 'DNS over TCP only cannot be asked for on Node; remove it',
  stats_sinks: 'stats sinks are not supported yet; scrape /stats/prometheus instead',
};

const STATIC_SUPPORTED = new Set(['listeners', 'clusters', 'secrets']);
const ADMIN_SUPPORTED = new Set([
  'access_log',
  'access_log_path',
  'profile_path',
  'address',
  'ignore_global_conn_limit',
]);

const MANAGER_SUPPORTED = new Set(['local_cluster_name', 'outlier_detection', 'load_stats_config']);
const LOG_SUPPORTED = new Set(['event_log_path']);

function checkClusterManager({ clusterManager, staticResources }: Bootstrap): void {
  if (clusterManager === undefined) return;
  refuseUnsupported(clusterManager, ClusterManagerSchema, MANAGER_SUPPORTED, '', {
    upstream_bind_config: 'a bind config for all clusters is not built yet; set it for each cluster',
  });
  if (clusterManager.outlierDetection !== undefined)
    refuseUnsupported(
      clusterManager.outlierDetection,
      ClusterManager_OutlierDetectionSchema,
      LOG_SUPPORTED,
      'outlier_detection',
      { event_service: 'events to a gRPC service are not built yet; use event_log_path' },
    );
  const { localClusterName: name } = clusterManager;
  if (name !== '' && !staticResources?.clusters.some((cluster) => cluster.name === name))
    throw ConfigError.at('local_cluster_name', `there is no cluster "${name}" in static_resources.clusters`);
}

/**
 * Refuses what a bootstrap sets at its top and this proxy does not act on; what stands deeper is refused where it is read.
 * @throws ConfigError with every such field
 */
export function checkBootstrapFields(bootstrap: Bootstrap): void {
  const problems = new ProblemCollector();
  problems.try('', () => refuseUnsupported(bootstrap, BootstrapSchema, SUPPORTED, '', REASONS));
  const { staticResources, admin } = bootstrap;
  if (staticResources !== undefined) {
    problems.try('static_resources', () =>
      refuseUnsupported(staticResources, Bootstrap_StaticResourcesSchema, STATIC_SUPPORTED),
    );
    StaticSecrets.check(staticResources.secrets, problems);
  }
  if (admin !== undefined)
    problems.try('admin', () => refuseUnsupported(admin, AdminSchema, ADMIN_SUPPORTED));
  problems.try('cluster_manager', () => checkClusterManager(bootstrap));
  problems.throwIfAny();
}
