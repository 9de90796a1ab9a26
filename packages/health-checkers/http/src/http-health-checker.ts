import { HealthCheck_HttpHealthCheckSchema as HttpHealthCheckSchema } from '@dragoman/api';
import {
  ConfigError,
  defineHealthChecker,
  type HealthCheckerContext,
  type HealthCheckTarget,
  RequestHeaders,
} from '@dragoman/core';
import { isUnfitForWire } from '@dragoman/header-edits';
import { CheckRequest, checkedAuthority, HttpCheckSession, USER_AGENT } from '@dragoman/health-checking';
import { type HttpCheckOptions, parseConfig } from './config.ts';
import { HttpCheckExchange } from './exchange.ts';

/** `envoy.health_checkers.http`, and `http_health_check`: a host is well when it answers a request as it should. */
export const httpHealthChecker = defineHealthChecker({
  name: 'envoy.health_checkers.http',
  config: HttpHealthCheckSchema,
  field: 'http_health_check',
  create(config, context) {
    const options = parseConfig(config, context.formatters);
    if (options.host === '' && isUnfitForWire(context.clusterName))
      throw ConfigError.at('host', `is required: the cluster's name cannot stand in a header`);
    const verifyCluster = context.scope.counter('verify_cluster');
    return {
      session(target) {
        const request = requestFor(options, context, target);
        const exchange = new HttpCheckExchange(options, request, context, verifyCluster);
        return new HttpCheckSession(context, target, options.protocol, exchange);
      },
    };
  },
});

function requestFor(
  options: HttpCheckOptions,
  context: HealthCheckerContext,
  target: HealthCheckTarget,
): CheckRequest {
  const { host, method, path, mutation, payload } = options;
  const base = new RequestHeaders();
  base.method = method;
  base.path = path;
  base.authority = checkedAuthority(target, host, context.clusterName);
  base.scheme = context.secure ? 'https' : 'http';
  base.append('user-agent', USER_AGENT);
  const protocol = options.protocol === 'http2' ? 'HTTP/2' : 'HTTP/1.1';
  if (payload === undefined) return new CheckRequest({ base, mutation, protocol }, context, target);
  const finish = (headers: RequestHeaders) => headers.set('content-length', String(payload.length));
  return new CheckRequest({ base, mutation, protocol, finish }, context, target);
}
