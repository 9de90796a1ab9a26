import type { AccessLogger } from './access-log.ts';
import type { StreamResetReason } from './http-codec.ts';
import type { HeaderMap, RequestHeaders, ResponseHeaders, Trailers } from './header-map.ts';
import type { Route, RouteMiss } from './route.ts';
import type { StreamInfo } from './stream-info.ts';
import type { Cancellable } from './upstream.ts';

/**
 * What a headers or trailers hook answers.
 *
 * | verdict | what runs next | who resumes | limit |
 * | --- | --- | --- | --- |
 * | nothing | the next filter, at once | – | – |
 * | `'pause'` | nothing: headers, body and trailers wait before the next filter, and this filter's own body hook is not called either | the filter: `resumeRequest()` / `resumeResponse()` | body that arrives is held; above the stream's buffer limit the peer is not read |
 * | `'collect'` | the headers wait, the body goes on to this filter's body hook (which usually collects it) | the filter, or its body hook by answering nothing at the end of the stream | collected body above the buffer limit: 413 for a request, 500 for a response |
 * | a promise | as `'pause'` | its settling; a rejection fails the stream with 500 and is logged with the filter's name | as `'pause'` |
 *
 * Order: request hooks run first to last, response hooks last to first.
 */
export type HeadersVerdict = void | 'pause' | 'collect' | Promise<void>;

/**
 * What a body hook answers.
 *
 * | verdict | what happens to the chunk | who resumes |
 * | --- | --- | --- |
 * | nothing | passed to the next filter | – |
 * | a Buffer | the next filter gets this instead (empty: nothing, but an end of stream is kept) | – |
 * | `'collect'` | kept in order; handed on as one when a later call answers nothing, or the filter resumes. Above the limit: 413 / 500 | the filter |
 * | `'pause'` | as `'collect'`, but above the limit the peer is not read | the filter |
 * | a promise | as `'pause'` until it settles | its settling |
 *
 * Chunks are the stream's own and may be kept: the manager copies borrowed ones when any filter has a body hook.
 */
export type BodyVerdict = void | Buffer | 'pause' | 'collect' | Promise<void>;

/**
 * One HTTP filter on one request. Every hook is optional; those a filter lacks cost nothing. After `reply` or a reset no
 * request hook runs any more. A hook that throws fails its stream with 500, and the log names the filter.
 */
export interface HttpFilter {
  onRequestHeaders?(headers: RequestHeaders, endStream: boolean): HeadersVerdict;
  onRequestBody?(chunk: Buffer, endStream: boolean): BodyVerdict;
  onRequestTrailers?(trailers: Trailers): HeadersVerdict;
  /** 103 Early Hints and its kin. */
  onInformational?(headers: ResponseHeaders): void;
  onResponseHeaders?(headers: ResponseHeaders, endStream: boolean): HeadersVerdict;
  onResponseBody?(chunk: Buffer, endStream: boolean): BodyVerdict;
  onResponseTrailers?(trailers: Trailers): HeadersVerdict;
  /** The stream is over, whatever the reason: let go of everything. Called exactly once, last. Late answers of calls made outside must do nothing after it. */
  onComplete?(): void;
}

/** An answer made by the proxy itself. */
export interface LocalReply {
  /** 200 … 599. */
  readonly status: number;
  /** Sent as text/plain unless {@link headers} sets another type. Empty for none. */
  readonly body?: string | Buffer;
  /** Changes the headers before they go out. */
  readonly modifyHeaders?: (headers: ResponseHeaders) => void;
  readonly grpcStatus?: number;
  /** Machine-readable, for `%RESPONSE_CODE_DETAILS%`: Envoy's where Envoy has one. Never empty. */
  readonly details: string;
}

/** What every filter sees of its stream, the terminal one too. */
export interface CommonHttpStream {
  /** Unique within the process. */
  readonly id: number;
  readonly info: StreamInfo;
  readonly requestHeaders: RequestHeaders;
  readonly requestTrailers: Trailers | undefined;
  readonly responseHeaders: ResponseHeaders | undefined;
  readonly responseTrailers: Trailers | undefined;
  /** The route, found on first use and kept; undefined when none matches. */
  readonly route: Route | undefined;
  /** Forgets the route, so that changed headers find another. */
  clearRouteCache(): void;
  /** This filter's most specific `typed_per_filter_config` (route, then virtual host, then route configuration). */
  perRouteConfig<T>(): T | undefined;
  /** Every level's config, least specific first. */
  perRouteConfigs<T>(): readonly T[];
  /** Answers the request itself. The response runs through all response hooks. Does nothing once a response has begun (then the stream is reset). */
  reply(reply: LocalReply): void;
  /** Go on after `'pause'` or `'collect'`. Does nothing when the filter does not hold the stream. */
  resumeRequest(): void;
  resumeResponse(): void;
  /** What this filter holds of the request's body. */
  readonly heldRequestBody: readonly Buffer[];
  readonly heldResponseBody: readonly Buffer[];
  /** Bytes that may be held in each direction (default: the listener's `per_connection_buffer_limit_bytes`). */
  bufferLimit: number;
  /** Adds trailers where there were none (only at the end of the body). */
  addRequestTrailers(): Trailers;
  addResponseTrailers(): Trailers;
  /** Ends the stream without an answer. */
  reset(reason: StreamResetReason): void;
}

/** What a filter sees of its stream. One for each filter and request. */
export interface HttpStream extends CommonHttpStream {
  /**
   * Adds body behind what this filter holds and before what is to come; from the headers hook of a message that had none, and from the
   * trailers hook, it is the end of the body. The filters behind this one see it, this one does not.
   */
  addRequestBody(chunk: Buffer): void;
  addResponseBody(chunk: Buffer): void;
  /** Takes what this filter's body hook has seen and holds: it does not go on by itself any more. */
  takeHeldRequestBody(): readonly Buffer[];
  takeHeldResponseBody(): readonly Buffer[];
  /**
   * Asks where the routes come from for one that takes this request, of which none is known (VHDS).
   * @param onAnswer is called once, never before this returns, and not after the stream's end: with true when there is a route now, which
   * {@link route} is from then on
   * @returns undefined when there is nobody to ask
   */
  demandRoute(onAnswer: (found: boolean) => void): Cancellable | undefined;
  /**
   * The request takes its way anew, through every filter of what is its route by now: this stream ends, and is logged and counted for itself. For a
   * filter that holds the request from its headers on.
   * @returns false when that is not possible: the request is incomplete or has trailers, or a response has begun
   */
  startAnew(): boolean;
}

/** What a terminal filter (the router) sees besides: it produces the response. */
export interface TerminalHttpStream extends CommonHttpStream {
  informational(headers: ResponseHeaders): void;
  sendHeaders(headers: ResponseHeaders, endStream: boolean): void;
  /** As {@link ResponseEncoder.body}: false means stop until `onDownstreamWritable`. */
  sendBody(chunk: Buffer, endStream: boolean, holdable: boolean): boolean;
  sendTrailers(trailers: Trailers): void;
  /** Stops and resumes the request's body. Calls do not nest. */
  pauseRequestBody(): void;
  resumeRequestBody(): void;
  /** Bytes of the request's body that arrived before, kept for a retry or mirror when the terminal filter asks for it. */
  readonly requestComplete: boolean;
  /** Why there is no {@link route}. */
  routeMiss(): RouteMiss | undefined;
  /** True once response headers were handed to {@link sendHeaders}. */
  readonly responseStarted: boolean;
  /** The route that other headers would have, with path and host brought into their normal form first; {@link route} stays what it is. */
  findRoute(headers: RequestHeaders): Route | undefined;
  /**
   * Answers a redirect of the upstream by following it: this stream ends, and `request` takes its way anew, through every
   * filter, as the same client's. What filters changed in its headers stays changed; what the connection manager does to requests
   * from outside is not done again.
   * @param redirect what is logged as this stream's response; it is not sent
   * @param body the whole of it
   * @returns false when that is not possible: the request is incomplete, or a response has begun
   */
  restart(request: RequestHeaders, redirect: ResponseHeaders, body: readonly Buffer[]): boolean;
}

/** The last filter of a chain: turns the request into a response. */
export interface TerminalHttpFilter {
  /** Bytes of bodies that it keeps, with those on their way upstream. Default 0. */
  readonly heldBytes?: number;
  onRequestHeaders(headers: RequestHeaders, endStream: boolean): void;
  /** `holdable` and the answer are as on {@link RequestDecoder.onBody}. */
  onRequestBody(chunk: Buffer, endStream: boolean, holdable: boolean): boolean;
  onRequestTrailers(trailers: Trailers): void;
  /** The downstream side has room again after `sendBody` said false. */
  onDownstreamWritable(): void;
  /** The stream is over: give up what is open upstream. Called exactly once. */
  onComplete(): void;
}

export type CreateHttpFilter = (stream: HttpStream) => HttpFilter;
export type CreateTerminalHttpFilter = (stream: TerminalHttpStream) => TerminalHttpFilter;

/** Writes headers as the formatters of a config say (`request_headers_to_add` and its kin). */
export interface HeaderMutation {
  apply(
    target: HeaderMap,
    info: StreamInfo,
    request: RequestHeaders | undefined,
    response: ResponseHeaders | undefined,
  ): void;
}

/** The loggers of a connection manager, listener or TCP proxy. */
export type AccessLoggers = readonly AccessLogger[];
