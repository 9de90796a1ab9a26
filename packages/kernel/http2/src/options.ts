import type { Clock, RandomSource } from '@dragoman/core';
import type { KeepAliveSettings } from './keep-alive.ts';
import type { Http2Stats } from './stats.ts';

/** What the server side of a connection keeps to. Bytes and counts; source: `envoy.config.core.v3.Http2ProtocolOptions` and the connection manager. */
export interface Http2ServerOptions {
  /** Names and values of a request's headers, or trailers (`max_request_headers_kb`); default 60 KiB. */
  readonly maxHeaderBytes: number;
  /** Lines of the same (`max_headers_count`), pseudo-headers not counted; default 100. */
  readonly maxHeaderCount: number;
  /** 1 … 2³¹−1; default 100, as Envoy's guide for edge proxies has it. */
  readonly maxConcurrentStreams: number;
  /** 65,535 … 2³¹−1; default 65,536, from the same guide. */
  readonly initialStreamWindowSize: number;
  /** 65,535 … 2³¹−1; default 1 MiB, from the same guide. */
  readonly initialConnectionWindowSize: number;
  /** 0 … 2³²−1; default 4096. */
  readonly hpackTableSize: number;
  /** Extended CONNECT (RFC 8441); default false. */
  readonly allowConnect: boolean;
  /** `headers_with_underscores_action`. */
  readonly headersWithUnderscores: 'allow' | 'reject' | 'drop';
  /** `custom_settings_parameters`, by identifier. */
  readonly customSettings: Readonly<Record<number, number>>;
  readonly keepAlive: KeepAliveSettings | undefined;
  /** Bytes of one response that may wait here before the upstream is stopped; default 1 MiB. */
  readonly bufferLimitBytes: number;
  /**
   * `stream_flush_timeout`, else `stream_idle_timeout`: how long a client may leave a complete response waiting for its window; ms, 0:
   * without limit. Default 300,000.
   */
  readonly streamFlushTimeoutMs: number;
  readonly stats: Http2Stats;
  readonly clock: Clock;
  readonly random: RandomSource;
}

/** The windows and counts that Envoy's guide for edge proxies recommends. */
export const HTTP2_DEFAULTS = {
  maxConcurrentStreams: 100,
  initialStreamWindowSize: 65_536,
  initialConnectionWindowSize: 1024 * 1024,
  hpackTableSize: 4096,
} as const;
