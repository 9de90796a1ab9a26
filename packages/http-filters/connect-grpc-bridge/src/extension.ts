import { ConnectGrpcBridgeFilterConfigSchema } from '@dragoman/api';
import { defineHttpFilter, type HttpFilterExtension } from '@dragoman/core';
import { ConnectGrpcBridgeFilter } from './filter.ts';

/** `envoy.filters.http.connect_grpc_bridge`: calls of Connect clients to gRPC servers. */
export const connectGrpcBridge: HttpFilterExtension = defineHttpFilter({
  name: 'envoy.filters.http.connect_grpc_bridge',
  config: ConnectGrpcBridgeFilterConfigSchema,
  create: () => (stream) => new ConnectGrpcBridgeFilter(stream),
});
