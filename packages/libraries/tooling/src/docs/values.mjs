/** Values to try the fields of a config with: of the field's kind by its descriptor, or by name where any would not do. */
import { ANY, extension, local, OPTIONAL_PLUGIN, UPSTREAM_HTTP } from './baseline.mjs';

const WELL_KNOWN = {
  'google.protobuf.Duration': '1s',
  'google.protobuf.Timestamp': '2026-01-01T00:00:00Z',
  'google.protobuf.Any': { '@type': `${ANY}google.protobuf.Struct`, value: {} },
  'google.protobuf.Struct': { a: 'b' },
  'google.protobuf.Value': 'x',
  'google.protobuf.BoolValue': true,
  'google.protobuf.StringValue': 'x',
  'google.protobuf.BytesValue': 'eA==',
  'google.protobuf.UInt32Value': 1,
  'google.protobuf.Int32Value': 1,
  'google.protobuf.UInt64Value': '1',
  'google.protobuf.Int64Value': '1',
  'google.protobuf.DoubleValue': 1,
  'google.protobuf.FloatValue': 1,
};
const MESSAGES = {
  'envoy.config.core.v3.RuntimeFractionalPercent': { default_value: { numerator: 1 } },
  'envoy.config.core.v3.HeaderValueOption': { header: { key: 'x-a', value: 'b' } },
  'envoy.config.core.v3.Metadata': { filter_metadata: { 'envoy.lb': { a: 'b' } } },
  'envoy.config.core.v3.Address': local(8081),
  'envoy.config.core.v3.CidrRange': { address_prefix: '10.0.0.0', prefix_len: 8 },
  'envoy.type.matcher.v3.RegexMatcher': { regex: 'x' },
  'envoy.type.matcher.v3.RegexMatchAndSubstitute': { pattern: { regex: '/x' }, substitution: '/y' },
  'envoy.config.route.v3.HeaderMatcher': { name: 'x-a', present_match: true },
  'envoy.config.route.v3.QueryParameterMatcher': { name: 'a', present_match: true },
  'envoy.config.route.v3.RateLimit': { actions: [{ remote_address: {} }] },
  'envoy.config.route.v3.CookieMatcher': { name: 'a', string_match: { exact: 'b' } },
  'envoy.type.matcher.v3.FilterStateMatcher': { key: 'a', string_match: { exact: 'b' } },
  'envoy.config.accesslog.v3.AccessLog': extension(
    'envoy.access_loggers.stdout',
    'envoy.extensions.access_loggers.stream.v3.StdoutAccessLog',
  ),
};

const endpoints = () => [{ lb_endpoints: [{ endpoint: { address: local(8080) } }] }];
const TEXT_FORMAT = { text_format_source: { inline_string: '%RESPONSE_CODE%\n' } };
const COMPARISON = { comparison: { op: 'GE', value: { default_value: 1, runtime_key: 'a' } } };
const TCP_FILTERS = [
  extension('envoy.filters.network.echo', 'envoy.extensions.filters.network.echo.v3.Echo'),
];
const PLAIN_SOCKET = extension(
  'envoy.transport_sockets.raw_buffer',
  'envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer',
);
const CARES = extension(
  'envoy.network.dns_resolver.cares',
  'envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig',
);

const RETRY_POLICY = { '@type': `${ANY}envoy.config.route.v3.RetryPolicy`, retry_on: '5xx' };
const MATCH_POLICY = extension(
  'envoy.path.match.uri_template.uri_template_matcher',
  'envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig',
  { path_template: '/{a}' },
);
const action = (typeName, fields) => ({ on_no_match: { action: extension('a', typeName, fields) } });

/** By `<message>.<field>`, the message without its package. */
const FIELDS = {
  'AccessLog.filter': { not_health_check_filter: {} },
  'AccessLog.typed_config': {
    '@type': `${ANY}envoy.extensions.access_loggers.file.v3.FileAccessLog`,
    path: '/dev/null',
  },
  'AccessLogFilter.and_filter': { filters: [{ not_health_check_filter: {} }, { traceable_filter: {} }] },
  'AccessLogFilter.duration_filter': COMPARISON,
  'AccessLogFilter.header_filter': { header: { name: 'x-a', present_match: true } },
  'AccessLogFilter.or_filter': { filters: [{ not_health_check_filter: {} }, { traceable_filter: {} }] },
  'AccessLogFilter.runtime_filter': { runtime_key: 'a' },
  'AccessLogFilter.status_code_filter': COMPARISON,
  'Bootstrap.static_resources': {},
  'Bootstrap.typed_dns_resolver_config': CARES,
  'Cluster.cluster_type': { name: 'envoy.cluster.static' },
  'Cluster.connect_timeout': '1s',
  'Cluster.load_assignment': { cluster_name: 'web', endpoints: endpoints() },
  'Cluster.load_balancing_policy': {
    policies: [
      {
        typed_extension_config: extension(
          'envoy.load_balancing_policies.round_robin',
          'envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin',
        ),
      },
    ],
  },
  'Cluster.name': 'plain',
  'Cluster.transport_socket': PLAIN_SOCKET,
  'Cluster.typed_dns_resolver_config': CARES,
  'Cluster.typed_extension_protocol_options': {
    [UPSTREAM_HTTP]: { '@type': ANY + UPSTREAM_HTTP, explicit_http_config: { http_protocol_options: {} } },
  },
  'ClusterLoadAssignment.endpoints': endpoints(),
  'Config.response': { inline_string: 'x' },
  'DirectResponseAction.body': { inline_string: 'x' },
  'DirectResponseAction.body_format': TEXT_FORMAT,
  'DirectResponseAction.status': 200,
  'FileAccessLog.log_format': TEXT_FORMAT,
  'FileAccessLog.path': '/dev/null',
  'FilterChain.filters': TCP_FILTERS,
  'FilterChain.transport_socket': PLAIN_SOCKET,
  'HttpConnectionManager.upgrade_configs': [{ upgrade_type: 'websocket' }],
  'HttpConnectionManager.add_proxy_protocol_connection_state': false,
  'Http1ProtocolOptions.ignore_http_11_upgrade': [{ exact: 'x' }],
  'HttpConnectionManager.early_header_mutation_extensions': [
    extension(
      'envoy.http.early_header_mutation.header_mutation',
      'envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation',
      { mutations: [{ remove: 'x-a' }] },
    ),
  ],
  'HttpConnectionManager.original_ip_detection_extensions': [
    extension(
      'envoy.http.original_ip_detection.xff',
      'envoy.extensions.http.original_ip_detection.xff.v3.XffConfig',
    ),
  ],
  'HttpConnectionManager.scoped_routes': {
    name: 'scopes',
    scope_key_builder: { fragments: [{ header_value_extractor: { name: 'x-a', index: 0 } }] },
    scoped_route_configurations_list: {
      scoped_route_configurations: [
        {
          name: 'a',
          key: { fragments: [{ string_key: 'a' }] },
          route_configuration: { virtual_hosts: [{ name: 'all', domains: ['*'] }] },
        },
      ],
    },
  },
  'HttpProtocolOptions.explicit_http_config': { http_protocol_options: {} },
  'LbEndpoint.endpoint': { address: local(8080) },
  'Listener.additional_addresses': [{ address: local() }],
  'Listener.default_filter_chain': { filters: TCP_FILTERS },
  'Listener.filter_chain_matcher': action('google.protobuf.StringValue', { value: 'a' }),
  'Listener.filter_chains': [{ filters: TCP_FILTERS }],
  'Listener.socket_options': [{ level: '1', name: '9', int_value: '1' }],
  'LocalityLbEndpoints.lb_endpoints': endpoints()[0].lb_endpoints,
  'Route.direct_response': { status: 200 },
  'Router.strict_check_headers': ['x-envoy-max-retries'],
  'Route.route': { cluster: 'web' },
  'RetryPolicy.rate_limited_retry_back_off': { reset_headers: [{ name: 'retry-after' }] },
  'RetryPolicy.retry_back_off': { base_interval: '0.1s' },
  'RetryPolicy.retry_host_predicate': [
    extension(
      'envoy.retry_host_predicates.previous_hosts',
      'envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate',
    ),
  ],
  'RetryPolicy.retry_on': '5xx',
  'RetryPolicy.retry_priority': extension(
    'envoy.retry_priorities.previous_priorities',
    'envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig',
    { update_frequency: 2 },
  ),
  'HedgePolicy.additional_request_chance': { numerator: 1 },
  'HedgePolicy.initial_requests': 2,
  'RouteAction.cluster': 'web',
  'RouteAction.cluster_specifier_plugin': OPTIONAL_PLUGIN.extension.name,
  'RouteAction.hash_policy': [{ connection_properties: { source_ip: true } }],
  'RouteAction.inline_cluster_specifier_plugin': OPTIONAL_PLUGIN,
  'RouteAction.early_data_policy': extension(
    'envoy.route.early_data_policy.default',
    'envoy.extensions.early_data.v3.DefaultEarlyDataPolicy',
  ),
  'RouteAction.internal_redirect_policy': { max_internal_redirects: 2 },
  'RouteAction.request_mirror_policies': [{ cluster: 'web' }],
  'RouteAction.upgrade_configs': [{ upgrade_type: 'websocket' }],
  'RouteAction.retry_policy_typed_config': RETRY_POLICY,
  'RouteAction.path_rewrite_policy': extension(
    'envoy.path.rewrite.uri_template.uri_template_rewriter',
    'envoy.extensions.path.rewrite.uri_template.v3.UriTemplateRewriteConfig',
    { path_template_rewrite: '/x/{a}' },
  ),
  'RouteAction.weighted_clusters': { clusters: [{ name: 'web', weight: 1 }] },
  'RouteConfiguration.cluster_specifier_plugins': [OPTIONAL_PLUGIN],
  'RouteConfiguration.request_mirror_policies': [{ cluster: 'web' }],
  'RouteConfiguration.virtual_hosts': [{ name: 'all', domains: ['*'] }],
  'Route.match': { prefix: '/' },
  'RouteMatch.path_match_policy': MATCH_POLICY,
  'RouteMatch.path_separated_prefix': '/x',
  'RouteMatch.dynamic_metadata': [{ filter: 'a', path: [{ key: 'b' }], value: { present_match: true } }],
  'Admin.access_log_path': '/dev/null',
  'Admin.profile_path': '/dev/null',
  'Bootstrap.StaticResources.clusters': [
    { name: 'web', load_assignment: { cluster_name: 'web', endpoints: endpoints() } },
  ],
  'Bootstrap.StaticResources.listeners': [{ address: local(), filter_chains: [{ filters: TCP_FILTERS }] }],
  'StderrAccessLog.log_format': TEXT_FORMAT,
  'SubstitutionFormatString.text_format_source': TEXT_FORMAT.text_format_source,
  'SubstitutionFormatString.formatters': [
    extension('envoy.formatter.metadata', 'envoy.extensions.formatter.metadata.v3.Metadata'),
  ],
  'StdoutAccessLog.log_format': TEXT_FORMAT,
  'TcpProxy.access_log': [MESSAGES['envoy.config.accesslog.v3.AccessLog']],
  'TcpProxy.cluster': 'web',
  'TcpProxy.hash_policy': [{ source_ip: {} }],
  'TcpProxy.weighted_clusters': { clusters: [{ name: 'web', weight: 1 }] },
  'VirtualHost.domains': ['example.com'],
  'VirtualHost.request_mirror_policies': [{ cluster: 'web' }],
  'VirtualHost.retry_policy_typed_config': RETRY_POLICY,
  'VirtualHost.matcher': action('envoy.config.route.v3.Route', {
    match: { prefix: '/' },
    route: { cluster: 'web' },
  }),
  'VirtualHost.virtual_clusters': [{ name: 'a', headers: [{ name: ':path', present_match: true }] }],
  'VirtualHost.routes': [{ match: { prefix: '/' }, route: { cluster: 'web' } }],
  'WeightedCluster.ClusterWeight.cluster_header': 'x-a',
  'WeightedCluster.clusters': [{ name: 'web', weight: 1 }],
};
/** Fields that exclude each other without being a oneof: the others go when one is tried. */
const EXCLUDES = {
  'VirtualHost.matcher': ['routes'],
  'WeightedCluster.ClusterWeight.cluster_header': ['name'],
};
/** What a field needs: a value for another one of its message, or of the message around it (`around`). */
const NEEDS = {
  'Listener.filter_chain_matcher': { name: 'filter_chains', value: [{ name: 'a', filters: TCP_FILTERS }] },
  'RouteAction.path_rewrite_policy': {
    around: true,
    name: 'match',
    value: { path_match_policy: MATCH_POLICY },
  },
};

const SCALAR = {
  1: 1,
  2: 1,
  3: '1',
  4: '1',
  5: 1,
  6: '1',
  7: 1,
  8: true,
  9: 'x',
  12: 'eA==',
  13: 1,
  15: 1,
  16: '1',
  17: 1,
  18: '1',
};

/** `WeightedCluster.ClusterWeight.name`: how the tables here, and of notes, name a field. */
export function fieldKey(typeName, fieldName) {
  return `${typeName.replace(/^.*\.v3\./, '')}.${fieldName}`;
}

/** Names of the fields that cannot stand beside this one. */
export function excludedBy(site, field) {
  return [
    ...(field.oneof?.fields ?? []).map(({ name }) => name),
    ...(EXCLUDES[fieldKey(site.type, field.name)] ?? []),
  ];
}

/** What must be put into the config before this field is tried; undefined: nothing. */
export function neededBy(site, field) {
  return structuredClone(NEEDS[fieldKey(site.type, field.name)]);
}

/**
 * What to try a field with: every value of an enum, else one value.
 *
 * @returns {{ value: unknown, label: string }[]}
 */
export function valuesFor(site, field) {
  const key = fieldKey(site.type, field.name);
  if (Object.hasOwn(FIELDS, key)) return [{ value: structuredClone(FIELDS[key]), label: '' }];
  if (field.fieldKind === 'enum') return enumNames(field.enum).map((name) => ({ value: name, label: name }));
  return [{ value: valueFor(field), label: '' }];
}

/** One value for a field that is no enum, in proto3 JSON. */
export function valueFor(field) {
  switch (field.fieldKind) {
    case 'scalar':
      return SCALAR[field.scalar];
    case 'message':
      return messageValue(field.message);
    case 'list':
      return [
        field.listKind === 'message'
          ? messageValue(field.message)
          : field.listKind === 'enum'
            ? enumNames(field.enum)[0]
            : SCALAR[field.scalar],
      ];
    case 'map':
      return {
        [field.mapKey === 9 ? 'x' : '1']:
          field.mapKind === 'message'
            ? messageValue(field.message)
            : field.mapKind === 'enum'
              ? enumNames(field.enum)[0]
              : SCALAR[field.scalar],
      };
    default:
      throw new Error(`no value for ${field.name}`);
  }
}

export function enumNames(desc) {
  return desc.values.map(({ name }) => name);
}

function messageValue(desc) {
  return structuredClone(WELL_KNOWN[desc.typeName] ?? MESSAGES[desc.typeName] ?? {});
}
