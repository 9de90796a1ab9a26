import { appendForwardedIp } from '@dragoman/client-address';
import {
  type GrpcCallOptions,
  RequestHeaders,
  type Span,
  wellKnownId,
  writeGrpcTimeout,
} from '@dragoman/core';
import type { ClientCore } from './client-core.ts';
import { appendMetadata } from './metadata.ts';

const ID_TE = wellKnownId('te');
const ID_CONTENT_TYPE = wellKnownId('content-type');
const ID_INTERNAL = wellKnownId('x-envoy-internal');
const ID_EXPECTED = wellKnownId('x-envoy-expected-rq-timeout-ms');

/** Whether a call says that it comes from this proxy: it counts as internal then. */
export function saysEnvoy({ settings }: ClientCore, options: GrpcCallOptions): boolean {
  return options.envoyHeaders ?? !settings.skipEnvoyHeaders;
}

/** The headers of a call; what its time adds is {@link tellTimeout}'s. */
export function requestHeaders(
  core: ClientCore,
  path: string,
  options: GrpcCallOptions,
  timeoutMs: number,
  secure: boolean,
  span: Span | undefined,
): RequestHeaders {
  const { settings, localAddress } = core;
  const headers = new RequestHeaders();
  headers.method = 'POST';
  headers.path = path;
  headers.authority = settings.authority;
  headers.scheme = secure ? 'https' : 'http';
  // PROTOCOL-HTTP2.md has them in this order.
  headers.appendKnown(ID_TE, 'trailers');
  if (timeoutMs > 0) tellTimeout(headers, timeoutMs);
  headers.appendKnown(ID_CONTENT_TYPE, 'application/grpc');
  headers.append('grpc-accept-encoding', 'identity,gzip');
  settings.metadata.apply(headers, options.parent);
  if (options.metadata !== undefined) appendMetadata(headers, options.metadata);
  span?.inject(headers);
  options.prepareHeaders?.(headers);
  if (saysEnvoy(core, options)) {
    headers.setKnown(ID_INTERNAL, 'true');
    if (localAddress !== '') appendForwardedIp(headers, localAddress);
  }
  return headers;
}

/** Tells the upstream how long it has. @param ms more than 0 */
export function tellTimeout(headers: RequestHeaders, ms: number): void {
  const whole = Math.ceil(ms);
  writeGrpcTimeout(headers, whole);
  headers.setKnown(ID_EXPECTED, String(whole));
}
