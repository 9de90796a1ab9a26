import {
  type AccessLogger,
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
import { isUpgrade } from '../headers/index.ts';
import type { ConnectionManagerConfig } from './config.ts';
import {
  type CompiledFilterChain,
  type Direction,
  FilterHandle,
  type StreamFilters,
} from './filter-chain.ts';
import { RequestPipeline, ResponsePipeline } from './filter-pipeline.ts';
import { type BuiltReply, buildLocalReply } from './local-reply.ts';
import { RequestSink, ResponseSink, type SinkStream } from './pipeline-sinks.ts';
import { prepareRequest } from './prepare-request.ts';
import { isRefusal, REPLY, STATUS_BODIES } from './replies.ts';
import { chargeResponse, countStream } from './stream-completion.ts';
import { streamDuration } from './stream-duration.ts';
import type { StreamOwner } from './stream-owner.ts';
import type { StreamTimers, TimedStream } from './stream-timers.ts';
import { upgradeChain, upgradeType } from './upgrades.ts';

/** Envoy's detail of a stream whose connection the proxy closed; the reason may follow in parentheses. */
export const LOCAL_DISCONNECT = 'downstream_local_disconnect';

const GRPC_DEADLINE_EXCEEDED = 4;

let lastStreamId = 0;
const NO_REQUEST = new RequestHeaders();
const NO_FILTERS: readonly FilterHandle[] = [];

/** One request and its response. */
export class ActiveStream implements RequestDecoder, TerminalHttpStream, LogContext, TimedStream, SinkStream {
  readonly id = ++lastStreamId;
  readonly info: StreamInfo;
  /** The request's headers; an empty map while (or if) there are none. */
  requestHeaders: RequestHeaders = NO_REQUEST;
  private hasRequest = false;
  requestTrailers: Trailers | undefined = undefined;
  responseHeaders: ResponseHeaders | undefined = undefined;
  responseTrailers: Trailers | undefined = undefined;
  localReplyBody: string | undefined = undefined;
  /** Of the entry being written. */
  type: AccessLogType = 'DownstreamEnd';
  /** Response headers have been handed to the terminal filter's way out. */
  responseStarted = false;
  /** The request has arrived whole. */
  requestComplete = false;
  /** The stream is over. */
  finished = false;

  private readonly owner: StreamOwner;
  readonly config: ConnectionManagerConfig;
  private readonly encoder: ResponseEncoder;
  private readonly timers: StreamTimers;
  private idleTimeoutMs: number;
  chain: CompiledFilterChain;
  /** An upgrade, or CONNECT, was let through. */
  private upgrading = false;
  private terminal: TerminalHttpFilter | undefined = undefined;
  private filters: StreamFilters | undefined = undefined;
  /** The filters made so far, in their order. */
  private handles: readonly FilterHandle[] = NO_FILTERS;
  private limit: number;
  private cachedRoute: Route | undefined = undefined;
  private routeKnown = false;
  /** A filter has had the route looked for anew. */
  private routeChanges = false;
  /** Response headers have gone to the codec. */
  private headersEncoded = false;
  replying = false;
  /** The connection does not survive the response: bytes broke the protocol, or the request was bad. */
  private endsConnection = false;
  inRequestBody = false;
  /** Which trailers are a filter's own and not on their way yet. */
  private addedTrailers: Direction | undefined = undefined;
  private requestPaused = false;
  /** It goes on for another stream, whose request was redirected. */
  private readonly restarted: boolean;

  constructor(owner: StreamOwner, encoder: ResponseEncoder, protocol: Protocol, previous?: ActiveStream) {
    const { config } = owner;
    this.owner = owner;
    this.config = config;
    this.chain = config.chain;
    this.encoder = encoder;
    this.limit = config.bufferLimitBytes;
    this.restarted = previous !== undefined;
    this.info =
      previous?.info.afterRedirect() ??
      new StreamInfo(owner.connectionInfo, config.clock.wallTime(), config.clock.now());
    this.info.protocol = protocol;
    this.idleTimeoutMs = config.streamIdleTimeoutMs;
    this.timers = owner.takeTimers(this);
    config.stats.rqTotal.inc();
    config.stats.rqHttp1Total.inc();
    config.stats.rqActive.inc();
    if (this.idleTimeoutMs > 0) this.timers.idle.enable(this.idleTimeoutMs);
    if (config.requestTimeoutMs > 0) this.timers.request.enable(config.requestTimeoutMs);
    if (config.maxStreamDurationMs > 0) this.timers.maxDuration.enable(config.maxStreamDurationMs);
    if (config.accessLogTimes.intervalMs > 0) this.timers.enableLogInterval(config.accessLogTimes.intervalMs);
  }

  // --- LogContext --------------------------------------------------------------------------------------------------

  get request(): RequestHeaders | undefined {
    return this.hasRequest ? this.requestHeaders : undefined;
  }

  get response(): ResponseHeaders | undefined {
    return this.responseHeaders;
  }

  // --- RequestDecoder: from the codec ------------------------------------------------------------------------------

  onHeaders(headers: RequestHeaders, endStream: boolean): void {
    this.requestHeaders = headers;
    this.hasRequest = true;
    this.info.downstreamHeaderBytesReceived = this.encoder.requestHeadBytes;
    if (endStream) this.onRequestComplete();
    this.owner.onRequestHeaders(headers);
    try {
      const refusal = prepareRequest(
        headers,
        this.info,
        this.config,
        this.encoder,
        this.owner.localPort,
        this.restarted,
      );
      if (refusal !== undefined) {
        this.reply(refusal);
        return;
      }
      const { route } = this;
      if (route !== undefined && route.action.kind === 'forward') this.adoptRoute(route.action);
      const upgrade = upgradeType(headers);
      if (upgrade !== undefined && !this.mayUpgrade(upgrade)) {
        this.reply(REPLY.upgradeFailed);
        return;
      }
      if (this.chain.filters.length === 0) {
        const terminal = this.createTerminal();
        this.logNewRequest();
        terminal.onRequestHeaders(headers, endStream);
      } else {
        const { request } = this.createFilters();
        if (this.finished) return;
        this.logNewRequest();
        request.headers(headers, endStream);
      }
    } catch (error) {
      this.onBug(this.chain.terminal.name, error);
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
      this.onBug(this.chain.terminal.name, error);
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
      this.onBug(this.chain.terminal.name, error);
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
    this.finish(false);
  }

  /** Bytes that are no HTTP belong to this stream. */
  onCodecError(error: CodecError): void {
    if (this.finished) return;
    this.endsConnection = true;
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
    this.endsConnection = true;
    this.config.stats.rqHeaderTimeout.inc();
    this.reply({ status, body: message, details });
  }

  /** Nothing more came of a head. */
  onHeadIdle(): void {
    this.endsConnection = true;
    this.onStreamIdle();
  }

  onWritable(): void {
    if (this.finished || this.terminal === undefined) return;
    try {
      this.terminal.onDownstreamWritable();
    } catch (error) {
      this.onBug(this.chain.terminal.name, error);
    }
  }

  // --- HttpStream: for filters -----------------------------------------------------------------------------------

  get route(): Route | undefined {
    if (!this.routeKnown) this.lookUpRoute();
    return this.cachedRoute;
  }

  routeMiss(): RouteMiss | undefined {
    const { random, routes } = this.config;
    return routes.miss?.(this.requestHeaders, this.info, random.next());
  }

  clearRouteCache(): void {
    this.routeKnown = false;
    this.routeChanges = true;
    this.cachedRoute = undefined;
  }

  perRouteConfig<T>(): T | undefined {
    return this.route?.perFilterConfigs(this.chain.terminal.name)[0] as T | undefined;
  }

  perRouteConfigs<T>(): readonly T[] {
    return [...(this.route?.perFilterConfigs(this.chain.terminal.name) ?? [])].reverse() as T[];
  }

  findRoute(headers: RequestHeaders): Route | undefined {
    if (this.config.checkPath(headers) !== 'continue') return undefined;
    this.config.rewriteHost?.(headers, this.owner.localPort);
    return this.config.routes.match(headers, this.info, this.config.random.next());
  }

  restart(request: RequestHeaders, redirect: ResponseHeaders, body: readonly Buffer[]): boolean {
    if (this.finished || !this.requestComplete || this.responseStarted) return false;
    const { info, owner, encoder } = this;
    this.responseHeaders = redirect;
    info.responseCode = redirect.status;
    info.responseCodeDetails = 'internal_redirect';
    this.finish(false);
    const next = owner.restart(this, encoder, info.protocol ?? 'HTTP/1.1');
    const last = body.length - 1;
    next.onHeaders(request, last < 0);
    for (let i = 0; i <= last && !next.finished; i++) next.onBody(body[i] as Buffer, i === last, true);
    return true;
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
      this.onBug(this.chain.terminal.name, error);
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
    this.setDetails(reply.details);
    if (this.headersEncoded) {
      this.reset('local-reset');
      return;
    }
    if (reply.status === 400 && !this.config.keepAfterBadRequest) this.endsConnection = true;
    // A response that filters hold is dropped: this one takes its place, and no filter sees headers twice.
    const direct = this.responseStarted;
    if (direct) this.dropHeldTrailers();
    this.replying = true;
    this.responseStarted = true;
    if (!direct) this.prepareReply();
    if (this.finished) return;
    const { headers, body, text } = this.buildReply(reply);
    this.localReplyBody = text;
    const unfiltered = direct || this.filters === undefined;
    this.emitHeaders(headers, body === undefined, unfiltered);
    if (body !== undefined && !this.finished) this.emitBody(body, true, true, unfiltered);
  }

  /** As Envoy does: a request that is refused early has a route too, and the response hooks of all filters run. */
  private prepareReply(): void {
    const { chain } = this;
    this.timers.request.disable();
    // Filters may write to it.
    if (!this.hasRequest) this.requestHeaders = new RequestHeaders();
    try {
      // Looked for now, so that no response hook finds another.
      this.info.route = this.route;
      if (chain.filters.length > 0 && this.terminal === undefined) this.createFilters();
    } catch (error) {
      this.onBug(chain.terminal.name, error);
    }
  }

  /** Trailers of the response whose place a reply takes. */
  private dropHeldTrailers(): void {
    this.responseTrailers = undefined;
    if (this.addedTrailers === 'response') this.addedTrailers = undefined;
  }

  private buildReply(reply: LocalReply): BuiltReply {
    const { info, request, cachedRoute: route } = this;
    try {
      return buildLocalReply(reply, { request, info, route, rewriter: this.config.localReplies });
    } catch (error) {
      this.reportBug('local reply', error);
      this.setDetails(REPLY.filterFailed.details);
      return buildLocalReply(REPLY.filterFailed, { request, info, route: undefined, rewriter: undefined });
    }
  }

  reset(reason: StreamResetReason): void {
    if (this.finished) return;
    const { stats } = this.config;
    stats.rqTxReset.inc();
    // The codec's reset comes back as one, as Envoy counts.
    stats.rqRxReset.inc();
    this.encoder.reset(reason);
    this.finish(false);
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
    const { config, info } = this;
    config.mutateResponse.interim(headers, this.request, info);
    chargeResponse(config.stats, info, headers.status);
    this.encoder.informational(headers);
  }

  sendHeaders(headers: ResponseHeaders, endStream: boolean): void {
    if (this.finished || this.responseStarted) return;
    this.responseStarted = true;
    this.timers.request.disable();
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
    this.timeOut({
      status: this.timeoutStatus(),
      body: 'downstream duration timeout',
      grpcStatus: GRPC_DEADLINE_EXCEEDED,
      details: 'max_duration_timeout',
    });
  }

  /** Envoy: 504 once the request is complete (then the upstream is late), else 408. */
  private timeoutStatus(): number {
    return this.requestComplete ? 504 : 408;
  }

  /** The rest of a request that came too slowly is not waited for. */
  private timeOut(reply: LocalReply): void {
    if (!this.requestComplete) this.endsConnection = true;
    this.reply(reply);
  }

  onLogInterval(): void {
    if (this.finished) return;
    this.owner.sampleBytes(this.info);
    this.writeLogs('DownstreamPeriodic');
    this.timers.enableLogInterval(this.config.accessLogTimes.intervalMs);
  }

  private touch(): void {
    if (this.idleTimeoutMs > 0) this.timers.idle.enable(this.idleTimeoutMs);
  }

  // --- Inside ------------------------------------------------------------------------------------------------------------

  /** Takes the filter chain of an upgrade. Without a route there is nothing to say about it: the request ends as others do. */
  private mayUpgrade(type: string): boolean {
    const { config, route } = this;
    const chain = upgradeChain(type, config.upgrades, route, config.chain);
    if (chain === undefined) {
      if (route === undefined) return true;
      config.stats.rqWsOnNonWsRoute.inc();
      return false;
    }
    this.chain = chain;
    this.upgrading = true;
    config.stats.cxUpgradesTotal.inc();
    config.stats.cxUpgradesActive.inc();
    return true;
  }

  private lookUpRoute(): void {
    const { config, info, requestHeaders } = this;
    this.routeKnown = true;
    const route = this.hasRequest
      ? config.routes.match(requestHeaders, info, config.random.next())
      : undefined;
    this.cachedRoute = route;
    info.route = route;
    if (this.routeChanges && route?.action.kind === 'forward' && !this.finished)
      this.adoptRoute(route.action);
  }

  /** A route may have timeouts of its own, and keep more of a body. */
  private adoptRoute(action: ForwardAction): void {
    const { timers, config } = this;
    const { idleTimeoutMs, maxStreamDurationMs, policies } = action;
    const keep = policies.requestBodyBufferLimitBytes;
    if (keep !== undefined && keep > this.limit) this.bufferLimit = keep;
    if (idleTimeoutMs !== undefined) {
      this.idleTimeoutMs = idleTimeoutMs;
      if (idleTimeoutMs > 0) timers.idle.enable(idleTimeoutMs);
      else timers.idle.disable();
    }
    // Without a word on it the timer runs as the connection manager says, unless another route had its say.
    if (!this.routeChanges && maxStreamDurationMs === undefined && policies.grpcTimeout === undefined) return;
    const ms = streamDuration(this.requestHeaders, action, config.maxStreamDurationMs);
    if (ms === undefined) timers.maxDuration.disable();
    else timers.maxDuration.enable(Math.max(0, ms - (config.clock.now() - this.info.start)));
  }

  private createTerminal(): TerminalHttpFilter {
    this.terminal = this.chain.terminal.create(this);
    return this.terminal;
  }

  dropTerminal(): void {
    this.terminal?.onComplete();
    this.terminal = undefined;
  }

  private createFilters(): StreamFilters {
    const { chain } = this;
    const terminal = this.createTerminal();
    const handles: FilterHandle[] = [];
    this.handles = handles;
    for (const { name, disabled, create } of chain.filters) {
      if (this.isDisabled(name, disabled)) continue;
      try {
        const handle = new FilterHandle(this, name, create);
        handles.push(handle);
        // Its factory has ended the stream: the filters before it know.
        if (this.finished) this.completeFilter(handle);
      } catch (error) {
        this.onBug(name, error);
      }
      // A factory that failed, or answered the request, ends the stream: the filters behind it are not made.
      if (this.finished || this.replying) break;
    }
    this.filters = {
      handles,
      request: new RequestPipeline(handles, new RequestSink(this, terminal), this.limit),
      response: new ResponsePipeline([...handles].reverse(), new ResponseSink(this), this.limit),
    };
    return this.filters;
  }

  /** `typed_per_filter_config` may switch a filter on or off for a route. */
  private isDisabled(name: string, byDefault: boolean): boolean {
    return this.route?.filterDisabled?.(name) ?? byDefault;
  }

  /** Trailers which a filter has added at the end of a body that had none; once. */
  takeAddedTrailers(direction: Direction): Trailers | undefined {
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

  encodeHeaders(headers: ResponseHeaders, endStream: boolean): void {
    if (this.finished) return;
    const { config, info } = this;
    this.responseHeaders = headers;
    config.mutateResponse.final(headers, this.request, info);
    if (this.endsConnection || this.owner.shouldClose()) this.encoder.closeAfterResponse();
    if (!this.requestComplete) config.stats.rqResponseBeforeComplete.inc();
    chargeResponse(config.stats, info, headers.status);
    if (config.accessLogTimes.onTunnel && this.isTunnel(headers)) {
      this.owner.sampleBytes(info);
      this.writeLogs('DownstreamTunnelSuccessfullyEstablished');
    }
    info.firstDownstreamTxByteSent = config.clock.now();
    this.headersEncoded = true;
    const ends = endStream && this.responseTrailers === undefined;
    const writtenBefore = this.owner.bytesWritten;
    this.encoder.headers(headers, ends);
    info.downstreamHeaderBytesSent = this.owner.bytesWritten - writtenBefore;
    if (ends) this.finish(true);
    else if (endStream) this.encodeTrailers(this.responseTrailers as Trailers);
  }

  encodeBody(chunk: Buffer, endStream: boolean, holdable: boolean): boolean {
    if (this.finished) return true;
    this.info.bytesSent += chunk.length;
    if (endStream && this.responseTrailers !== undefined) {
      this.encoder.body(chunk, false, false);
      this.encodeTrailers(this.responseTrailers);
      return true;
    }
    const mayGoOn = this.encoder.body(chunk, endStream, holdable);
    if (!mayGoOn) this.owner.sampleBuffered();
    if (endStream) this.finish(true);
    return mayGoOn;
  }

  encodeTrailers(trailers: Trailers): void {
    if (this.finished) return;
    this.encoder.trailers(trailers);
    this.finish(true);
  }

  private onRequestComplete(): void {
    this.requestComplete = true;
    // Of a request that begins anew it is known.
    if (!this.restarted) this.info.lastDownstreamRxByteReceived = this.config.clock.now();
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
  onBug(filterName: string, error: unknown): void {
    this.reportBug(`filter ${filterName}`, error);
    if (this.finished) return;
    // Past the filters: the one that failed must not see the reply and fail again.
    this.responseStarted = true;
    this.reply(REPLY.filterFailed);
  }

  private reportBug(who: string, error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const { connection } = this.info;
    this.config.logger.error(`[C${connection.id}][S${this.id}] ${who} failed: ${text}`);
  }

  /** `answered`: the response went out whole. */
  private finish(answered: boolean): void {
    if (this.finished) return;
    this.finished = true;
    const { config, info } = this;
    info.end = config.clock.now();
    if (this.headersEncoded) info.lastDownstreamTxByteSent = info.end;
    countStream(config.stats, info, answered);
    if (this.upgrading) config.stats.cxUpgradesActive.dec();
    this.owner.giveTimers(this.timers);
    this.owner.countBytes(info);
    this.completeFilters();
    this.writeLogs('DownstreamEnd');
    this.owner.onStreamFinished(this);
  }

  private logNewRequest(): void {
    if (!this.config.accessLogTimes.onNewRequest) return;
    this.owner.sampleBytes(this.info);
    this.writeLogs('DownstreamStart');
  }

  private writeLogs(type: AccessLogType): void {
    const { accessLogs } = this.config;
    this.type = type;
    for (let i = 0; i < accessLogs.length; i++) {
      try {
        (accessLogs[i] as AccessLogger).log(this);
      } catch (error) {
        this.reportBug('access log', error);
      }
    }
  }

  /** The response switches protocols: what follows is no HTTP. */
  private isTunnel(headers: ResponseHeaders): boolean {
    if (this.requestHeaders.method === 'CONNECT') return headers.status >= 200 && headers.status < 300;
    return isUpgrade(headers);
  }

  private completeFilters(): void {
    try {
      this.terminal?.onComplete();
    } catch (error) {
      this.onBug(this.chain.terminal.name, error);
    }
    for (const handle of this.handles) this.completeFilter(handle);
  }

  private completeFilter({ filter, name }: FilterHandle): void {
    try {
      filter.onComplete?.();
    } catch (error) {
      this.onBug(name, error);
    }
  }
}
