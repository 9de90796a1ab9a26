import { type UuidRequestIdConfig, UuidRequestIdConfigSchema } from '@dragoman/api';
import {
  defineRequestId,
  type RandomSource,
  type RequestHeaders,
  type RequestIds,
  type ResponseHeaders,
  type TraceReason,
  wellKnownId,
} from '@dragoman/core';

const REQUEST_ID = wellKnownId('x-request-id');
const UUID_LENGTH = 36;
/** The version digit: always `4` in a random UUID, so that there is room for the reason. */
const REASON_AT = 14;

const DIGITS: Readonly<Record<TraceReason, string>> = {
  'not-traceable': '4',
  sampled: '9',
  'service-forced': 'a',
  'client-forced': 'b',
};

/** `envoy.request_id.uuid`. Also what a connection manager uses that names no extension. */
export const uuidRequestId = defineRequestId({
  name: 'envoy.request_id.uuid',
  config: UuidRequestIdConfigSchema,
  create: (config, context) => new UuidRequestIds(config, context.random),
});

/** Ids are opaque unless they have a UUID's length: a caller's own id is passed on as it came, and carries no reason. */
class UuidRequestIds implements RequestIds {
  readonly useForTraceSampling: boolean;
  private readonly packTraceReason: boolean;
  private readonly random: RandomSource;

  constructor(config: UuidRequestIdConfig | undefined, random: RandomSource) {
    this.packTraceReason = config?.packTraceReason ?? true;
    this.useForTraceSampling = config?.useRequestIdForTraceSampling ?? true;
    this.random = random;
  }

  set(headers: RequestHeaders, force: boolean, keepTraceReason: boolean): void {
    const present = headers.getKnown(REQUEST_ID);
    if (force || present === undefined || present === '') {
      headers.setKnown(REQUEST_ID, this.random.uuid());
    } else if (!keepTraceReason) {
      this.setTraceReason(headers, 'not-traceable');
    }
  }

  setInResponse(response: ResponseHeaders, request: RequestHeaders): void {
    const id = request.getKnown(REQUEST_ID);
    if (id !== undefined) response.setKnown(REQUEST_ID, id);
  }

  get(headers: RequestHeaders): string {
    return headers.getKnown(REQUEST_ID) ?? '';
  }

  toInteger(headers: RequestHeaders): number | undefined {
    const id = headers.getKnown(REQUEST_ID);
    if (id === undefined || id.length < 8) return undefined;
    let value = 0;
    for (let i = 0; i < 8; i++) {
      const digit = hexDigit(id.charCodeAt(i));
      if (digit < 0) return undefined;
      value = value * 16 + digit;
    }
    return value;
  }

  traceReason(headers: RequestHeaders): TraceReason {
    const id = headers.getKnown(REQUEST_ID);
    if (id === undefined || id.length !== UUID_LENGTH) return 'not-traceable';
    switch (id[REASON_AT]) {
      case '9':
        return 'sampled';
      case 'a':
        return 'service-forced';
      case 'b':
        return 'client-forced';
      default:
        return 'not-traceable';
    }
  }

  setTraceReason(headers: RequestHeaders, reason: TraceReason): void {
    if (!this.packTraceReason) return;
    const id = headers.getKnown(REQUEST_ID);
    const digit = DIGITS[reason];
    if (id === undefined || id.length !== UUID_LENGTH || id[REASON_AT] === digit) return;
    headers.setKnown(REQUEST_ID, id.slice(0, REASON_AT) + digit + id.slice(REASON_AT + 1));
  }
}

/** The value of a hexadecimal digit in either case; −1 for another character. */
function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
