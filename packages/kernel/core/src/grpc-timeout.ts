import { type RequestHeaders, wellKnownId } from './header-map.ts';

const ID_CONTENT_TYPE = wellKnownId('content-type');
const ID_GRPC_TIMEOUT = wellKnownId('grpc-timeout');
const GRPC = 'application/grpc';

/** As Envoy judges routes, timeouts and local replies: `application/grpc`, alone or with `+proto` and the like behind it. */
export function isGrpcContentType(headers: RequestHeaders): boolean {
  const type = headers.getKnown(ID_CONTENT_TYPE);
  return type?.startsWith(GRPC) === true && (type.length === GRPC.length || type.charAt(GRPC.length) === '+');
}

/** Milliseconds of one unit of `grpc-timeout`. */
const UNITS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/** What the header's eight digits hold. */
const MAX_VALUE = 99_999_999;

/** `grpc-timeout` in whole milliseconds, rounded up; undefined when there is none, or it cannot be read. */
export function readGrpcTimeout(headers: RequestHeaders): number | undefined {
  const text = headers.getKnown(ID_GRPC_TIMEOUT);
  const [, digits, unit] = (text === undefined ? undefined : /^(\d{1,8})([HMSmun])$/.exec(text)) ?? [];
  return digits === undefined ? undefined : Math.ceil(Number(digits) * (UNITS[unit as string] as number));
}

/** Sets `grpc-timeout` in the smallest unit, from milliseconds up, that eight digits are enough for. */
export function writeGrpcTimeout(headers: RequestHeaders, ms: number): void {
  let value = Math.floor(ms);
  let unit = 'm';
  if (value > MAX_VALUE) {
    value = Math.floor(value / 1000);
    unit = 'S';
  }
  while (value > MAX_VALUE && unit !== 'H') {
    value = Math.floor(value / 60);
    unit = unit === 'S' ? 'M' : 'H';
  }
  headers.setKnown(ID_GRPC_TIMEOUT, `${Math.min(value, MAX_VALUE)}${unit}`);
}

export function removeGrpcTimeout(headers: RequestHeaders): void {
  headers.removeKnown(ID_GRPC_TIMEOUT);
}
