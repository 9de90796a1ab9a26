import { gunzipSync } from 'node:zlib';

/** Envoy's `max_inflate_ratio` of its decompressors. */
const MAX_RATIO = 100;
/** So much may come of anything: the ratio of a small message says nothing. */
const RATIO_FREE_BYTES = 2 * 1024;

/** What a compressed message came to: bytes of its own, or why there are none. */
export type Unpacked = Buffer | 'broken' | 'too-large';

/**
 * Unpacks a gzip message.
 * @param maxBytes what may come of it; less when that is more than a hundred times what there is
 */
export function gunzip(message: Buffer, maxBytes: number): Unpacked {
  const limit = Math.min(maxBytes, Math.max(RATIO_FREE_BYTES, message.length * MAX_RATIO));
  try {
    // A limit of 0 is none to zlib.
    return gunzipSync(message, { maxOutputLength: Math.max(1, limit) });
  } catch (error) {
    return (error as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE' ? 'too-large' : 'broken';
  }
}
