import { type ForwardAction, type RequestHeaders, wellKnownId } from '@dragoman/core';

const ID_TIMEOUT = wellKnownId('x-envoy-upstream-rq-timeout-ms');
const ID_EXPECTED = wellKnownId('x-envoy-expected-rq-timeout-ms');

/** Digits only, as many as a safe integer has at most. */
function readMs(value: string | undefined): number | undefined {
  return value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}

/**
 * The time this request may take upstream, ms; 0: no limit. A caller that is trusted (others lose these headers in the
 * connection manager) may ask for another time than the route's with `x-envoy-upstream-rq-timeout-ms`, which is taken
 * off, or, with `respect_expected_rq_timeout`, with the `x-envoy-expected-rq-timeout-ms` of the proxy before this one.
 */
export function requestTimeoutMs(
  headers: RequestHeaders,
  action: ForwardAction,
  respectExpected: boolean,
): number {
  let timeoutMs = action.timeoutMs;
  const expected = respectExpected ? readMs(headers.getKnown(ID_EXPECTED)) : undefined;
  if (expected !== undefined) {
    timeoutMs = expected;
  } else if (headers.hasKnown(ID_TIMEOUT)) {
    timeoutMs = readMs(headers.getKnown(ID_TIMEOUT)) ?? timeoutMs;
    headers.removeKnown(ID_TIMEOUT);
  }
  return timeoutMs;
}

/** Tells the upstream how long it has. */
export function setExpectedTimeout(headers: RequestHeaders, timeoutMs: number): void {
  if (timeoutMs > 0) headers.setKnown(ID_EXPECTED, String(timeoutMs));
}
