import { GrpcHttp1BridgeConfigSchema } from '@dragoman/api';
import { defineHttpFilter, type HttpFilterExtension, refuseUnsupported } from '@dragoman/core';
import { GrpcHttp1BridgeFilter } from './filter.ts';

const SUPPORTED: ReadonlySet<string> = new Set(['upgrade_protobuf_to_grpc', 'ignore_query_parameters']);

/** `envoy.filters.http.grpc_http1_bridge`: unary calls of HTTP/1.1 clients, which know no trailers, to gRPC servers. */
export const grpcHttp1Bridge: HttpFilterExtension = defineHttpFilter({
  name: 'envoy.filters.http.grpc_http1_bridge',
  config: GrpcHttp1BridgeConfigSchema,
  create(config) {
    refuseUnsupported(config, GrpcHttp1BridgeConfigSchema, SUPPORTED);
    const options = {
      upgradeProtobuf: config.upgradeProtobufToGrpc,
      ignoreQuery: config.ignoreQueryParameters,
    };
    return (stream) => new GrpcHttp1BridgeFilter(options, stream);
  },
});
