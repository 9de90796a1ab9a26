import type { HeaderPredicate } from './route.ts';
import type { Host, HostSet, PriorityOf } from './upstream.ts';

/** Bits of what a request is tried again for. Names are Envoy's words, those of `retry_on`, with `_` for `-`. */
export const RetryOn = {
  '5xx': 1 << 0,
  'gateway-error': 1 << 1,
  'connect-failure': 1 << 2,
  'retriable-4xx': 1 << 3,
  'refused-stream': 1 << 4,
  'retriable-status-codes': 1 << 5,
  'retriable-headers': 1 << 6,
  'envoy-ratelimited': 1 << 7,
  reset: 1 << 8,
  'reset-before-request': 1 << 9,
  /** Never comes to pass: there is no HTTP/3 upstream. */
  'http3-post-connect-failure': 1 << 10,
} as const;

/** The same for gRPC statuses: what `retry_on` and `x-envoy-retry-grpc-on` may name. */
export const GrpcRetryOn = {
  cancelled: 1 << 16,
  'deadline-exceeded': 1 << 17,
  'resource-exhausted': 1 << 18,
  unavailable: 1 << 19,
  internal: 1 << 20,
} as const;

/** Every bit of {@link GrpcRetryOn}. */
export const ANY_GRPC_RETRY = Object.values(GrpcRetryOn).reduce<number>((all, bit) => all | bit, 0);

/** What a list of words stands for. */
export interface RetryWords {
  readonly on: number;
  /** Words that mean nothing here. */
  readonly unknown: readonly string[];
}

function parseWords(list: string, words: Readonly<Record<string, number>>): RetryWords {
  const unknown: string[] = [];
  let on = 0;
  for (const part of list.split(',')) {
    const word = part.trim();
    if (word === '') continue;
    if (Object.hasOwn(words, word)) on |= words[word];
    else unknown.push(word);
  }
  return { on, unknown };
}

/** Reads `x-envoy-retry-on`: a list with commas, in which spaces and empty words do not count. */
export function parseRetryOn(list: string): RetryWords {
  return parseWords(list, RetryOn);
}

/** Reads `x-envoy-retry-grpc-on`. */
export function parseGrpcRetryOn(list: string): RetryWords {
  return parseWords(list, GrpcRetryOn);
}

const ALL_WORDS: Readonly<Record<string, number>> = { ...RetryOn, ...GrpcRetryOn };

/** Every word of `RetryPolicy.retry_on`, which takes those of both headers. */
export const RETRY_WORDS: readonly string[] = Object.keys(ALL_WORDS);

/** Reads `RetryPolicy.retry_on`. */
export function parseAnyRetryOn(list: string): RetryWords {
  return parseWords(list, ALL_WORDS);
}

/** A response header that says when a request that was held off may come again. */
export interface ResetHeader {
  /** In lower case. */
  readonly name: string;
  /** Seconds from now, or since the Unix epoch. */
  readonly format: 'seconds' | 'unix-timestamp';
}

/** Whether, when and where a request is tried again. Compiled once (Envoy: RetryPolicy), shared by all requests of its routes. */
export interface RetryPolicy {
  /** Bits of {@link RetryOn} and {@link GrpcRetryOn}. */
  readonly on: number;
  /** `num_retries`, default 1: tries after the first. */
  readonly maxRetries: number;
  /** Milliseconds from the end of the request; 0: none. */
  readonly perTryTimeoutMs: number;
  /** Milliseconds without a byte of the answer; 0: none. */
  readonly perTryIdleTimeoutMs: number;
  readonly retriableStatusCodes: readonly number[];
  /** Of the response; one that holds is enough. */
  readonly retriableHeaders: readonly HeaderPredicate[];
  /** When there are any, one must hold for the request to be tried again at all. */
  readonly retriableRequestHeaders: readonly HeaderPredicate[];
  /** Milliseconds, at least 1; undefined: the runtime's `upstream.base_retry_backoff_ms`, 25. */
  readonly baseIntervalMs: number | undefined;
  /** Milliseconds; undefined: ten times the base. */
  readonly maxIntervalMs: number | undefined;
  readonly resetHeaders: readonly ResetHeader[];
  /** Milliseconds, default 300,000: a reset header that asks for more does not count. */
  readonly maxResetIntervalMs: number;
  /** Each makes a predicate for one request. */
  readonly hostPredicates: readonly (() => RetryHostPredicate)[];
  /** Makes the priorities' chooser for one request. */
  readonly createPriority: (() => RetryPriority) | undefined;
  /** `host_selection_retry_max_attempts`, default 1: hosts drawn again when a predicate will not have one. */
  readonly hostSelectionAttempts: number;
}

/** What is done beside waiting for the first try (Envoy: HedgePolicy). */
export interface HedgePolicy {
  /** A try that runs out of its time goes on, beside the next one. */
  readonly onPerTryTimeout: boolean;
}

/** Whether a host is left out when a retry looks for another one (Envoy: retry host predicate). Made for each request. */
export interface RetryHostPredicate {
  shouldSkip(host: Host): boolean;
  onHostAttempted(host: Host): void;
}

/** How traffic is spread over priorities, percent by priority; healthy and degraded together make 100. */
export interface PriorityShares {
  readonly healthy: readonly number[];
  readonly degraded: readonly number[];
}

/** Spreads the retries of one request over the priorities anew (Envoy: retry priority). Made for each request. */
export interface RetryPriority {
  /**
   * @param original what a first try goes by; to be returned when nothing is to change
   * @param priorityOf as for {@link LoadBalancerContext.priorityShares}
   */
  shares(sets: readonly HostSet[], original: PriorityShares, priorityOf?: PriorityOf): PriorityShares;
  onHostAttempted(host: Host): void;
}
