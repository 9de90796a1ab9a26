import type { RequestHeaders } from './header-map.ts';
import type { StreamInfo } from './stream-info.ts';

/** A hash of 64 bits (Envoy: uint64) as two halves: a number does not hold it. */
export interface HashValue {
  /** 0 … 2³²−1. */
  readonly high: number;
  /** 0 … 2³²−1. */
  readonly low: number;
}

/** Takes cookies that a hash policy makes for the client. */
export interface SetCookieSink {
  /** @param value of a `set-cookie` header of the response */
  addSetCookie(value: string): void;
}

/** `hash_policy` of a route, compiled. */
export interface HashPolicy {
  /**
   * The hash of a request; undefined when none of the policies has anything to hash.
   * @param cookies gets the cookie that a policy makes where the request has none; undefined: none is made, nor hashed
   */
  hash(headers: RequestHeaders, info: StreamInfo, cookies: SetCookieSink | undefined): HashValue | undefined;
}
