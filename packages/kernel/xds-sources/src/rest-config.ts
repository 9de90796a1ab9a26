import {
  ApiConfigSource_ApiType,
  type ApiConfigSource,
  ApiConfigSourceSchema,
  ConfigSourceSchema,
  type DescMessage,
  durationMs,
  isMessage,
} from '@dragoman/api';
import { ConfigError, refuseUnsupported } from '@dragoman/core';
import { initialFetchTimeoutMs } from './fetch-timeout.ts';

/** How a REST service is asked. */
export interface RestSettings {
  readonly clusterName: string;
  /** `/v3/discovery:clusters` */
  readonly path: string;
  readonly refreshMs: number;
  readonly timeoutMs: number;
  /** 0: none. */
  readonly initialFetchTimeoutMs: number;
}

/** Envoy's default. */
const DEFAULT_REQUEST_TIMEOUT_MS = 1000;

/** Under which path each type is served: `google.api.http` of the services in the API. */
const PATHS: Readonly<Record<string, string>> = {
  'envoy.config.listener.v3.Listener': 'listeners',
  'envoy.config.cluster.v3.Cluster': 'clusters',
  'envoy.config.endpoint.v3.ClusterLoadAssignment': 'endpoints',
  'envoy.config.route.v3.RouteConfiguration': 'routes',
  'envoy.config.route.v3.ScopedRouteConfiguration': 'scoped-routes',
  'envoy.extensions.transport_sockets.tls.v3.Secret': 'secrets',
  'envoy.service.runtime.v3.Runtime': 'runtime',
  'envoy.config.core.v3.TypedExtensionConfig': 'extension_configs',
};

const FIELDS = new Set([
  'api_type',
  'transport_api_version',
  'cluster_names',
  'refresh_delay',
  'request_timeout',
]);
const REASONS = {
  grpc_services: 'has no meaning with api_type REST: name the cluster in cluster_names',
  rate_limit_settings: 'is for gRPC; how often a REST service is asked is refresh_delay',
  set_node_on_first_message_only: 'is for gRPC: each request to a REST service tells the node; remove it',
};

/** @throws ConfigError with paths below the ApiConfigSource */
export function compileRestSource(source: ApiConfigSource, owner: unknown, type: DescMessage): RestSettings {
  refuseUnsupported(source, ApiConfigSourceSchema, FIELDS, '', REASONS);
  const { apiType, clusterNames } = source;
  if (apiType !== ApiConfigSource_ApiType.REST)
    throw ConfigError.at('api_type', 'must be REST for a source that is asked again and again');
  const [clusterName] = clusterNames;
  if (clusterName === undefined || clusterNames.length > 1)
    throw ConfigError.at('cluster_names', `must name one cluster, not ${clusterNames.length}`);
  const name = PATHS[type.typeName];
  if (name === undefined)
    throw ConfigError.at('api_type', `resources of ${type.typeName} are not served over REST; use GRPC`);
  return {
    clusterName,
    path: `/v3/discovery:${name}`,
    refreshMs: positive(source.refreshDelay, 'refresh_delay'),
    timeoutMs: positive(source.requestTimeout, 'request_timeout', DEFAULT_REQUEST_TIMEOUT_MS),
    initialFetchTimeoutMs: initialFetchTimeoutMs(isMessage(owner, ConfigSourceSchema) ? owner : {}),
  };
}

function positive(duration: ApiConfigSource['refreshDelay'], field: string, fallback?: number): number {
  const ms = durationMs(duration) ?? fallback;
  if (ms === undefined) throw ConfigError.at(field, 'is required for a REST service');
  if (!(ms >= 1)) throw ConfigError.at(field, 'must be 1 ms or more');
  return Math.round(ms);
}
