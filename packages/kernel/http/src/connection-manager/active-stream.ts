import {
  type CodecError,
  type HttpFilter,
  isGrpcContentType,
  type RequestDecoder,
  type RequestHeaders,
  ResponseFlag,
  type ResettableStream,
  type ResponseHeaders,
  type StreamResetReason,
  type TerminalHttpStream,
  type Trailers,
} from '@dragoman/core';
import { type HttpOverload, OVERLOAD_ERROR, OVERLOADED } from './overload.ts';
import { prepareRequest } from './prepare-request.ts';
import { isRefusal, REPLY, STATUS_BODIES } from './replies.ts';
import { RespondingStream } from './responding-stream.ts';
import { countStream } from './stream-completion.ts';
import { upgradeType } from './upgrades.ts';

/** Envoy's detail of a stream whose connection the proxy closed; the reason may follow in parentheses. */
export const LOCAL_DISCONNECT = 'downstream_local_disconnect';

/**
 * One request and its response: the request on its way from the codec, a new beginning, and the end. The layers below hold
 * the response, the filters, the route and what logs know, as one object.
 */
export class ActiveStream
  extends RespondingStream
  implements RequestDecoder, TerminalHttpStream, ResettableStream
{
  private requestPaused = false;

  // --- From the codec ------------------------------------------------------------------------------------------------

  onHeaders(headers: RequestHeaders, endStream: boolean): void {
    this.requestHeaders = headers;
    this.hasRequest = true;
    this.isGrpc = isGrpcContentType(headers);
    this.isHead = headers.method === 'HEAD';
    // Between its first byte and its head there may have been a new one.
    this.routes = this.config.routes.current;
    this.info.downstreamHeaderBytesReceived = this.encoder.requestHeadBytes;
    if (endStream) this.onRequestComplete();
    if (this.config.overload !== undefined && this.refusedByOverload(this.config.overload)) return;
    this.owner.onRequestHeaders(headers);
    try {
      const refusal = prepareRequest(
        headers,
        this.info,
        this.config,
        this.routes,
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

  /** No filters are made for it: that would cost what the proxy has not. */
  private refusedByOverload({ shedRequest, stopRequests, rqClose, reply }: HttpOverload): boolean {
    // A request that begins anew has been let in.
    if (this.restarted || (shedRequest?.shouldShed() !== true && stopRequests?.fires() !== true))
      return false;
    rqClose.inc();
    this.info.setResponseFlag(ResponseFlag.OverloadManager);
    this.responseStarted = true;
    this.reply(reply);
    return true;
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
    } else if (reason === 'overload') {
      this.info.setResponseFlag(ResponseFlag.OverloadManager);
      this.setDetails(OVERLOAD_ERROR.dispatch);
    } else if (reason === 'protocol-error') {
      this.info.setResponseFlag(ResponseFlag.DownstreamProtocolError);
      this.setDetails(details);
    } else {
      this.info.setResponseFlag(ResponseFlag.DownstreamRemoteReset);
      this.setDetails(details === '' ? 'downstream_remote_reset' : details);
    }
    this.finish(false);
  }

  get heldBytes(): number {
    return this.finished ? 0 : (this.encoder.heldBytes ?? 0) + this.heldByFilters;
  }

  /** No reply takes its place: that would have to wait behind what the peer does not take. */
  resetForOverload(): void {
    if (this.finished) return;
    // The codec's reset comes back as one, as Envoy counts.
    this.config.stats.rqRxReset.inc();
    this.info.setResponseFlag(ResponseFlag.OverloadManager);
    this.setDetails(OVERLOADED.details);
    this.encoder.reset('overload');
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

  /** An overloaded proxy does not look at its bytes. */
  onDispatchAborted({ status, details, message }: CodecError): void {
    if (this.finished) return;
    this.endsConnection = true;
    this.info.setResponseFlag(ResponseFlag.OverloadManager);
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

  private onRequestComplete(): void {
    this.requestComplete = true;
    // Of a request that begins anew it is known.
    if (!this.restarted) this.info.lastDownstreamRxByteReceived = this.config.clock.now();
    this.timers.request.disable();
  }

  // --- Flow control --------------------------------------------------------------------------------------------------

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

  private markRequestPaused(): void {
    this.requestPaused = true;
    this.config.stats.flowControlPaused.inc();
  }

  // --- A new beginning, and the end ----------------------------------------------------------------------------------

  restart(request: RequestHeaders, redirect: ResponseHeaders, body: readonly Buffer[]): boolean {
    if (this.finished || !this.requestComplete || this.responseStarted) return false;
    this.responseHeaders = redirect;
    this.info.responseCode = redirect.status;
    this.beginAgain(request, body, 'internal_redirect');
    return true;
  }

  startAnew(filter: HttpFilter): boolean {
    if (this.finished || !this.requestComplete || this.responseStarted || this.replying) return false;
    if (this.requestTrailers !== undefined) return false;
    this.beginAgain(this.requestHeaders, [...this.heldBody('request', filter)], 'route_demanded');
    return true;
  }

  /** @param details of what is logged of this stream */
  private beginAgain(request: RequestHeaders, body: readonly Buffer[], details: string): void {
    const { info, owner, encoder } = this;
    this.setDetails(details);
    this.finish(false);
    const next = owner.restart(this, encoder, info.protocol ?? 'HTTP/1.1');
    const last = body.length - 1;
    next.onHeaders(request, last < 0);
    for (let i = 0; i <= last && !next.finished; i++) next.onBody(body[i] as Buffer, i === last, true);
  }

  protected override finish(answered: boolean): void {
    if (this.finished) return;
    this.finished = true;
    const { config, info } = this;
    info.end = config.clock.now();
    info.responseComplete = answered;
    if (this.headersEncoded) info.lastDownstreamTxByteSent = info.end;
    countStream(config.stats, info, answered);
    if (this.upgrading) config.stats.cxUpgradesActive.dec();
    this.owner.giveTimers(this.timers);
    this.owner.countBytes(info, this.encoder.meter);
    this.completeFilters();
    this.writeLogs('DownstreamEnd');
    this.owner.onStreamFinished(this);
  }
}
