import { constants } from 'node:http2';
import type { StreamResetReason } from '@dragoman/core';

const CODES: Readonly<Partial<Record<StreamResetReason, number>>> = {
  'protocol-error': constants.NGHTTP2_PROTOCOL_ERROR,
  overload: constants.NGHTTP2_ENHANCE_YOUR_CALM,
};

/** The code of RFC 9113 section 7 that a stream is given up with before its response was complete. */
export function codeOf(reason: StreamResetReason): number {
  return CODES[reason] ?? constants.NGHTTP2_CANCEL;
}

/** What a peer's RST_STREAM means. `max-requests` is a refusal: nothing of the request was dealt with (RFC 9113 section 8.7). */
export function reasonOf(code: number): StreamResetReason {
  return code === constants.NGHTTP2_REFUSED_STREAM ? 'max-requests' : 'remote-reset';
}
