import { type PoolFailureReason, ResponseFlag, type StreamResetReason } from '@dragoman/core';

/** What an upstream failure is called and answered with. Texts, flags and status are Envoy's. */
export interface FailureText {
  /** In the body: `… reset reason: <text>`. */
  readonly text: string;
  /** Bit of {@link ResponseFlag}. */
  readonly flag: number;
  readonly status: number;
}

const CONNECTION_FAILURE: FailureText = {
  text: 'remote connection failure',
  flag: ResponseFlag.UpstreamConnectionFailure,
  status: 503,
};
const CONNECTION_TIMEOUT: FailureText = {
  text: 'connection timeout',
  flag: ResponseFlag.UpstreamConnectionFailure,
  status: 503,
};
const OVERFLOW: FailureText = { text: 'overflow', flag: ResponseFlag.UpstreamOverflow, status: 503 };

const POOL_FAILURES: Readonly<Record<PoolFailureReason, FailureText>> = {
  overflow: OVERFLOW,
  timeout: CONNECTION_TIMEOUT,
  'remote-connection-failure': CONNECTION_FAILURE,
  'local-connection-failure': {
    text: 'local connection failure',
    flag: ResponseFlag.UpstreamConnectionFailure,
    status: 503,
  },
};

const RESETS: Readonly<Record<StreamResetReason, FailureText>> = {
  'local-reset': { text: 'local reset', flag: ResponseFlag.LocalReset, status: 503 },
  'remote-reset': { text: 'remote reset', flag: ResponseFlag.UpstreamRemoteReset, status: 503 },
  'connection-failure': CONNECTION_FAILURE,
  'connection-timeout': CONNECTION_TIMEOUT,
  'connection-termination': {
    text: 'connection termination',
    flag: ResponseFlag.UpstreamConnectionTermination,
    status: 503,
  },
  overflow: OVERFLOW,
  'protocol-error': { text: 'protocol error', flag: ResponseFlag.UpstreamProtocolError, status: 502 },
  overload: { text: 'overload manager reset', flag: ResponseFlag.OverloadManager, status: 503 },
  'max-requests': {
    text: 'remote refused stream reset',
    flag: ResponseFlag.UpstreamRemoteReset,
    status: 503,
  },
};

export function textOfPoolFailure(reason: PoolFailureReason): FailureText {
  return POOL_FAILURES[reason];
}

/** Envoy's words for why the transport failed (`%UPSTREAM_TRANSPORT_FAILURE_REASON%`); empty where it has none. */
export function transportFailure(reason: PoolFailureReason, details: string): string {
  if (details === '' || reason === 'overflow' || reason === 'timeout') return '';
  // What a TLS handshake failed by is told as it is.
  if (TLS_ERROR.test(details)) return details;
  // A connect is never over at once here: Node reports its failure later.
  return reason === 'remote-connection-failure' ? `delayed connect error: ${details}` : details;
}

const TLS_ERROR = /^TLS[_ ]error/;

/** A try without a connection, as if its stream had been reset: what retry policies judge by. */
export function resetReasonOf(reason: PoolFailureReason): StreamResetReason {
  if (reason === 'overflow') return 'overflow';
  return reason === 'timeout' ? 'connection-timeout' : 'connection-failure';
}

export function textOfReset(reason: StreamResetReason): FailureText {
  return RESETS[reason];
}

/** Envoy's body for an upstream that failed before its response. `transport` is empty when nothing is known of it. */
export function failureBody(failure: FailureText, transport: string, retried: boolean): string {
  const which = retried ? 'retried and the latest ' : '';
  const base = `upstream connect error or disconnect/reset before headers. ${which}reset reason: ${failure.text}`;
  return transport === '' ? base : `${base}, transport failure reason: ${transport}`;
}

/** Envoy's `response_code_details`: a name and, in braces, the reasons with `_` for spaces. */
export function failureDetails(name: string, failure: FailureText, more: string): string {
  const reason = more === '' ? failure.text : `${failure.text}|${more}`;
  return `${name}{${reason.replaceAll(' ', '_')}}`;
}
