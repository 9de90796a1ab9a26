import type {
  AccessLogger,
  Clock,
  DrainDecision,
  Logger,
  RandomSource,
  RequestHeaders,
  Runtime,
  StreamInfo,
} from '@dragoman/core';
import type { Http1ServerOptions } from '@dragoman/http1';
import type { Http2ServerOptions } from '@dragoman/http2';
import type { MutationResult, ResponseMutation } from '../headers/index.ts';
import type { PathVerdict, RewriteHost } from '../path/index.ts';
import type { CurrentRoutes } from '../routes/index.ts';
import type { AccessLogTimes } from './access-log-options.ts';
import type { CompiledFilterChain } from './filter-chain.ts';
import type { LocalReplyRewriter } from './local-reply-config.ts';
import type { HttpOverload } from './overload.ts';
import type { ConnectionManagerStats } from './stats.ts';
import type { UpgradeTypes } from './upgrades.ts';

/** `codec_type`. */
export type CodecType = 'auto' | 'http1' | 'http2';

/** An HTTP connection manager's config, compiled. Times in ms; 0 turns a limit off. */
export interface ConnectionManagerConfig {
  readonly statPrefix: string;
  readonly clock: Clock;
  readonly random: RandomSource;
  /** Asked for `overload.premature_reset_*` when streams are reset, for `http.max_requests_per_io_cycle` as a connection begins, for `http1.optionally_delay_close` as one ends. */
  readonly runtime: Runtime;
  readonly logger: Logger;
  readonly drain: DrainDecision;
  /** Undefined: no config speaks of overload. */
  readonly overload: HttpOverload | undefined;
  readonly stats: ConnectionManagerStats;
  readonly accessLogs: readonly AccessLogger[];
  /** When the loggers write besides at the end of a stream. */
  readonly accessLogTimes: AccessLogTimes;
  readonly routes: CurrentRoutes;
  readonly chain: CompiledFilterChain;
  /** `upgrade_configs`. */
  readonly upgrades: UpgradeTypes;
  /** The listener's transport encrypts. */
  readonly secure: boolean;
  /** `add_proxy_protocol_connection_state`: upstreams that are sent the PROXY protocol get the client's addresses. Default true. */
  readonly tellsAddresses: boolean;
  readonly codecType: CodecType;
  readonly http1: Http1ServerOptions;
  readonly http2: Http2ServerOptions;
  readonly mutateRequest: (
    headers: RequestHeaders,
    info: StreamInfo,
    internalOnlyHeaders?: readonly string[],
  ) => MutationResult;
  readonly mutateResponse: ResponseMutation;
  /** `local_reply_config`; undefined: replies go out as they were made. */
  readonly localReplies: LocalReplyRewriter | undefined;
  readonly checkPath: (headers: RequestHeaders) => PathVerdict;
  readonly rewriteHost: RewriteHost | undefined;
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
  /** `http1_safe_max_connection_duration`: a connection that is too old waits for its next response. Default false. */
  readonly safeMaxConnectionDuration: boolean;
  /** `drain_timeout`: how long a connection that is over its time stays open for a request on its way; default 5,000. */
  readonly drainTimeoutMs: number;
  /** `drain_timeout_jitter`: up to this share of the drain timeout is added, 0 … 1; default 0. */
  readonly drainTimeoutJitter: number;
  /**
   * `stream_error_on_invalid_http_message`, or `override_stream_error_on_invalid_http_message` of HTTP/1: a reply with status 400
   * does not end the connection. Default false.
   */
  readonly keepAfterBadRequest: boolean;
  /** `common_http_protocol_options.max_requests_per_connection`; default 0. */
  readonly maxRequestsPerConnection: number;
  /** `delayed_close_timeout`; default 1,000. */
  readonly delayedCloseMs: number;
  /** `proxy_100_continue`: `Expect` goes upstream, and its interim response comes back. Default false. */
  readonly proxy100Continue: boolean;
  /** The listener's `per_connection_buffer_limit_bytes`; default 1 MiB. */
  readonly bufferLimitBytes: number;
}
