/**
 * How one of Envoy's default tags is found in a name, in one of two ways.
 * `tokens`: a pattern over the parts between dots (`*` any one, `**` any number, `$` the value).
 * `regex`: group 1 is taken out of the name, group 2 is the value.
 */
export interface WellKnownTag {
  readonly name: string;
  readonly tokens?: string;
  readonly regex?: RegExp;
  /** A part of every name that can match, to skip the others quickly. */
  readonly contains?: string;
  /** A value that does not count as a match. */
  readonly except?: string;
}

const VALUE = '[^.]+';
const ADDRESS = String.raw`(?:(?:\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[[a-fA-F_\d]+\])_\d+)`;
const TLS_OWNER = String.raw`(?:listener|cluster)\..*?`;

function tokens(name: string, pattern: string): WellKnownTag {
  return { name: `envoy.${name}`, tokens: pattern };
}

function regex(name: string, pattern: string, contains?: string, except?: string): WellKnownTag {
  return { name: `envoy.${name}`, regex: new RegExp(pattern, 'd'), contains, except };
}

/** Envoy's default tags, in Envoy's order: from the most specific to the least. */
export const WELL_KNOWN_TAGS: readonly WellKnownTag[] = [
  regex('response_code', String.raw`_rq(_(\d{3}))$`, '_rq_'),
  regex('response_code_class', String.raw`_rq_((\d))xx$`, '_rq_'),
  regex(
    'dynamo_partition_id',
    String.raw`^http\.${VALUE}\.dynamodb\.table\.${VALUE}\.capacity\.${VALUE}(\.__partition_id=(\w{7}))$`,
    '.dynamodb.table.',
  ),
  regex(
    'dynamo_operation',
    String.raw`^http\.${VALUE}\.dynamodb\.(?:operation|table\.${VALUE}\.capacity)(\.(${VALUE}))(?:\.|$)`,
    '.dynamodb.',
  ),
  tokens('mongo_callsite', 'mongo.*.collection.*.callsite.$.query.**'),
  regex('dynamo_table', String.raw`^http\.${VALUE}\.dynamodb\.(?:table|error)\.((${VALUE})\.)`, '.dynamodb.'),
  tokens('mongo_collection', 'mongo.*.collection.$.**.query.*'),
  tokens('mongo_cmd', 'mongo.*.cmd.$.**'),
  tokens('grpc_bridge_method', 'cluster.*.grpc.*.$.**'),
  tokens('http_user_agent', 'http.*.user_agent.$.**'),
  tokens('virtual_cluster', 'vhost.*.vcluster.$.**'),
  tokens('fault_downstream_cluster', 'http.*.fault.$.**'),
  regex('ssl_cipher', String.raw`^listener\..*?\.ssl\.ciphers(\.([\w-]+))$`, '.ssl.ciphers.'),
  regex('ssl_curve', String.raw`^${TLS_OWNER}\.ssl\.curves(\.([\w-]+))$`, '.ssl.curves.'),
  regex('ssl_sigalg', String.raw`^${TLS_OWNER}\.ssl\.sigalgs(\.([\w-]+))$`, '.ssl.sigalgs.'),
  regex('ssl_version', String.raw`^${TLS_OWNER}\.ssl\.versions(\.(TLSv\d\.\d))$`, '.ssl.versions.'),
  regex('cipher_suite', String.raw`^cluster\.${VALUE}\.ssl\.ciphers(\.([\w-]+))$`, '.ssl.ciphers.'),
  tokens('grpc_bridge_service', 'cluster.*.grpc.$.**'),
  tokens('tcp_prefix', 'tcp.$.**'),
  tokens('udp_prefix', 'udp.$.**'),
  tokens('clientssl_prefix', 'auth.clientssl.$.**'),
  tokens('ratelimit_prefix', 'ratelimit.$.**'),
  tokens('cluster_name', 'cluster.$.**'),
  regex('http_conn_manager_prefix', String.raw`^listener\..*?\.http\.((${VALUE})\.)`, '.http.'),
  tokens('ext_authz_prefix', 'cluster.*.ext_authz.$.**'),
  tokens('ext_authz_prefix', 'http.*.ext_authz.$.**'),
  tokens('http_conn_manager_prefix', 'http.$.**'),
  regex(
    'worker_id',
    String.raw`^(?:listener\.(?:${ADDRESS}|${VALUE})\.|server\.|listener_manager\.)worker_((\d+)\.)`,
    'worker_',
  ),
  regex('listener_address', String.raw`^listener\.((${ADDRESS}|${VALUE})\.)`, 'listener.', 'admin'),
  tokens('virtual_host', 'vhost.$.**'),
  tokens('mongo_prefix', 'mongo.$.**'),
  regex('rds_route_config', String.raw`^http\.${VALUE}\.rds\.(([\w.-]+)\.)\w+?$`, '.rds.'),
  regex('scoped_rds_config', String.raw`^http\.${VALUE}\.scoped_rds\.(([\w.-]+)\.)\w+?$`, '.scoped_rds.'),
  tokens('route', 'vhost.*.route.$.**'),
  tokens('thrift_prefix', 'thrift.$.**'),
  tokens('redis_prefix', 'redis.$.**'),
  tokens('local_http_ratelimit_prefix', '$.http_local_rate_limit.**'),
  tokens('local_network_ratelimit_prefix', 'local_rate_limit.$.**'),
  tokens('local_listener_ratelimit_prefix', 'listener_local_ratelimit.$.**'),
  tokens('dns_filter_prefix', 'dns_filter.$.**'),
  tokens('connection_limit_prefix', 'connection_limit.$.**'),
  tokens('rbac_prefix', '$.rbac.**'),
  regex('rbac_http_prefix', String.raw`^http\.${VALUE}\.rbac\.((${VALUE})\.).*?`, '.rbac.', 'policy'),
  regex(
    'rbac_policy_name',
    String.raw`^http\.${VALUE}\.rbac\.(?:${VALUE}\.)?policy\.((${VALUE})\.).*?`,
    '.rbac.',
  ),
  regex('proxy_protocol_prefix', String.raw`^proxy_proto\.((${VALUE})\.).+$`, 'proxy_proto.', 'versions'),
  regex(
    'proxy_protocol_version',
    String.raw`^proxy_proto\.(?:${VALUE}\.)?versions\.v((\d)\.)`,
    'proxy_proto.',
  ),
  tokens('google_grpc_client_prefix', 'grpc.$.**'),
];
