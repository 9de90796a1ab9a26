import type { Runtime, StreamInfo } from '@dragoman/core';

/** Runtime keys of Envoy. */
const TOTAL_KEY = 'overload.premature_reset_total_stream_count';
const LIFETIME_KEY = 'overload.premature_reset_min_stream_lifetime_seconds';
const DEFAULT_TOTAL = 500;
const DEFAULT_LIFETIME_S = 1;

/** What a connection is closed with whose streams are reset too soon too often; Envoy's text. */
export const TOO_MANY_PREMATURE_RESETS = 'too_many_premature_resets';

/**
 * Counts the streams of one connection that ended before there was a response, soon after they began: opening streams and having them
 * reset costs a client next to nothing (CVE-2023-44487), whoever resets them.
 */
export class PrematureResets {
  private readonly runtime: Runtime;
  private closed = 0;
  private premature = 0;

  constructor(runtime: Runtime) {
    this.runtime = runtime;
  }

  /**
   * A stream is over.
   * @returns whether at least half of all streams were such, or will have been when there are as many as the limit says
   */
  onStreamFinished(info: StreamInfo): boolean {
    this.closed++;
    if (info.responseCode !== 0) return false;
    const lifetimeS = Math.floor((info.end - info.start) / 1000);
    if (lifetimeS > this.runtime.getInteger(LIFETIME_KEY, DEFAULT_LIFETIME_S)) return false;
    this.premature++;
    const total = this.runtime.getInteger(TOTAL_KEY, DEFAULT_TOTAL);
    return this.premature * 2 >= Math.max(total, this.closed);
  }
}
