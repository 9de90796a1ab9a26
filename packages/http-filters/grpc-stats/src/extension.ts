import { GrpcStatsFilterConfigSchema } from '@dragoman/api';
import { defineHttpFilter, type HttpFilterExtension } from '@dragoman/core';
import { GrpcCallStats, MAX_CALL_NAMES } from '@dragoman/grpc-call-stats';
import { parseConfig } from './config.ts';
import { GrpcStatsFilter } from './filter.ts';

/** `envoy.filters.http.grpc_stats`: counts gRPC and Connect calls, and their messages, under the cluster that they go to. */
export const grpcStats: HttpFilterExtension = defineHttpFilter({
  name: 'envoy.filters.http.grpc_stats',
  config: GrpcStatsFilterConfigSchema,
  create(config, context) {
    const options = parseConfig(config, context.warn);
    const calls = new GrpcCallStats('grpc', {
      maxCallNames: Math.max(MAX_CALL_NAMES, options.naming.listed),
    });
    const { clusters, random } = context;
    return (stream) => new GrpcStatsFilter(options, { calls, clusters, random }, stream);
  },
});
