import type { DiscoveryExtension } from '@dragoman/core';

/** What of a cluster is acted on, and why the rest is refused. */
export interface ClusterFields {
  readonly supported: ReadonlySet<string>;
  readonly reasons: Readonly<Record<string, string>>;
}

/** Fields that the worker acts on, or the sources on main, or the discovery extension. */
const FIELDS = new Set([
  'name',
  'alt_stat_name',
  'type',
  'cluster_type',
  'connect_timeout',
  'per_connection_buffer_limit_bytes',
  'lb_policy',
  'load_balancing_policy',
  'round_robin_lb_config',
  'least_request_lb_config',
  'ring_hash_lb_config',
  'maglev_lb_config',
  'lb_subset_config',
  'common_lb_config',
  'load_assignment',
  'max_requests_per_connection',
  'circuit_breakers',
  'common_http_protocol_options',
  'http_protocol_options',
  'http2_protocol_options',
  'protocol_selection',
  'upstream_http_protocol_options',
  'typed_extension_protocol_options',
  'dns_refresh_rate',
  'dns_failure_refresh_rate',
  'dns_jitter',
  'respect_dns_ttl',
  'dns_lookup_family',
  'dns_resolvers',
  'dns_resolution_config',
  'typed_dns_resolver_config',
  'wait_for_warm_on_init',
  'cleanup_interval',
  'ignore_health_on_host_removal',
  'close_connections_on_host_health_failure',
  'health_checks',
  'outlier_detection',
  'upstream_bind_config',
  'upstream_connection_options',
  'preconnect_policy',
  'metadata',
  'transport_socket',
  'transport_socket_matches',
  'lrs_report_endpoint_metrics',
  'track_cluster_stats',
]);

const REASONS = {
  eds_cluster_config: 'is only possible in a cluster of type EDS',
  use_tcp_for_dns_lookups: 'DNS over TCP is not possible with the resolver of this platform',
  original_dst_lb_config: 'is only possible in a cluster of type ORIGINAL_DST',
  track_timeout_budgets:
    'track_timeout_budgets of envoy.config.cluster.v3.Cluster is not supported; write track_cluster_stats: { timeout_budgets: true }',
  lrs_server:
    'is not supported, as in Envoy; say where load reports go in cluster_manager.load_stats_config of the bootstrap',
} as const;

/** What of {@link FIELDS} is about hosts that are discovered on main. */
const DISCOVERED = [
  'load_assignment',
  'health_checks',
  'outlier_detection',
  'ignore_health_on_host_removal',
  'close_connections_on_host_health_failure',
  'round_robin_lb_config',
  'least_request_lb_config',
  'ring_hash_lb_config',
  'maglev_lb_config',
  'lb_subset_config',
  'dns_refresh_rate',
  'dns_failure_refresh_rate',
  'dns_jitter',
  'respect_dns_ttl',
  'dns_lookup_family',
  'dns_resolvers',
  'dns_resolution_config',
  'typed_dns_resolver_config',
] as const;
/** What is about connections and what comes on them, where those are other clusters'. */
const CONNECTIONS = [
  'upstream_bind_config',
  'upstream_connection_options',
  'preconnect_policy',
  'transport_socket_matches',
  'max_requests_per_connection',
  'lrs_report_endpoint_metrics',
] as const;

/**
 * What a cluster of a type may say.
 * @param type undefined: not known here
 * @param discovered hosts are discovered for it, or for clusters that inherit its config
 */
export function fieldsOf(type: DiscoveryExtension | undefined, discovered: boolean): ClusterFields {
  if (type?.clusterType === 'EDS')
    return { supported: new Set([...FIELDS, 'eds_cluster_config']), reasons: REASONS };
  if (type?.createBalancer === undefined) return { supported: FIELDS, reasons: REASONS };
  const name = type.clusterType ?? type.name;
  const supported = new Set(FIELDS);
  const reasons: Record<string, string> = { ...REASONS };
  const refuse = (fields: readonly string[], reason: string): void => {
    for (const field of fields) {
      supported.delete(field);
      reasons[field] = reason;
    }
  };
  refuse(
    discovered ? ['load_assignment'] : DISCOVERED,
    `has no effect in a cluster of type ${name}, which chooses its hosts itself while requests come; remove it`,
  );
  if (type.choosesMembers === true)
    refuse(
      CONNECTIONS,
      `has no effect in a cluster of type ${name}: its connections are those of its members; remove it`,
    );
  if (type.clusterType === 'ORIGINAL_DST') supported.add('original_dst_lb_config');
  return { supported, reasons };
}
