import {
  type GrpcHttp1ReverseBridgeFilterConfig,
  FilterConfigPerRouteSchema,
  GrpcHttp1ReverseBridgeFilterConfigSchema,
} from '@dragoman/api';
import { defineHttpFilter, type HttpFilterExtension, refuseUnsupported } from '@dragoman/core';
import { GrpcHttp1ReverseBridgeFilter, type Options, type RouteOptions } from './filter.ts';

const SUPPORTED: ReadonlySet<string> = new Set([
  'content_type',
  'withhold_grpc_frames',
  'response_size_header',
]);
const SUPPORTED_PER_ROUTE: ReadonlySet<string> = new Set(['disabled']);

/** `envoy.filters.http.grpc_http1_reverse_bridge`: unary calls of gRPC clients to servers that know HTTP/1.1 alone. */
export const grpcHttp1ReverseBridge: HttpFilterExtension = defineHttpFilter({
  name: 'envoy.filters.http.grpc_http1_reverse_bridge',
  config: GrpcHttp1ReverseBridgeFilterConfigSchema,
  perRoute: FilterConfigPerRouteSchema,
  createPerRoute(config): RouteOptions {
    refuseUnsupported(config, FilterConfigPerRouteSchema, SUPPORTED_PER_ROUTE);
    return { disabled: config.disabled };
  },
  create(config, context) {
    const options = parseConfig(config, context.warn);
    return (stream) => new GrpcHttp1ReverseBridgeFilter(options, stream);
  },
});

function parseConfig(
  config: GrpcHttp1ReverseBridgeFilterConfig,
  warn: (path: string, message: string) => void,
): Options {
  refuseUnsupported(config, GrpcHttp1ReverseBridgeFilterConfigSchema, SUPPORTED);
  const { contentType, withholdGrpcFrames: withholdFrames, responseSizeHeader } = config;
  if (responseSizeHeader !== '' && !withholdFrames)
    warn('response_size_header', 'has no effect without withhold_grpc_frames: true');
  const sizeHeader =
    withholdFrames && responseSizeHeader !== '' ? responseSizeHeader.toLowerCase() : undefined;
  return { contentType, withholdFrames, sizeHeader };
}
