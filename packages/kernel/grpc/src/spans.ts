import type { Clock, GrpcCallStatus, Span } from '@dragoman/core';
import type { ClientCore } from './client-core.ts';

/** The span of a call, with Envoy's tags. @param path of the method: `/package.Service/Method` */
export function startSpan(parent: Span, { settings, clock }: ClientCore, path: string): Span {
  const method = path.slice(1).replace('/', '.');
  const span = parent.spawnChild(`async ${method} egress`, clock.wallTime());
  span.setTag('upstream_cluster', settings.clusterName);
  span.setTag('upstream_address', settings.authority);
  span.setTag('component', 'proxy');
  return span;
}

/** @param status undefined: the call was cancelled */
export function endSpan(span: Span, clock: Clock, status: GrpcCallStatus | undefined): void {
  if (status === undefined) span.setTag('status', 'canceled');
  else {
    span.setTag('grpc.status_code', String(status.code));
    if (status.code !== 0) span.setTag('error', 'true');
  }
  span.finish(clock.wallTime());
}
