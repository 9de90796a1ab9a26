import { type Message, prefixRoute } from './config.ts';
import { upstreamHttp } from './secure.ts';

const FILTERS = 'type.googleapis.com/envoy.extensions.filters.http';

const filter = (name: string, type: string, config: Message): Message => ({
  name: `envoy.filters.http.${name}`,
  typed_config: { '@type': `${FILTERS}.${name}.v3.${type}`, ...config },
});

export const grpcWeb: Message = filter('grpc_web', 'GrpcWeb', {});
export const connectBridge: Message = filter('connect_grpc_bridge', 'FilterConfig', {});
export const http1Bridge = (config: Message = {}): Message => filter('grpc_http1_bridge', 'Config', config);
export const reverseBridge = (config: Message): Message =>
  filter('grpc_http1_reverse_bridge', 'FilterConfig', config);
export const grpcStats = (config: Message): Message => filter('grpc_stats', 'FilterConfig', config);
export const jsonTranscoder = (config: Message): Message =>
  filter('grpc_json_transcoder', 'GrpcJsonTranscoder', config);

/** Fields of a cluster of gRPC servers. */
export const grpcCluster = (http2: Message = {}): Message => upstreamHttp({ http2_protocol_options: http2 });

/** A route of everything to cluster `upstream`, without a time limit. */
export const grpcRoute = (action: Message = {}): Message =>
  prefixRoute('/', 'upstream', { timeout: '0s', ...action });
