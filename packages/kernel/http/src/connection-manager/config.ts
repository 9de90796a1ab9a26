import type {
  AccessLogger,
  Clock,
  DrainDecision,
  Logger,
  RandomSource,
  RequestHeaders,
  ResponseHeaders,
  RouteTable,
  StreamInfo,
} from '@dragoman/core';
import type { Http1ServerOptions } from '@dragoman/http1';
import type { MutationResult } from '../headers/index.ts';
import type { PathVerdict } from '../path/index.ts';
import type { CompiledFilterChain } from './filter-chain.ts';
import type { ConnectionManagerStats } from './stats.ts';

/** An HTTP connection manager's config, compiled. Times in ms; 0 turns a limit off. */
export interface ConnectionManagerConfig {
  readonly statPrefix: string;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly logger: Logger;
  readonly drain: DrainDecision;
  readonly stats: ConnectionManagerStats;
  readonly accessLogs: readonly AccessLogger[];
  readonly routes: RouteTable;
  readonly chain: CompiledFilterChain;
  readonly http1: Http1ServerOptions;
  readonly mutateRequest: (
    headers: RequestHeaders,
    info: StreamInfo,
    internalOnlyHeaders?: readonly string[],
  ) => MutationResult;
  readonly mutateResponse: (headers: ResponseHeaders, request: RequestHeaders | undefined) => void;
  readonly checkPath: (headers: RequestHeaders) => PathVerdict;
  readonly rewriteHost: ((headers: RequestHeaders, localPort: number) => void) | undefined;
  /** `request_timeout`; default 0. */
  readonly requestTimeoutMs: number;
  /** `request_headers_timeout`; default 0. */
  readonly requestHeadersTimeoutMs: number;
  /** `stream_idle_timeout`; default 300,000. */
  readonly streamIdleTimeoutMs: number;
  /** `common_http_protocol_options.max_stream_duration`; default 0. */
  readonly maxStreamDurationMs: number;
  /** `common_http_protocol_options.idle_timeout`; default 3,600,000. */
  readonly idleTimeoutMs: number;
  /** `common_http_protocol_options.max_connection_duration`; default 0. */
  readonly maxConnectionDurationMs: number;
  /** `common_http_protocol_options.max_requests_per_connection`; default 0. */
  readonly maxRequestsPerConnection: number;
  /** `delayed_close_timeout`; default 1,000. */
  readonly delayedCloseMs: number;
  /** `drain_timeout`: how long a connection that is to end waits for one more request; default 5,000. */
  readonly drainTimeoutMs: number;
  /** `drain_timeout_jitter`: up to this share of it is added; 0 … 1, default 0. */
  readonly drainTimeoutJitter: number;
  /** `http1_safe_max_connection_duration`: an old connection ends with a response, however long that takes. Default false. */
  readonly safeMaxConnectionDuration: boolean;
  /** `proxy_100_continue`: `Expect` goes upstream, and its interim response comes back. Default false. */
  readonly proxy100Continue: boolean;
  /** The listener's `per_connection_buffer_limit_bytes`; default 1 MiB. */
  readonly bufferLimitBytes: number;
}
