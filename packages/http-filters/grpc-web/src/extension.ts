import { GrpcWebSchema } from '@dragoman/api';
import { defineHttpFilter, type HttpFilterExtension } from '@dragoman/core';
import { GrpcCallStats } from '@dragoman/grpc-call-stats';
import { GrpcWebFilter } from './filter.ts';

/** `envoy.filters.http.grpc_web`: calls of gRPC-Web clients, in browsers, to gRPC servers. */
export const grpcWeb: HttpFilterExtension = defineHttpFilter({
  name: 'envoy.filters.http.grpc_web',
  config: GrpcWebSchema,
  create(_config, { clusters, random }) {
    const calls = new GrpcCallStats('grpc-web');
    return (stream) => new GrpcWebFilter({ calls, clusters, random }, stream);
  },
});
