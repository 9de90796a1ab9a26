import type { GrpcCallStatus, PoolFailureReason, StreamResetReason } from '@dragoman/core';
import { grpcStatusFromHttp, GrpcStatus } from '@dragoman/grpc-frames';
import { localStatus } from './status.ts';

/*
 * What goes wrong on the way to the upstream. In Envoy a call's router answers it with an HTTP status and a text, which become a gRPC
 * status; once the upstream has begun to answer, the stream is reset, which is INTERNAL.
 */

export const NO_CLUSTER: GrpcCallStatus = localStatus(
  GrpcStatus.UNAVAILABLE,
  'Cluster not available',
  'cluster_not_found',
);

export const NO_HOST: GrpcCallStatus = localStatus(
  GrpcStatus.UNAVAILABLE,
  'no healthy upstream',
  'no_healthy_upstream',
);

export const MAINTENANCE: GrpcCallStatus = localStatus(
  GrpcStatus.UNAVAILABLE,
  'maintenance mode',
  'maintenance_mode',
);

/** Whether or not the upstream has begun to answer. */
export const DEADLINE: GrpcCallStatus = localStatus(
  GrpcStatus.DEADLINE_EXCEEDED,
  'upstream request timeout',
  'response_timeout',
);

/** What `upstream_rq_<code>` counts of a deadline. */
export const DEADLINE_HTTP_STATUS = 504;

/** `max_stream_duration` of the cluster. @param sent the request is complete: it is the upstream that is late */
export function maxDuration(sent: boolean, responding: boolean): GrpcCallStatus {
  const details = 'upstream_max_stream_duration_reached';
  if (responding) return localStatus(GrpcStatus.INTERNAL, '', details);
  return localStatus(
    grpcStatusFromHttp(maxDurationHttpStatus(sent)),
    'upstream max stream duration reached',
    details,
  );
}

function maxDurationHttpStatus(sent: boolean): number {
  return sent ? 504 : 408;
}

/** An upstream's failure in Envoy's words. */
interface FailureText {
  readonly text: string;
  readonly httpStatus: number;
}

const failure = (text: string, httpStatus = 503): FailureText => ({ text, httpStatus });

const POOL_FAILURES: Readonly<Record<PoolFailureReason, FailureText>> = {
  overflow: failure('overflow'),
  timeout: failure('connection timeout'),
  'remote-connection-failure': failure('remote connection failure'),
  'local-connection-failure': failure('local connection failure'),
};

const RESETS: Readonly<Record<StreamResetReason, FailureText>> = {
  'local-reset': failure('local reset'),
  'remote-reset': failure('remote reset'),
  'connection-failure': failure('remote connection failure'),
  'connection-timeout': failure('connection timeout'),
  'connection-termination': failure('connection termination'),
  overflow: failure('overflow'),
  'protocol-error': failure('protocol error', 502),
  overload: failure('overload manager reset'),
  'max-requests': failure('remote refused stream reset'),
};

/** What `upstream_rq_<code>` counts of a reset before the answer. */
export function httpStatusOfReset(reason: StreamResetReason): number {
  return RESETS[reason].httpStatus;
}

/** A try that got no connection, as retry policies judge it. */
export function resetReasonOf(reason: PoolFailureReason): StreamResetReason {
  if (reason === 'overflow') return 'overflow';
  return reason === 'timeout' ? 'connection-timeout' : 'connection-failure';
}

export function statusOfPoolFailure(
  reason: PoolFailureReason,
  details: string,
  retried: boolean,
): GrpcCallStatus {
  const transport = transportReason(reason, details);
  return beforeHeaders(POOL_FAILURES[reason], transport, transport, retried);
}

/** @param responding the upstream has begun to answer */
export function statusOfReset(
  reason: StreamResetReason,
  details: string,
  retried: boolean,
  responding: boolean,
): GrpcCallStatus {
  const text = RESETS[reason];
  // How a connection ended is no part of Envoy's detail; what a codec found wrong is.
  const more = reason === 'connection-termination' ? '' : details;
  if (!responding) return beforeHeaders(text, '', more, retried);
  return localStatus(GrpcStatus.INTERNAL, '', codeDetails('after', text.text, more));
}

function beforeHeaders(
  { text, httpStatus }: FailureText,
  transport: string,
  more: string,
  retried: boolean,
): GrpcCallStatus {
  const which = retried ? 'retried and the latest ' : '';
  const why = transport === '' ? '' : `, transport failure reason: ${transport}`;
  const message = `upstream connect error or disconnect/reset before headers. ${which}reset reason: ${text}${why}`;
  return localStatus(grpcStatusFromHttp(httpStatus), message, codeDetails('before', text, more));
}

function codeDetails(when: 'before' | 'after', text: string, more: string): string {
  const reason = (more === '' ? text : `${text}|${more}`).replaceAll(' ', '_');
  return `upstream_reset_${when}_response_started{${reason}}`;
}

function transportReason(reason: PoolFailureReason, details: string): string {
  if (details === '' || reason === 'overflow' || reason === 'timeout') return '';
  // What failed is a handshake: the connection was there.
  if (details.startsWith('TLS_error')) return details;
  return reason === 'remote-connection-failure' ? `delayed connect error: ${details}` : details;
}
