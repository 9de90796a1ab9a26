import {
  type DescMessage,
  DirectResponseActionSchema,
  isFieldSet,
  type MessageShape,
  RedirectActionSchema,
  RouteAction_MaxStreamDurationSchema,
  RouteActionSchema,
  RouteConfigurationSchema,
  RouteMatchSchema,
  RouteSchema,
  VirtualHostSchema,
  WeightedCluster_ClusterWeightSchema,
  WeightedClusterSchema,
} from '@dragoman/api';
import { refuseUnsupported } from '@dragoman/core';

/**
 * Refuses every field of a message that is set and not among those that act. A route table has a hundred thousand
 * messages: a scan over the few fields that are not supported comes first, the located errors are made after it.
 */
export class FieldGuard<D extends DescMessage> {
  private readonly schema: D;
  private readonly supported: ReadonlySet<string>;
  private readonly refused: readonly D['fields'][number][];

  constructor(schema: D, supported: readonly string[]) {
    this.schema = schema;
    this.supported = new Set(supported);
    this.refused = schema.fields.filter((field) => !this.supported.has(field.name));
  }

  /** @throws ConfigError with one problem for each field that does not act */
  check(message: MessageShape<D>, path: string): void {
    for (const field of this.refused) {
      if (!isFieldSet(message, field)) continue;
      refuseUnsupported(message, this.schema, this.supported, path);
    }
  }
}

const HEADERS_TO_CHANGE = [
  'request_headers_to_add',
  'request_headers_to_remove',
  'response_headers_to_add',
  'response_headers_to_remove',
  'typed_per_filter_config',
];

interface Guards {
  readonly table: FieldGuard<typeof RouteConfigurationSchema>;
  readonly virtualHost: FieldGuard<typeof VirtualHostSchema>;
  readonly route: FieldGuard<typeof RouteSchema>;
  readonly match: FieldGuard<typeof RouteMatchSchema>;
  readonly action: FieldGuard<typeof RouteActionSchema>;
  readonly maxStreamDuration: FieldGuard<typeof RouteAction_MaxStreamDurationSchema>;
  readonly weightedClusters: FieldGuard<typeof WeightedClusterSchema>;
  readonly clusterWeight: FieldGuard<typeof WeightedCluster_ClusterWeightSchema>;
  readonly redirect: FieldGuard<typeof RedirectActionSchema>;
  readonly directResponse: FieldGuard<typeof DirectResponseActionSchema>;
}

/** What acts, by message. `validate_clusters` is for whoever knows the clusters. */
export const GUARDS: Guards = {
  table: new FieldGuard(RouteConfigurationSchema, [
    ...HEADERS_TO_CHANGE,
    'name',
    'virtual_hosts',
    'internal_only_headers',
    'most_specific_header_mutations_wins',
    'validate_clusters',
    'max_direct_response_body_size_bytes',
    'ignore_port_in_host_matching',
    'ignore_path_parameters_in_path_matching',
    'vhost_header',
  ]),
  virtualHost: new FieldGuard(VirtualHostSchema, [
    ...HEADERS_TO_CHANGE,
    'name',
    'domains',
    'routes',
    'matcher',
    'require_tls',
    'virtual_clusters',
    'include_request_attempt_count',
    'include_attempt_count_in_response',
  ]),
  route: new FieldGuard(RouteSchema, [
    ...HEADERS_TO_CHANGE,
    'name',
    'match',
    'route',
    'redirect',
    'direct_response',
    'metadata',
    'decorator',
    'stat_prefix',
  ]),
  match: new FieldGuard(RouteMatchSchema, [
    'prefix',
    'path',
    'safe_regex',
    'path_separated_prefix',
    'connect_matcher',
    'path_match_policy',
    'case_sensitive',
    'runtime_fraction',
    'headers',
    'query_parameters',
    'grpc',
    'tls_context',
    'dynamic_metadata',
    'filter_state',
    'cookies',
  ]),
  action: new FieldGuard(RouteActionSchema, [
    'cluster',
    'cluster_header',
    'weighted_clusters',
    'cluster_not_found_response_code',
    'metadata_match',
    'prefix_rewrite',
    'regex_rewrite',
    'path_rewrite_policy',
    'host_rewrite_literal',
    'auto_host_rewrite',
    'host_rewrite_header',
    'host_rewrite_path_regex',
    'append_x_forwarded_host',
    'timeout',
    'idle_timeout',
    'priority',
    'max_stream_duration',
  ]),
  maxStreamDuration: new FieldGuard(RouteAction_MaxStreamDurationSchema, ['max_stream_duration']),
  weightedClusters: new FieldGuard(WeightedClusterSchema, [
    'clusters',
    'total_weight',
    'runtime_key_prefix',
    'header_name',
  ]),
  clusterWeight: new FieldGuard(WeightedCluster_ClusterWeightSchema, [
    ...HEADERS_TO_CHANGE,
    'name',
    'cluster_header',
    'weight',
    'metadata_match',
    'host_rewrite_literal',
  ]),
  redirect: new FieldGuard(RedirectActionSchema, [
    'https_redirect',
    'scheme_redirect',
    'host_redirect',
    'port_redirect',
    'path_redirect',
    'prefix_rewrite',
    'regex_rewrite',
    'response_code',
    'strip_query',
  ]),
  directResponse: new FieldGuard(DirectResponseActionSchema, ['status', 'body']),
};
