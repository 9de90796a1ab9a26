import type { DescMessage, DescMethodStreaming, DescMethodUnary, MessageShape } from '@bufbuild/protobuf';
import type { LogContext } from './access-log.ts';
import type { Span } from './extension.ts';
import type { HashValue } from './hash.ts';
import type { HeaderMap, RequestHeaders, ResponseHeaders } from './header-map.ts';
import type { RetryPolicy } from './retry.ts';
import type { StatsScope } from './stats.ts';
import type { MetadataValue } from './stream-info.ts';
import type { ClusterInfo, HostDescription } from './upstream.ts';

/*
 * gRPC calls of the proxy's own: to authorisation, rate limit and logging services, to control planes. They run through the
 * clusters, so that load balancing, TLS, health, circuit breakers and stats apply. Whatever goes wrong is a status that a
 * callback gets; nothing here throws but `create` and `compileRetryPolicy`, which read config.
 */

/** How a call ended. */
export interface GrpcCallStatus {
  /** gRPC's code, 0 (OK) … 16. */
  readonly code: number;
  /** For people: the upstream's `grpc-message`, decoded, or what this proxy has to say. It may be empty, and hold any characters. */
  readonly message: string;
  /** Which of Envoy's response code details it is: `via_upstream` when the status came from there. */
  readonly details: string;
  /** `grpc-status-details-bin`: a `google.rpc.Status`, serialised; undefined when there is none. */
  readonly statusDetails: Uint8Array | undefined;
}

/**
 * One line of a call's metadata. The name is in lower case; the value a string of bytes, as header values are, or bytes. Those
 * of names that end in `-bin` are sent in base64. A value with NUL, CR or LF under any other name is left out.
 */
export type GrpcMetadataEntry = readonly [name: string, value: string | Uint8Array];

/** What one call has of its own. */
export interface GrpcCallOptions {
  /**
   * Milliseconds from the start of the call to its last byte; 0: none. Sent as `grpc-timeout`. Default: the service's `timeout` for unary
   * calls, none for streams, as in Envoy.
   */
  readonly timeoutMs?: number | undefined;
  /** Sent besides the service's `initial_metadata`, and after it; a name that is there already gets another line. */
  readonly metadata?: readonly GrpcMetadataEntry[] | undefined;
  /** Changes the headers of the request, last of all; values of `-bin` names are base64 by then. */
  readonly prepareHeaders?: ((headers: RequestHeaders) => void) | undefined;
  /** The request on whose behalf the call is made: formats in `initial_metadata` are filled from it. Without it they are sent as they are written, as in Envoy. */
  readonly parent?: LogContext | undefined;
  /** The call gets a child of it, `async <service>.<method> egress`. */
  readonly parentSpan?: Span | undefined;
  /** In place of the service's `retry_policy`; of {@link GrpcClientFactory.compileRetryPolicy}. */
  readonly retry?: RetryPolicy | undefined;
  /** For clusters whose hosts are picked by hash. */
  readonly hash?: HashValue | undefined;
  /** For clusters with subsets. */
  readonly metadataMatch?: Readonly<Record<string, MetadataValue>> | undefined;
  /** False: no `x-envoy-internal`, no `x-forwarded-for`. Default: as the service's `skip_envoy_headers` says. */
  readonly envoyHeaders?: boolean | undefined;
}

/** A call under way, or over. */
export interface GrpcCall {
  /** Gives it up. No callback comes any more; after the end it does nothing. */
  cancel(): void;
  /** The host that has it, or had it last; undefined while it waits for a connection. */
  readonly host: HostDescription | undefined;
  /** Undefined when there is no such cluster. */
  readonly cluster: ClusterInfo | undefined;
  /** Bytes of messages, with their prefixes, given to the connection and come from it. */
  readonly bytesSent: number;
  readonly bytesReceived: number;
}

/**
 * Exactly one of the two is called, perhaps before `unary` returns, and never after `cancel`. One that throws is logged; nobody else is hurt.
 */
export interface GrpcUnaryCallbacks<O extends DescMessage> {
  /** @param trailers of the answer */
  onSuccess(response: MessageShape<O>, headers: ResponseHeaders, trailers: HeaderMap): void;
  /** @param headers, trailers where the upstream has sent any; one and the same for an answer that is trailers only */
  onFailure(
    status: GrpcCallStatus,
    headers: ResponseHeaders | undefined,
    trailers: HeaderMap | undefined,
  ): void;
}

/** What the promise form of a unary call comes to. */
export type GrpcResult<O extends DescMessage> =
  | {
      readonly ok: true;
      readonly status: GrpcCallStatus;
      readonly response: MessageShape<O>;
      readonly headers: ResponseHeaders;
      readonly trailers: HeaderMap;
    }
  | {
      readonly ok: false;
      readonly status: GrpcCallStatus;
      readonly headers: ResponseHeaders | undefined;
      readonly trailers: HeaderMap | undefined;
    };

export interface GrpcStreamOptions extends GrpcCallOptions {
  /**
   * Messages that wait to be sent, bytes; above it `send` says false. Default: `per_stream_buffer_limit_bytes`, else the cluster's
   * `per_connection_buffer_limit_bytes` (1 MiB).
   */
  readonly bufferLimitBytes?: number | undefined;
  /**
   * Messages are kept, up to 64 KiB, so that retries can send them again. Without it a retry only follows a try of which nothing was
   * sent. Default false.
   */
  readonly keepForRetry?: boolean | undefined;
}

/** What comes back on a stream. None is called after `cancel`. One that throws is logged and ends the stream with INTERNAL. */
export interface GrpcStreamCallbacks<O extends DescMessage> {
  /** The upstream has begun to answer; not called for an answer that is trailers only. */
  onHeaders?(headers: ResponseHeaders): void;
  onMessage(message: MessageShape<O>): void;
  /** After {@link GrpcStream.send} said false: there is room again. */
  onWritable?(): void;
  /**
   * The stream is over, in both directions. Called once, last, perhaps before `stream` returns.
   * @param trailers where the upstream has sent any
   */
  onEnd(status: GrpcCallStatus, trailers: HeaderMap | undefined): void;
}

/** An open stream. After its end every method does nothing. */
export interface GrpcStream<I extends DescMessage> extends GrpcCall {
  /**
   * Sends a message, or queues it while there is no connection. False: stop until `onWritable`. A caller that goes on is tolerated up to the
   * limit (`bufferLimitBytes`); beyond it the stream ends with RESOURCE_EXHAUSTED. Always false after the end.
   */
  send(message: MessageShape<I>): boolean;
  /** No further message: the upstream sees the end of the request. What it sends still comes. */
  closeSend(): void;
  /** False when `send` has said so and `onWritable` is due, and after the end. */
  readonly writable: boolean;
  /** Bytes of messages that wait to be sent. */
  readonly bufferedBytes: number;
  /** No message is handed over, and none is read from the connection, until {@link resume}. The end waits as well, but for resets and timeouts. */
  pause(): void;
  resume(): void;
}

/** Milliseconds between tries: drawn from 0 to an interval that doubles, from `baseMs` to `maxMs` (full jitter). */
export interface BackOffRange {
  /** At least 1. */
  readonly baseMs: number;
  /** At least `baseMs`. */
  readonly maxMs: number;
}

export interface GrpcReconnectOptions extends GrpcStreamOptions {
  /** Default: `envoy_grpc.retry_policy.retry_back_off` of the service, else 500 ms to 30 s. */
  readonly backOff?: BackOffRange | undefined;
}

/** What happens on a stream that is opened again whenever it ends. None is called after `close`. */
export interface GrpcReconnectCallbacks<I extends DescMessage, O extends DescMessage> {
  /** A new stream: nothing of what was sent on the one before is sent on it. It may still wait for its connection. */
  onOpen(stream: GrpcStream<I>): void;
  onHeaders?(headers: ResponseHeaders): void;
  onMessage(message: MessageShape<O>): void;
  onWritable?(): void;
  /**
   * It ended, or could not be opened.
   * @param retryInMs when the next one is opened
   */
  onEnd(status: GrpcCallStatus, retryInMs: number, trailers: HeaderMap | undefined): void;
}

/** A stream for as long as somebody wants one. A received message sets the back-off to its beginning. */
export interface GrpcReconnectingStream<I extends DescMessage> {
  /**
   * Undefined while it waits for its next try, and after `close`. Its `cancel` gives up this one alone: the next is opened after the back-off,
   * without `onEnd`.
   */
  readonly stream: GrpcStream<I> | undefined;
  /** Ends it for good, without a callback. */
  close(): void;
}

/**
 * Calls one service. Made once from its config; holds no connection and no call. Methods are those of the generated services, e.g.
 * `Authorization.method.check`, and type the messages.
 */
export interface GrpcClient {
  /** For logs: the cluster, or the target of `google_grpc`. */
  readonly destination: string;
  /** `timeout` of the service, milliseconds; undefined: not set, for callers with a default of their own. */
  readonly timeoutMs: number | undefined;
  unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageShape<I>,
    options: GrpcCallOptions | undefined,
    callbacks: GrpcUnaryCallbacks<O>,
  ): GrpcCall;
  /**
   * {@link unary} for where a promise costs nothing. It never rejects.
   * @param options.signal cancels the call, which then comes to CANCELLED
   */
  unaryPromise<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageShape<I>,
    options?: GrpcCallOptions & { readonly signal?: AbortSignal | undefined },
  ): Promise<GrpcResult<O>>;
  stream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodStreaming<I, O>,
    options: GrpcStreamOptions | undefined,
    callbacks: GrpcStreamCallbacks<O>,
  ): GrpcStream<I>;
  reconnectingStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodStreaming<I, O>,
    options: GrpcReconnectOptions | undefined,
    callbacks: GrpcReconnectCallbacks<I, O>,
  ): GrpcReconnectingStream<I>;
}

export interface GrpcClientOptions {
  /** The cluster must exist when the client is made. Default false: its calls fail while it does not. */
  readonly requireCluster?: boolean | undefined;
  /**
   * Bytes of a received message, also of a compressed one when unpacked, where the config sets no limit (Envoy has none then). Default 64 MiB.
   */
  readonly maxReceiveBytes?: number | undefined;
  /** Where `google_grpc` counts `grpc.<stat_prefix>.*`. Default: the root scope. */
  readonly stats?: StatsScope | undefined;
}

/** Makes clients, and what goes with them, from config. Handed out on contexts. */
export interface GrpcClientFactory {
  /**
   * @param config an `envoy.config.core.v3.GrpcService`, typed unknown here because contracts know no generated code
   * @throws ConfigError with a path below the message
   */
  create(config: unknown, options?: GrpcClientOptions): GrpcClient;
  /**
   * @param config an `envoy.config.core.v3.RetryPolicy`
   * @param defaultRetryOn where its `retry_on` is empty; empty: then nothing is tried again
   * @throws ConfigError with a path below the message
   */
  compileRetryPolicy(config: unknown, defaultRetryOn?: string): RetryPolicy;
}

/** The address in a `target_uri` of `google_grpc`. */
export interface GrpcTarget {
  /** A name or an IP address, without brackets. */
  readonly host: string;
  /** 1 … 65,535. */
  readonly port: number;
}

/** `ssl_credentials` of `google_grpc`; what is absent is the platform's own, or nothing. PEM. */
export interface GrpcTargetTls {
  readonly rootCertificates: Buffer | undefined;
  readonly privateKey: Buffer | undefined;
  readonly certificateChain: Buffer | undefined;
}

/** What `google_grpc` needs of whoever makes the clusters: its targets are in no cluster of the config. */
export interface GrpcTargetClusters {
  /**
   * The name of a cluster that speaks HTTP/2 to `target` and lives as long as its caller; the same one for the same target.
   * @param tls undefined: without TLS
   * @throws ConfigError when there cannot be one
   */
  clusterFor(target: GrpcTarget, tls: GrpcTargetTls | undefined): string;
}

/** As Envoy's logs print it: the message with its details in braces, or the one that there is. */
export function describeGrpcStatus({ message, details }: GrpcCallStatus): string {
  if (message === '') return details;
  return details === '' ? message : `${message}{${details}}`;
}

/**
 * The values of a `-bin` header, decoded; those of several lines and of lists in one line, in order. What is no base64 is as much of it
 * as can be read: nothing is refused.
 */
export function readBinaryMetadata(headers: HeaderMap, name: string): Buffer[] {
  const joined = headers.getJoined(name);
  if (joined === undefined) return [];
  return joined.split(',').map((part) => Buffer.from(part.trim(), 'base64'));
}
