import {
  type ApiConfigSource,
  ApiConfigSource_ApiType,
  ApiConfigSourceSchema,
  ApiVersion,
} from '@dragoman/api';
import {
  atPath,
  ConfigError,
  type GrpcClient,
  type GrpcClientFactory,
  type RefusalReasons,
  refuseUnsupported,
} from '@dragoman/core';

const FIELDS = new Set([
  'api_type',
  'transport_api_version',
  'grpc_services',
  'set_node_on_first_message_only',
  'refresh_delay',
  'request_timeout',
]);
const REASONS: RefusalReasons = {
  cluster_names: 'cluster_names is for REST; load reports go over gRPC, to the cluster of grpc_services',
  rate_limit_settings: 'has no effect on load reports: the server says how often it wants them; remove it',
  config_validators: 'has no effect on load reports; remove it',
};

/** A server says more than a list of cluster names to nobody. As gRPC's default. */
const MAX_RESPONSE_BYTES = 4 * 1024 * 1024;

export interface LoadStatsSettings {
  readonly client: GrpcClient;
  readonly nodeOnFirstMessageOnly: boolean;
}

/** @throws ConfigError with a path below the message */
export function compileConfig(
  config: ApiConfigSource,
  grpc: GrpcClientFactory,
  warn: (path: string, message: string) => void,
): LoadStatsSettings {
  refuseUnsupported(config, ApiConfigSourceSchema, FIELDS, '', REASONS);
  const { apiType, grpcServices } = config;
  if (apiType !== ApiConfigSource_ApiType.GRPC && apiType !== ApiConfigSource_ApiType.DELTA_GRPC)
    throw ConfigError.at('api_type', 'must be GRPC: load reports have a stream of their own');
  if (config.transportApiVersion === ApiVersion.V2)
    throw ConfigError.at(
      'transport_api_version',
      'V2 is gone, from Envoy as well; the server has to speak V3',
    );
  for (const [set, name] of [
    [config.refreshDelay, 'refresh_delay'],
    [config.requestTimeout, 'request_timeout'],
  ] as const)
    if (set !== undefined) warn(name, 'has no effect with gRPC, as in Envoy: it is for REST');
  const [service] = grpcServices;
  if (service === undefined || grpcServices.length > 1)
    throw ConfigError.at(
      'grpc_services',
      `must name one service, which takes the reports; there are ${grpcServices.length}`,
    );
  const client = atPath('grpc_services[0]', () =>
    grpc.create(service, { requireCluster: true, maxReceiveBytes: MAX_RESPONSE_BYTES }),
  );
  return { client, nodeOnFirstMessageOnly: config.setNodeOnFirstMessageOnly };
}
