import { type LocalReply, wellKnownId } from '@dragoman/core';
import { failureBody, failureDetails, type FailureText } from './reset-texts.ts';

const ID_OVERLOADED = wellKnownId('x-envoy-overloaded');

export const NO_HEALTHY_UPSTREAM = { status: 503, body: 'no healthy upstream' } as const;

/** The proxy itself is; the texts are Envoy's. */
export const PROXY_OVERLOADED: LocalReply = { status: 503, body: 'envoy overloaded', details: 'overload' };

export const MAINTENANCE_MODE: LocalReply = {
  status: 503,
  body: 'maintenance mode',
  details: 'maintenance_mode',
};

/** Of a cluster whose endpoints come with the wish that requests are turned away. */
export const DROPPED: LocalReply = { status: 503, body: 'drop overload', details: 'drop_overload' };

/** All of them are. */
export const ALL_DROPPED: LocalReply = {
  status: 503,
  body: 'unconditional drop overload',
  details: 'unconditional_drop_overload',
};

/** The body so far is no longer there as a whole, and nobody else has it. */
export const BODY_TOO_LARGE_TO_RETRY: LocalReply = {
  status: 507,
  body: 'exceeded request buffer limit while retrying upstream',
  details: 'request_payload_exceeded_retry_buffer_limit',
};

/** @param alternative `x-envoy-upstream-rq-timeout-alt-response`: the caller would rather have no error */
export function timeoutReply(details: string, alternative: boolean): LocalReply {
  return alternative
    ? { status: timeoutStatus(alternative), details }
    : { status: timeoutStatus(alternative), body: 'upstream request timeout', details };
}

export function timeoutStatus(alternative: boolean): number {
  return alternative ? 204 : 504;
}

/** @param complete the request is: then it is the upstream that is late */
export function maxDurationReply(complete: boolean): LocalReply {
  return {
    status: complete ? 504 : 408,
    body: 'upstream max stream duration reached',
    details: 'upstream_max_stream_duration_reached',
  };
}

/**
 * A try failed.
 *
 * @param transport why the transport did; empty when nothing is known of it
 * @param more for the details, without `transport`
 * @param responding something of the response has gone downstream, if only a 1xx
 */
export function resetReply(
  failure: FailureText,
  transport: string,
  more: string,
  retried: boolean,
  responding: boolean,
): LocalReply {
  const name = `upstream_reset_${responding ? 'after' : 'before'}_response_started`;
  return {
    status: failure.status,
    body: failureBody(failure, transport, retried),
    details: failureDetails(name, failure, transport === '' ? more : transport),
  };
}

/** The same, telling the caller that it is not its host's fault. */
export function overloaded(reply: LocalReply): LocalReply {
  return { ...reply, modifyHeaders: (headers) => headers.setKnown(ID_OVERLOADED, 'true') };
}

/** {@link DROPPED} or {@link ALL_DROPPED}, with Envoy's header. */
export function dropped(reply: LocalReply): LocalReply {
  const name = reply === ALL_DROPPED ? 'x-envoy-unconditional-drop-overload' : 'x-envoy-drop-overload';
  return { ...reply, modifyHeaders: (headers) => headers.set(name, 'true') };
}
