import { type RequestHeaders, wellKnownId } from '@dragoman/core';

const ID_GRPC_TIMEOUT = wellKnownId('grpc-timeout');
/** What the eight digits of `grpc-timeout` hold. */
const MAX_VALUE = 99_999_999;

/** `connect-timeout-ms` (the last one) becomes `grpc-timeout`; one that cannot be read, or is too long, stays as it is. */
export function convertTimeout(headers: RequestHeaders): void {
  const text = headers.getAll('connect-timeout-ms').at(-1)?.trim();
  if (text === undefined || !/^\d{1,19}$/.test(text)) return;
  const value = grpcTimeout(Number(text));
  if (value === undefined) return;
  headers.setKnown(ID_GRPC_TIMEOUT, value);
  headers.remove('connect-timeout-ms');
}

/** In the smallest unit that eight digits are enough for, rounded down; undefined when not even hours are. */
function grpcTimeout(ms: number): string | undefined {
  let value = ms;
  for (const [unit, next] of [
    ['m', 1000],
    ['S', 60],
    ['M', 60],
    ['H', 1],
  ] as const) {
    if (value <= MAX_VALUE) return `${value}${unit}`;
    value = Math.floor(value / next);
  }
  return undefined;
}
