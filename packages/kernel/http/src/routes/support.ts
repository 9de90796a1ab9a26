import {
  type DescMessage,
  DirectResponseActionSchema,
  isFieldSet,
  type MessageShape,
  RedirectActionSchema,
  RouteActionSchema,
  RouteConfigurationSchema,
  RouteMatchSchema,
  RouteSchema,
  VirtualHostSchema,
  WeightedCluster_ClusterWeightSchema,
  WeightedClusterSchema,
} from '@dragoman/api';
import { type RefusalReasons, refuseUnsupported } from '@dragoman/core';

type Fields = Readonly<Record<string, unknown>>;

/**
 * Refuses every field of a message that is set and not among those that act. A route table has a hundred thousand
 * messages: a scan over the few fields that are not supported comes first, the located errors are made after it.
 */
export class FieldGuard<D extends DescMessage> {
  private readonly schema: D;
  private readonly supported: ReadonlySet<string>;
  /** Properties that are undefined while their field is not set. */
  private readonly messages: readonly string[];
  private readonly lists: readonly string[];
  /** Members that do not act, by the property of their oneof. */
  private readonly oneofs: ReadonlyMap<string, ReadonlySet<string>>;
  /** Fields of other kinds. */
  private readonly others: readonly D['fields'][number][];
  private readonly reasons: RefusalReasons;

  constructor(schema: D, supported: readonly string[], reasons: RefusalReasons = {}) {
    this.schema = schema;
    this.supported = new Set(supported);
    this.reasons = reasons;
    const refused = schema.fields.filter((field) => !this.supported.has(field.name));
    const alone = refused.filter((field) => field.oneof === undefined);
    const names = (kind: string) =>
      alone.filter((field) => field.fieldKind === kind).map((field) => field.localName);
    this.messages = names('message');
    this.lists = names('list');
    this.others = alone.filter((field) => field.fieldKind !== 'message' && field.fieldKind !== 'list');
    const oneofs = new Map<string, Set<string>>();
    for (const { oneof, localName } of refused) {
      if (oneof === undefined) continue;
      const members = oneofs.get(oneof.localName) ?? new Set();
      oneofs.set(oneof.localName, members.add(localName));
    }
    this.oneofs = oneofs;
  }

  /** @throws ConfigError with one problem for each field that does not act */
  check(message: MessageShape<D>, path: string): void {
    if (this.mayHaveRefused(message as unknown as Fields))
      refuseUnsupported(message, this.schema, this.supported, path, this.reasons);
  }

  /** Reads properties as they are: asking protobuf-es for each field took a quarter of the time of a large table. */
  private mayHaveRefused(message: Fields): boolean {
    for (const name of this.messages) if (message[name] !== undefined) return true;
    for (const name of this.lists) if ((message[name] as readonly unknown[]).length > 0) return true;
    for (const [name, members] of this.oneofs) {
      const set = (message[name] as { readonly case: string | undefined }).case;
      if (set !== undefined && members.has(set)) return true;
    }
    for (const field of this.others) if (isFieldSet(message as never, field)) return true;
    return false;
  }
}

const HEADERS_TO_CHANGE = [
  'request_headers_to_add',
  'request_headers_to_remove',
  'response_headers_to_add',
  'response_headers_to_remove',
  'typed_per_filter_config',
];

const CORS =
  'is not supported, being deprecated: write it into typed_per_filter_config, under envoy.filters.http.cors';
const TRACING = 'tracing is not supported yet; remove it';

interface Guards {
  readonly table: FieldGuard<typeof RouteConfigurationSchema>;
  readonly virtualHost: FieldGuard<typeof VirtualHostSchema>;
  readonly route: FieldGuard<typeof RouteSchema>;
  readonly match: FieldGuard<typeof RouteMatchSchema>;
  readonly action: FieldGuard<typeof RouteActionSchema>;
  readonly weightedClusters: FieldGuard<typeof WeightedClusterSchema>;
  readonly clusterWeight: FieldGuard<typeof WeightedCluster_ClusterWeightSchema>;
  readonly redirect: FieldGuard<typeof RedirectActionSchema>;
  readonly directResponse: FieldGuard<typeof DirectResponseActionSchema>;
}

/** What acts, by message. `validate_clusters` is for whoever knows the clusters, `vhds` for whoever has virtual hosts that are discovered. */
export const GUARDS: Guards = {
  table: new FieldGuard(RouteConfigurationSchema, [
    ...HEADERS_TO_CHANGE,
    'name',
    'virtual_hosts',
    'internal_only_headers',
    'most_specific_header_mutations_wins',
    'validate_clusters',
    'cluster_specifier_plugins',
    'metadata',
    'max_direct_response_body_size_bytes',
    'ignore_port_in_host_matching',
    'ignore_path_parameters_in_path_matching',
    'request_mirror_policies',
    'vhost_header',
    'vhds',
  ]),
  virtualHost: new FieldGuard(
    VirtualHostSchema,
    [
      ...HEADERS_TO_CHANGE,
      'name',
      'domains',
      'routes',
      'matcher',
      'require_tls',
      'virtual_clusters',
      'include_request_attempt_count',
      'include_attempt_count_in_response',
      'rate_limits',
      'request_mirror_policies',
      'metadata',
      'include_is_timeout_retry_header',
      'retry_policy',
      'retry_policy_typed_config',
      'hedge_policy',
      'per_request_buffer_limit_bytes',
      'request_body_buffer_limit',
    ],
    { cors: CORS },
  ),
  route: new FieldGuard(
    RouteSchema,
    [
      ...HEADERS_TO_CHANGE,
      'name',
      'match',
      'route',
      'redirect',
      'direct_response',
      'metadata',
      'decorator',
      'stat_prefix',
      'per_request_buffer_limit_bytes',
      'request_body_buffer_limit',
    ],
    {
      tracing: TRACING,
      filter_action: 'is not supported, nor is it in Envoy; write route, redirect or direct_response',
      non_forwarding_action:
        'is not supported: it is for gRPC servers, which have no upstream; write route, redirect or direct_response',
    },
  ),
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
  action: new FieldGuard(
    RouteActionSchema,
    [
      'cluster',
      'cluster_header',
      'weighted_clusters',
      'cluster_specifier_plugin',
      'inline_cluster_specifier_plugin',
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
      'hash_policy',
      'rate_limits',
      'upgrade_configs',
      'request_mirror_policies',
      'internal_redirect_policy',
      'internal_redirect_action',
      'max_internal_redirects',
      'include_vh_rate_limits',
      'retry_policy',
      'retry_policy_typed_config',
      'hedge_policy',
      'max_grpc_timeout',
      'grpc_timeout_offset',
      'early_data_policy',
    ],
    { cors: CORS },
  ),
  weightedClusters: new FieldGuard(WeightedClusterSchema, [
    'clusters',
    'total_weight',
    'runtime_key_prefix',
    'header_name',
    'use_hash_policy',
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
  directResponse: new FieldGuard(DirectResponseActionSchema, ['status', 'body', 'body_format']),
};
