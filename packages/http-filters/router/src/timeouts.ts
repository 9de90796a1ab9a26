import { type ForwardAction, type RequestHeaders, wellKnownId } from '@dragoman/core';

const ID_TIMEOUT = wellKnownId('x-envoy-upstream-rq-timeout-ms');
const ID_PER_TRY = wellKnownId('x-envoy-upstream-rq-per-try-timeout-ms');
const ID_EXPECTED = wellKnownId('x-envoy-expected-rq-timeout-ms');

/** What a caller asks of the router besides: meant for this proxy alone, so none of it goes on upstream. */
const FOR_THE_ROUTER: readonly number[] = [
  ID_TIMEOUT,
  ID_PER_TRY,
  wellKnownId('x-envoy-max-retries'),
  wellKnownId('x-envoy-retry-on'),
  wellKnownId('x-envoy-retry-grpc-on'),
  wellKnownId('x-envoy-retriable-status-codes'),
  wellKnownId('x-envoy-retriable-header-names'),
  wellKnownId('x-envoy-hedge-on-per-try-timeout'),
  wellKnownId('x-envoy-upstream-alt-stat-name'),
];

/** Milliseconds; 0: no limit. */
export interface Timeouts {
  readonly globalMs: number;
  readonly perTryMs: number;
}

/** Digits only, as many as a safe integer has at most. */
function readMs(value: string | undefined): number | undefined {
  return value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}

/**
 * The times this request may take upstream. A caller that is trusted (others lose these headers in the connection
 * manager) may ask for others than the route's with `x-envoy-upstream-rq-timeout-ms` and its per-try kin, or, with
 * `respect_expected_rq_timeout`, with the `x-envoy-expected-rq-timeout-ms` of the proxy before this one. Takes off
 * every header that is meant for the router.
 */
export function readTimeouts(
  headers: RequestHeaders,
  action: ForwardAction,
  respectExpected: boolean,
): Timeouts {
  const expected = respectExpected ? readMs(headers.getKnown(ID_EXPECTED)) : undefined;
  const globalMs = expected ?? readMs(headers.getKnown(ID_TIMEOUT)) ?? action.timeoutMs;
  const perTryMs = readMs(headers.getKnown(ID_PER_TRY)) ?? 0;
  for (let i = 0; i < FOR_THE_ROUTER.length; i++) headers.removeKnown(FOR_THE_ROUTER[i] as number);
  return { globalMs, perTryMs };
}

/** Tells the upstream how long it has. */
export function setExpectedTimeout(headers: RequestHeaders, { globalMs, perTryMs }: Timeouts): void {
  const ms = perTryMs > 0 && (globalMs <= 0 || perTryMs < globalMs) ? perTryMs : globalMs;
  if (ms > 0) headers.setKnown(ID_EXPECTED, String(ms));
}
