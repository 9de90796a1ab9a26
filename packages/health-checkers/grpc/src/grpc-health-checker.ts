import { HealthCheck_GrpcHealthCheckSchema as GrpcHealthCheckSchema } from '@dragoman/api';
import {
  ConfigError,
  defineHealthChecker,
  RequestHeaders,
  refuseUnsupported,
  writeGrpcTimeout,
} from '@dragoman/core';
import { compileHeaderMutation, isUnfitForWire } from '@dragoman/header-edits';
import { CheckRequest, checkedAuthority, HttpCheckSession, USER_AGENT } from '@dragoman/health-checking';
import { GrpcCheckExchange } from './exchange.ts';

const SUPPORTED: ReadonlySet<string> = new Set(['service_name', 'authority', 'initial_metadata']);

/** `envoy.health_checkers.grpc`, and `grpc_health_check`: a host is well when `grpc.health.v1.Health/Check` says SERVING. */
export const grpcHealthChecker = defineHealthChecker({
  name: 'envoy.health_checkers.grpc',
  config: GrpcHealthCheckSchema,
  field: 'grpc_health_check',
  create(config, context) {
    refuseUnsupported(config, GrpcHealthCheckSchema, SUPPORTED);
    const { authority, serviceName, initialMetadata } = config;
    if (isUnfitForWire(authority)) throw ConfigError.at('authority', 'may not contain NUL, CR or LF');
    if (authority === '' && isUnfitForWire(context.clusterName))
      throw ConfigError.at('authority', `is required: the cluster's name cannot stand in a header`);
    const mutation = compileHeaderMutation(initialMetadata, [], context.formatters, 'initial_metadata', '');
    const finish = (headers: RequestHeaders) => writeGrpcTimeout(headers, context.timeoutMs);
    return {
      session(target) {
        const base = new RequestHeaders();
        base.method = 'POST';
        base.path = '/grpc.health.v1.Health/Check';
        base.authority = checkedAuthority(target, authority, context.clusterName);
        base.scheme = context.secure ? 'https' : 'http';
        base.append('content-type', 'application/grpc');
        base.append('te', 'trailers');
        base.append('user-agent', USER_AGENT);
        const request = new CheckRequest({ base, mutation, protocol: 'HTTP/2', finish }, context, target);
        return new HttpCheckSession(context, target, 'http2', new GrpcCheckExchange(request, serviceName));
      },
    };
  },
});
