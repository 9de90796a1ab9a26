import {
  type AccessLogType,
  type CodecError,
  type ForwardAction,
  type HttpFilter,
  type LocalReply,
  type LogContext,
  type Protocol,
  type RequestDecoder,
  RequestHeaders,
  type ResponseEncoder,
  ResponseFlag,
  type ResponseHeaders,
  type Route,
  type RouteMiss,
  StreamInfo,
  type StreamResetReason,
  type TerminalHttpFilter,
  type TerminalHttpStream,
  Trailers,
} from '@dragoman/core';
import type { ConnectionManagerConfig } from './config.ts';
import { type Direction, FilterHandle, type StreamFilters } from './filter-chain.ts';
import { type PipelineSink, RequestPipeline, ResponsePipeline } from './filter-pipeline.ts';
import { buildLocalReply } from './local-reply.ts';
import { prepareRequest } from './prepare-request.ts';
import { isRefusal, REPLY, STATUS_BODIES } from './replies.ts';
import type { StreamTimers, TimedStream } from './stream-timers.ts';

/** What a stream asks of its connection. */
export interface StreamOwner {
  readonly config: ConnectionManagerConfig;
  readonly connectionInfo: StreamInfo['connection'];
  readonly localPort: number;
  takeTimers(stream: TimedStream): StreamTimers;
  giveTimers(timers: StreamTimers): void;
  /** Whether the response in hand should be the connection's last. */
  shouldClose(): boolean;
  /** The connection has more to send than it should. */
  sampleBuffered(): void;
  /** Of the connection, so far. */
  readonly bytesWritten: number;
  /** Puts down what the connection has moved since the stream before this one. */
  countBytes(info: StreamInfo): void;
  onStreamFinished(stream: ActiveStream): void;
}

/** Envoy's detail of a stream whose connection the proxy closed; the reason may follow in parentheses. */
export const LOCAL_DISCONNECT = 'downstream_local_disconnect';

let lastStreamId = 0;
const NO_REQUEST = new RequestHeaders();
const NO_FILTERS: readonly FilterHandle[] = [];

/** One request and its response. */
export class ActiveStream implements RequestDecoder, TerminalHttpStream, LogContext, TimedStream {
  readonly id = ++lastStreamId;
  readonly info: StreamInfo;
  /** The request's headers; an empty map while (or if) there are none. */
  requestHeaders: RequestHeaders = NO_REQUEST;
  requestTrailers: Trailers | undefined = undefined;
  responseHeaders: ResponseHeaders | undefined = undefined;
  responseTrailers: Trailers | undefined = undefined;
  localReplyBody: string | undefined = undefined;
  readonly type: AccessLogType = 'DownstreamEnd';
  /** Response headers have been handed to the terminal filter's way out. */
  responseStarted = false;
  /** The request has arrived whole. */
  requestComplete = false;
  /** The stream is over. */
  finished = false;

  private readonly owner: StreamOwner;
  private readonly config: ConnectionManagerConfig;
  private readonly encoder: ResponseEncoder;
  private readonly timers: StreamTimers;
  private idleTimeoutMs: number;
  private terminal: TerminalHttpFilter | undefined = undefined;
  private filters: StreamFilters | undefined = undefined;
  /** The filters made so far, in their order. */
  private handles: readonly FilterHandle[] = NO_FILTERS;
  private limit: number;
  private cachedRoute: Route | undefined = undefined;
  private routeKnown = false;
  /** Response headers have gone to the codec. */
  private headersEncoded = false;
  private replying = false;
  /** A reply to bytes that broke the protocol: the connection does not survive it. */
  private codecFailed = false;
  private inRequestBody = false;
  /** Which trailers are a filter's own and not on their way yet. */
  private addedTrailers: Direction | undefined = undefined;
  private requestPaused = false;

  constructor(owner: StreamOwner, encoder: ResponseEncoder, protocol: Protocol) {
    const { config } = owner;
    this.owner = owner;
    this.config = config;
    this.encoder = encoder;
    this.limit = config.bufferLimitBytes;
    this.info = new StreamInfo(owner.connectionInfo, config.clock.wallTime(), config.clock.now());
    this.info.protocol = protocol;
    this.idleTimeoutMs = config.streamIdleTimeoutMs;
    this.timers = owner.takeTimers(this);
    config.stats.rqTotal.inc();
    config.stats.rqHttp1Total.inc();
    config.stats.rqActive.inc();
    if (this.idleTimeoutMs > 0) this.timers.idle.enable(this.idleTimeoutMs);
    if (config.requestTimeoutMs > 0) this.timers.request.enable(config.requestTimeoutMs);
    if (config.maxStreamDurationMs > 0) this.timers.maxDuration.enable(config.maxStreamDurationMs);
  }

  // --- LogContext --------------------------------------------------------------------------------------------------

  get request(): RequestHeaders | undefined {
    return this.requestHeaders === NO_REQUEST ? undefined : this.requestHeaders;
  }

  get response(): ResponseHeaders | undefined {
    return this.responseHeaders;
  }

  // --- RequestDecoder: from the codec ------------------------------------------------------------------------------

  onHeaders(headers: RequestHeaders, endStream: boolean): void {
    this.requestHeaders = headers;
    this.info.downstreamHeaderBytesReceived = this.encoder.requestHeadBytes;
    if (endStream) this.onRequestComplete();
    try {
      const refusal = prepareRequest(headers, this.info, this.config, this.encoder, this.owner.localPort);
      if (refusal !== undefined) {
        this.reply(refusal);
        return;
      }
      const { route } = this;
      if (route !== undefined && route.action.kind === 'forward') this.adoptTimeouts(route.action);
      if (this.config.chain.filters.length === 0) {
        this.createTerminal().onRequestHeaders(headers, endStream);
      } else {
        const { request } = this.createFilters();
        if (!this.finished) request.headers(headers, endStream);
      }
    } catch (error) {
      this.onBug(this.config.chain.terminal.name, error);
    }
  }

  onBody(chunk: Buffer, endStream: boolean, holdable: boolean): boolean {
    this.info.bytesReceived += chunk.length;
    this.touch();
    if (endStream) this.onRequestComplete();
    if (this.finished || this.replying) return true;
    this.inRequestBody = true;
    let mayGoOn = true;
    try {
      if (this.filters !== undefined) {
        mayGoOn = this.filters.request.body(chunk, endStream, holdable);
      } else if (this.terminal !== undefined) {
        mayGoOn = this.terminal.onRequestBody(chunk, endStream, holdable);
      }
    } catch (error) {
      this.onBug(this.config.chain.terminal.name, error);
    }
    this.inRequestBody = false;
    if (mayGoOn || this.finished) return true;
    if (!this.requestPaused) this.markRequestPaused();
    return false;
  }

  onTrailers(trailers: Trailers): void {
    this.requestTrailers = trailers;
    this.touch();
    this.onRequestComplete();
    if (this.finished || this.replying) return;
    try {
      if (this.filters !== undefined) this.filters.request.trailers(trailers);
      else this.terminal?.onRequestTrailers(trailers);
    } catch (error) {
      this.onBug(this.config.chain.terminal.name, error);
    }
  }

  onReset(reason: StreamResetReason, details: string): void {
    if (this.finished) return;
    this.config.stats.rqRxReset.inc();
    if (reason === 'connection-termination') {
      this.info.setResponseFlag(ResponseFlag.DownstreamConnectionTermination);
      this.setDetails(details.startsWith(LOCAL_DISCONNECT) ? details : 'downstream_remote_disconnect');
    } else {
      this.info.setResponseFlag(ResponseFlag.DownstreamRemoteReset);
      this.setDetails(details === '' ? 'downstream_remote_reset' : details);
    }
    this.finish();
  }

  /** Bytes that are no HTTP belong to this stream. */
  onCodecError(error: CodecError): void {
    if (this.finished) return;
    this.codecFailed = true;
    if (isRefusal(error)) {
      if (error.details === REPLY.absolutePath.details) this.config.stats.rqNonRelativePath.inc();
      this.reply({ status: error.status, details: error.details });
      return;
    }
    this.info.setResponseFlag(ResponseFlag.DownstreamProtocolError);
    this.info.connectionTerminationDetails = error.details;
    if (this.headersEncoded) {
      this.setDetails(error.details);
      this.reset('protocol-error');
    } else {
      this.reply({
        status: error.status,
        body: STATUS_BODIES[error.status] ?? 'Bad Request',
        details: error.details,
      });
    }
  }

  /** The head took too long as a whole: there is no request, and the connection cannot be used again. */
  onHeadTimeout({ status, details, message }: CodecError): void {
    this.codecFailed = true;
    this.config.stats.rqHeaderTimeout.inc();
    this.reply({ status, body: message, details });
  }

  /** Nothing more came of a head. */
  onHeadIdle(): void {
    this.codecFailed = true;
    this.onStreamIdle();
  }

  onWritable(): void {
    if (this.finished || this.terminal === undefined) return;
    try {
      this.terminal.onDownstreamWritable();
    } catch (error) {
      this.onBug(this.config.chain.terminal.name, error);
    }
  }

  // --- HttpStream: for filters -----------------------------------------------------------------------------------

  get route(): Route | undefined {
    if (!this.routeKnown) {
      this.routeKnown = true;
      this.cachedRoute = this.config.routes.match(this.requestHeaders, this.info, this.config.random.next());
      this.info.route = this.cachedRoute;
    }
    return this.cachedRoute;
  }

  routeMiss(): RouteMiss | undefined {
    const { random, routes } = this.config;
    return routes.miss?.(this.requestHeaders, this.info, random.next());
  }

  clearRouteCache(): void {
    this.routeKnown = false;
    this.cachedRoute = undefined;
  }

  perRouteConfig<T>(): T | undefined {
    return this.route?.perFilterConfigs(this.config.chain.terminal.name)[0] as T | undefined;
  }

  perRouteConfigs<T>(): readonly T[] {
    return [...(this.route?.perFilterConfigs(this.config.chain.terminal.name) ?? [])].reverse() as T[];
  }

  get bufferLimit(): number {
    return this.limit;
  }

  set bufferLimit(bytes: number) {
    this.limit = bytes;
    if (this.filters === undefined) return;
    this.filters.request.bufferLimit = bytes;
    this.filters.response.bufferLimit = bytes;
  }

  /** The terminal filter holds nothing of the chain's. */
  get heldRequestBody(): readonly Buffer[] {
    return [];
  }

  get heldResponseBody(): readonly Buffer[] {
    return [];
  }

  resumeRequest(): void {}

  resumeResponse(): void {}

  resumeFilter(direction: Direction, filter: HttpFilter): void {
    if (this.finished || this.filters === undefined) return;
    if (direction === 'request' && this.replying) return;
    try {
      this.filters[direction].resume(filter);
    } catch (error) {
      this.onBug(this.config.chain.terminal.name, error);
    }
  }

  heldBody(direction: Direction, filter: HttpFilter): readonly Buffer[] {
    return this.filters?.[direction].held(filter) ?? [];
  }

  addRequestTrailers(): Trailers {
    if (this.requestTrailers === undefined) {
      this.requestTrailers = new Trailers();
      this.addedTrailers = 'request';
    }
    return this.requestTrailers;
  }

  addResponseTrailers(): Trailers {
    if (this.responseTrailers === undefined) {
      this.responseTrailers = new Trailers();
      this.addedTrailers = 'response';
    }
    return this.responseTrailers;
  }

  reply(reply: LocalReply): void {
    if (this.finished) return;
    if (this.headersEncoded || this.replying) {
      this.setDetails(reply.details);
      this.reset('local-reset');
      return;
    }
    // A response that filters hold is dropped: this one takes its place, and no filter sees headers twice.
    const direct = this.responseStarted || this.filters === undefined;
    this.replying = true;
    this.responseStarted = true;
    this.info.responseCodeDetails = reply.details;
    const { headers, body } = buildLocalReply(reply, this.request);
    if (body !== undefined) this.localReplyBody = body.toString('latin1');
    this.emitHeaders(headers, body === undefined, direct);
    if (body !== undefined && !this.finished) this.emitBody(body, true, true, direct);
  }

  reset(reason: StreamResetReason): void {
    if (this.finished) return;
    this.config.stats.rqTxReset.inc();
    this.encoder.reset(reason);
    this.finish();
  }

  // --- TerminalHttpStream: the response ------------------------------------------------------------------------------

  informational(headers: ResponseHeaders): void {
    if (this.finished || this.headersEncoded) return;
    // The connection manager has answered Expect itself: the upstream's 100 would be a second one.
    if (!this.config.proxy100Continue) return;
    this.touch();
    if (this.filters !== undefined) {
      for (const handle of this.filters.handles) {
        try {
          handle.filter.onInformational?.(headers);
        } catch (error) {
          this.onBug(handle.name, error);
        }
        if (this.finished) return;
      }
    }
    this.encoder.informational(headers);
  }

  sendHeaders(headers: ResponseHeaders, endStream: boolean): void {
    if (this.finished || this.responseStarted) return;
    this.responseStarted = true;
    this.touch();
    if (this.info.responseCodeDetails === '') this.info.responseCodeDetails = 'via_upstream';
    this.emitHeaders(headers, endStream, this.filters === undefined);
  }

  sendBody(chunk: Buffer, endStream: boolean, holdable: boolean): boolean {
    if (this.finished || this.replying) return true;
    this.touch();
    if (this.filters === undefined) return this.encodeBody(chunk, endStream, holdable);
    return this.filters.response.body(chunk, endStream, holdable);
  }

  sendTrailers(trailers: Trailers): void {
    if (this.finished || this.replying) return;
    this.touch();
    this.responseTrailers = trailers;
    if (this.filters === undefined) this.encodeTrailers(trailers);
    else this.filters.response.trailers(trailers);
  }

  pauseRequestBody(): void {
    if (this.requestPaused || this.finished || this.requestComplete) return;
    this.markRequestPaused();
    this.encoder.pauseBody();
  }

  resumeRequestBody(): void {
    if (!this.requestPaused || this.finished) return;
    this.requestPaused = false;
    this.config.stats.flowControlResumed.inc();
    this.encoder.resumeBody();
  }

  // --- Timers ----------------------------------------------------------------------------------------------------------

  onStreamIdle(): void {
    this.config.stats.rqIdleTimeout.inc();
    this.info.setResponseFlag(ResponseFlag.StreamIdleTimeout);
    this.timeOut({ status: this.timeoutStatus(), body: 'stream timeout', details: 'stream_idle_timeout' });
  }

  onRequestTimeout(): void {
    this.config.stats.rqTimeout.inc();
    this.timeOut(REPLY.requestTimeout);
  }

  onMaxDuration(): void {
    this.config.stats.rqMaxDurationReached.inc();
    this.info.setResponseFlag(ResponseFlag.DurationTimeout);
    this.timeOut({
      status: this.timeoutStatus(),
      body: 'downstream duration timeout',
      details: 'max_duration_timeout',
    });
  }

  /** Envoy: 504 once the request is complete (then the upstream is late), else 408. */
  private timeoutStatus(): number {
    return this.requestComplete ? 504 : 408;
  }

  private timeOut(reply: LocalReply): void {
    if (this.finished) return;
    if (this.headersEncoded) {
      this.setDetails(reply.details);
      this.reset('local-reset');
    } else {
      this.replying = false;
      this.reply(reply);
    }
  }

  private touch(): void {
    if (this.idleTimeoutMs > 0) this.timers.idle.enable(this.idleTimeoutMs);
  }

  // --- Inside ------------------------------------------------------------------------------------------------------------

  /** A route may have timeouts of its own. */
  private adoptTimeouts({ idleTimeoutMs, maxStreamDurationMs }: ForwardAction): void {
    const { timers } = this;
    if (idleTimeoutMs !== undefined) {
      this.idleTimeoutMs = idleTimeoutMs;
      if (idleTimeoutMs > 0) timers.idle.enable(idleTimeoutMs);
      else timers.idle.disable();
    }
    if (maxStreamDurationMs === undefined) return;
    const left = maxStreamDurationMs - (this.config.clock.now() - this.info.start);
    if (maxStreamDurationMs > 0) timers.maxDuration.enable(left);
    else timers.maxDuration.disable();
  }

  private createTerminal(): TerminalHttpFilter {
    this.terminal = this.config.chain.terminal.create(this);
    return this.terminal;
  }

  private createFilters(): StreamFilters {
    const { chain } = this.config;
    const terminal = this.createTerminal();
    const handles: FilterHandle[] = [];
    this.handles = handles;
    for (const { name, disabled, create } of chain.filters) {
      if (this.isDisabled(name, disabled)) continue;
      try {
        handles.push(new FilterHandle(this, name, create));
      } catch (error) {
        this.onBug(name, error);
      }
      // A factory that failed, or answered the request, ends the stream: the filters behind it are not made.
      if (this.finished || this.replying) break;
    }
    this.filters = {
      handles,
      request: new RequestPipeline(handles, this.requestSink(terminal), this.limit),
      response: new ResponsePipeline([...handles].reverse(), this.responseSink(), this.limit),
    };
    return this.filters;
  }

  /** `typed_per_filter_config` may switch a filter on or off for a route. */
  private isDisabled(name: string, byDefault: boolean): boolean {
    return this.route?.filterDisabled?.(name) ?? byDefault;
  }

  private requestSink(terminal: TerminalHttpFilter): PipelineSink<RequestHeaders> {
    const stream = this;
    return {
      headers: (headers, endStream) =>
        this.guard(() => {
          const added = endStream ? this.takeAddedTrailers('request') : undefined;
          terminal.onRequestHeaders(headers, endStream && added === undefined);
          if (added !== undefined && !this.finished) terminal.onRequestTrailers(added);
        }),
      body(chunk, endStream, holdable) {
        let mayGoOn = true;
        stream.guard(() => {
          mayGoOn = terminal.onRequestBody(chunk, endStream, holdable);
        });
        // From a resumed filter there is no codec on the stack that could be told by the answer.
        if (!mayGoOn && !stream.inRequestBody) stream.pauseRequestBody();
        return mayGoOn;
      },
      trailers: (trailers) => this.guard(() => terminal.onRequestTrailers(trailers)),
      takeAddedTrailers: () => this.takeAddedTrailers('request'),
      onFilterError: (name, error) => this.onBug(name, error),
      onBufferOverflow: () => {
        this.config.stats.rqTooLarge.inc();
        this.reply(REPLY.requestTooLarge);
      },
      onBackPressure: (stop) => {
        if (!stop) this.resumeRequestBody();
        else if (!this.inRequestBody) this.pauseRequestBody();
      },
      get finished() {
        return stream.finished || stream.replying;
      },
    };
  }

  private responseSink(): PipelineSink<ResponseHeaders> {
    const stream = this;
    return {
      headers: (headers, endStream) => this.encodeHeaders(headers, endStream),
      body: (chunk, endStream, holdable) => this.encodeBody(chunk, endStream, holdable),
      trailers: (trailers) => this.encodeTrailers(trailers),
      takeAddedTrailers: () => this.takeAddedTrailers('response'),
      onFilterError: (name, error) => this.onBug(name, error),
      onBufferOverflow: () => {
        this.config.stats.rsTooLarge.inc();
        this.terminal?.onComplete();
        this.terminal = undefined;
        this.reply(REPLY.responseTooLarge);
      },
      onBackPressure: (stop) => {
        if (!stop) this.onWritable();
      },
      get finished() {
        return stream.finished;
      },
    };
  }

  /** A terminal filter that throws fails its stream, whoever is on the stack: a resumed filter, or a promise. */
  private guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.onBug(this.config.chain.terminal.name, error);
    }
  }

  /** Trailers which a filter has added at the end of a body that had none; once. */
  private takeAddedTrailers(direction: Direction): Trailers | undefined {
    if (this.addedTrailers !== direction) return undefined;
    this.addedTrailers = undefined;
    return direction === 'request' ? this.requestTrailers : this.responseTrailers;
  }

  private emitHeaders(headers: ResponseHeaders, endStream: boolean, direct: boolean): void {
    if (direct) this.encodeHeaders(headers, endStream);
    else {
      this.responseHeaders = headers;
      this.filters?.response.headers(headers, endStream);
    }
  }

  private emitBody(chunk: Buffer, endStream: boolean, holdable: boolean, direct: boolean): void {
    if (direct) this.encodeBody(chunk, endStream, holdable);
    else this.filters?.response.body(chunk, endStream, holdable);
  }

  private encodeHeaders(headers: ResponseHeaders, endStream: boolean): void {
    if (this.finished) return;
    const { config, info } = this;
    this.responseHeaders = headers;
    config.mutateResponse(headers, this.request);
    if (this.codecFailed || this.owner.shouldClose()) this.encoder.closeAfterResponse();
    info.responseCode = headers.status;
    info.firstDownstreamTxByteSent = config.clock.now();
    this.headersEncoded = true;
    const ends = endStream && this.responseTrailers === undefined;
    const writtenBefore = this.owner.bytesWritten;
    this.encoder.headers(headers, ends);
    info.downstreamHeaderBytesSent = this.owner.bytesWritten - writtenBefore;
    if (ends) this.finish();
    else if (endStream) this.encodeTrailers(this.responseTrailers as Trailers);
  }

  private encodeBody(chunk: Buffer, endStream: boolean, holdable: boolean): boolean {
    if (this.finished) return true;
    this.info.bytesSent += chunk.length;
    if (endStream && this.responseTrailers !== undefined) {
      this.encoder.body(chunk, false, false);
      this.encodeTrailers(this.responseTrailers);
      return true;
    }
    const mayGoOn = this.encoder.body(chunk, endStream, holdable);
    if (!mayGoOn) this.owner.sampleBuffered();
    if (endStream) this.finish();
    return mayGoOn;
  }

  private encodeTrailers(trailers: Trailers): void {
    if (this.finished) return;
    this.encoder.trailers(trailers);
    this.finish();
  }

  private onRequestComplete(): void {
    this.requestComplete = true;
    this.info.lastDownstreamRxByteReceived = this.config.clock.now();
    this.timers.request.disable();
  }

  private markRequestPaused(): void {
    this.requestPaused = true;
    this.config.stats.flowControlPaused.inc();
  }

  private setDetails(details: string): void {
    this.info.responseCodeDetails = details;
  }

  /** A filter has a bug, or its promise was rejected: its stream fails, nothing else. */
  private onBug(filterName: string, error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const { connection } = this.info;
    this.config.logger.error(`[C${connection.id}][S${this.id}] filter ${filterName} failed: ${text}`);
    if (this.finished) return;
    if (this.headersEncoded) {
      this.setDetails(REPLY.filterFailed.details);
      this.reset('local-reset');
      return;
    }
    // Past the filters: the one that failed must not see the reply and fail again.
    this.replying = false;
    this.responseStarted = true;
    this.reply(REPLY.filterFailed);
  }

  private finish(): void {
    if (this.finished) return;
    this.finished = true;
    const { config, info } = this;
    const { stats } = config;
    const now = config.clock.now();
    info.end = now;
    if (this.headersEncoded) info.lastDownstreamTxByteSent = now;
    stats.rqActive.dec();
    if (info.responseCode !== 0) {
      stats.rqCompleted.inc();
      stats.listenerRqCompleted.inc();
      const digit = (info.responseCode / 100) | 0;
      stats.rqClass[digit]?.inc();
      stats.listenerRqClass[digit]?.inc();
    }
    stats.rqTime.record(Math.round(now - info.start));
    this.owner.giveTimers(this.timers);
    this.owner.countBytes(info);
    this.completeFilters();
    const { accessLogs } = config;
    for (let i = 0; i < accessLogs.length; i++) {
      try {
        (accessLogs[i] as { log(context: LogContext): void }).log(this);
      } catch (error) {
        this.onBug('access log', error);
      }
    }
    this.owner.onStreamFinished(this);
  }

  private completeFilters(): void {
    try {
      this.terminal?.onComplete();
    } catch (error) {
      this.onBug(this.config.chain.terminal.name, error);
    }
    this.complete(this.handles);
  }

  private complete(handles: readonly FilterHandle[]): void {
    for (const handle of handles) {
      try {
        handle.filter.onComplete?.();
      } catch (error) {
        this.onBug(handle.name, error);
      }
    }
  }
}
