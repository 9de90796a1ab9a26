import {
  type ApiConfigSource,
  ApiConfigSource_ApiType,
  ApiConfigSourceSchema,
  ApiVersion,
  ConfigSourceSchema,
  isMessage,
  type MessageShape,
  type PathConfigSource,
  toBinary,
} from '@dragoman/api';
import { atPath, ConfigError, type RefusalReasons, refuseUnsupported } from '@dragoman/core';
import { initialFetchTimeoutMs, pathConfigSource } from '@dragoman/xds-sources';
import type { RequestLimit } from './request-limiter.ts';

const DEFAULT_TOKENS = 100;
const DEFAULT_FILL_RATE = 10;
/** A primary, and one that stands in for it. */
const MAX_SERVICES = 2;

const SOURCE_FIELDS = new Set([
  'authorities',
  'path',
  'path_config_source',
  'api_config_source',
  'ads',
  'initial_fetch_timeout',
  'resource_api_version',
]);
const SOURCE_REASONS: RefusalReasons = {
  self: 'self is not supported, as in Envoy; write ads: {} for resources of the aggregated stream, or an api_config_source',
};
const API_FIELDS = new Set([
  'api_type',
  'transport_api_version',
  'grpc_services',
  'rate_limit_settings',
  'set_node_on_first_message_only',
  'refresh_delay',
  'request_timeout',
]);
const API_REASONS: RefusalReasons = {
  cluster_names: 'cluster_names is for REST; with gRPC write grpc_services',
  config_validators: 'config validators are not supported; remove them',
};

/** `envoy.config.core.v3.ConfigSource`; the API's package has another one by that name. */
export type ConfigSource = MessageShape<typeof ConfigSourceSchema>;

/** A stream to management servers, as its config says. */
export interface GrpcSource {
  readonly delta: boolean;
  /** All types that name the same servers share one stream. */
  readonly aggregated: boolean;
  readonly config: ApiConfigSource;
  readonly limit: RequestLimit | undefined;
  readonly nodeOnFirstMessageOnly: boolean;
  /** The same for the same config. */
  readonly key: string;
}

export type CompiledSource = {
  readonly config: ConfigSource;
  /** 0: whoever waits does so without end. */
  readonly initialFetchTimeoutMs: number;
  readonly authorities: readonly string[];
} & (
  | { readonly kind: 'ads' }
  | { readonly kind: 'grpc'; readonly grpc: GrpcSource }
  | { readonly kind: 'rest'; readonly rest: ApiConfigSource }
  /** `below`: the path of what `path` was made of. */
  | { readonly kind: 'path'; readonly path: PathConfigSource; readonly below: 'path_config_source' | '' }
);

export type Warn = (path: string, message: string) => void;

/** @throws ConfigError with a path below the config source */
export function compileSource(source: unknown, warn: Warn): CompiledSource {
  if (!isMessage(source, ConfigSourceSchema))
    throw ConfigError.at('', `must be a ${ConfigSourceSchema.typeName}`);
  refuseUnsupported(source, ConfigSourceSchema, SOURCE_FIELDS, '', SOURCE_REASONS);
  checkVersion(source.resourceApiVersion, 'resource_api_version');
  const common = {
    config: source,
    initialFetchTimeoutMs: initialFetchTimeoutMs(source),
    authorities: source.authorities.map(({ name }) => name),
  };
  const { configSourceSpecifier: specifier } = source;
  switch (specifier.case) {
    case 'ads':
      return { ...common, kind: 'ads' };
    case 'path':
      return { ...common, kind: 'path', path: pathConfigSource(specifier.value), below: '' };
    case 'pathConfigSource':
      return { ...common, kind: 'path', path: specifier.value, below: 'path_config_source' };
    case 'apiConfigSource':
      return atPath('api_config_source', () => {
        if (specifier.value.apiType === ApiConfigSource_ApiType.REST) {
          checkVersion(specifier.value.transportApiVersion, 'transport_api_version');
          return { ...common, kind: 'rest', rest: specifier.value };
        }
        return { ...common, kind: 'grpc', grpc: compileGrpcSource(specifier.value, warn) };
      });
    default:
      throw ConfigError.at('', 'needs one of ads, api_config_source, path_config_source');
  }
}

/**
 * Of `dynamic_resources.ads_config` too.
 * @throws ConfigError with a path below the message
 */
export function compileGrpcSource(config: ApiConfigSource, warn: Warn): GrpcSource {
  refuseUnsupported(config, ApiConfigSourceSchema, API_FIELDS, '', API_REASONS);
  checkVersion(config.transportApiVersion, 'transport_api_version');
  for (const [set, name] of [
    [config.refreshDelay, 'refresh_delay'],
    [config.requestTimeout, 'request_timeout'],
  ] as const)
    if (set !== undefined) warn(name, 'has no effect with gRPC, as in Envoy: it is for REST');
  const count = config.grpcServices.length;
  if (count === 0) throw ConfigError.at('grpc_services', 'needs the service of a management server');
  if (count > MAX_SERVICES)
    throw ConfigError.at(
      'grpc_services',
      `may name ${MAX_SERVICES} services, of which the second stands in for the first; there are ${count}`,
    );
  return {
    ...variant(config.apiType),
    config,
    limit: requestLimit(config),
    nodeOnFirstMessageOnly: config.setNodeOnFirstMessageOnly,
    key: Buffer.from(toBinary(ApiConfigSourceSchema, config)).toString('base64'),
  };
}

function variant(type: ApiConfigSource_ApiType): { readonly delta: boolean; readonly aggregated: boolean } {
  switch (type) {
    case ApiConfigSource_ApiType.GRPC:
      return { delta: false, aggregated: false };
    case ApiConfigSource_ApiType.DELTA_GRPC:
      return { delta: true, aggregated: false };
    case ApiConfigSource_ApiType.AGGREGATED_GRPC:
      return { delta: false, aggregated: true };
    case ApiConfigSource_ApiType.AGGREGATED_DELTA_GRPC:
      return { delta: true, aggregated: true };
    case ApiConfigSource_ApiType.REST:
      throw ConfigError.at('api_type', 'REST cannot carry an aggregated stream; write GRPC or DELTA_GRPC');
    default:
      throw ConfigError.at(
        'api_type',
        'is required: GRPC, DELTA_GRPC, AGGREGATED_GRPC, AGGREGATED_DELTA_GRPC or REST',
      );
  }
}

function requestLimit({ rateLimitSettings: settings }: ApiConfigSource): RequestLimit | undefined {
  if (settings === undefined) return undefined;
  const { maxTokens = DEFAULT_TOKENS, fillRate = DEFAULT_FILL_RATE } = settings;
  if (maxTokens < 1)
    throw ConfigError.at(
      'rate_limit_settings.max_tokens',
      'must be at least 1: with 0 no request would ever be sent',
    );
  if (!(fillRate > 0)) throw ConfigError.at('rate_limit_settings.fill_rate', 'must be greater than 0');
  return { maxTokens, fillRate };
}

function checkVersion(version: ApiVersion, path: string): void {
  if (version === ApiVersion.V2)
    throw ConfigError.at(path, 'V2 is gone, from Envoy as well; the management server has to speak V3');
}
