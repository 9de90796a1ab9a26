import {
  type LocalReply,
  type Protocol,
  RequestHeaders,
  type ResponseEncoder,
  ResponseFlag,
  type ResponseHeaders,
  type StreamResetReason,
  type Trailers,
} from '@dragoman/core';
import { isUpgrade } from '../headers/index.ts';
import { FilteredStream } from './filtered-stream.ts';
import { type BuiltReply, buildLocalReply } from './local-reply.ts';
import { REPLY } from './replies.ts';
import { chargeResponse } from './stream-completion.ts';
import type { StreamOwner } from './stream-owner.ts';
import type { StreamRecord } from './stream-record.ts';

const GRPC_DEADLINE_EXCEEDED = 4;

/** The response of a stream, on its way from the terminal filter or as a reply of the proxy's own, through the filters to the codec. */
export abstract class RespondingStream extends FilteredStream {
  /** Response headers have been handed to the terminal filter's way out. */
  responseStarted = false;
  protected readonly encoder: ResponseEncoder;
  /** Response headers have gone to the codec. */
  protected headersEncoded = false;
  /** The connection does not survive the response: bytes broke the protocol, or the request was bad. */
  protected endsConnection = false;

  constructor(owner: StreamOwner, encoder: ResponseEncoder, protocol: Protocol, previous?: StreamRecord) {
    super(owner, protocol, previous);
    this.encoder = encoder;
  }

  /** `answered`: the response went out whole. */
  protected abstract finish(answered: boolean): void;

  // --- From the terminal filter --------------------------------------------------------------------------------------

  informational(headers: ResponseHeaders): void {
    if (this.finished || this.headersEncoded || this.replying) return;
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

  // --- Replies of the proxy's own ------------------------------------------------------------------------------------

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
    const { info, request, cachedRoute: route, isGrpc, isHead } = this;
    const came = { isGrpc, isHead };
    try {
      return buildLocalReply(reply, { ...came, request, info, route, rewriter: this.config.localReplies });
    } catch (error) {
      this.reportBug('local reply', error);
      this.setDetails(REPLY.filterFailed.details);
      return buildLocalReply(REPLY.filterFailed, {
        ...came,
        request,
        info,
        route: undefined,
        rewriter: undefined,
      });
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

  /** A filter has a bug, or its promise was rejected: its stream fails, nothing else. */
  onBug(filterName: string, error: unknown): void {
    this.reportBug(`filter ${filterName}`, error);
    if (this.finished) return;
    // Past the filters: the one that failed must not see the reply and fail again.
    this.responseStarted = true;
    this.reply(REPLY.filterFailed);
  }

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

  // --- To the codec --------------------------------------------------------------------------------------------------

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
    if ((this.endsConnection && !this.owner.concurrent) || this.owner.shouldClose())
      this.encoder.closeAfterResponse();
    if (!this.requestComplete) config.stats.rqResponseBeforeComplete.inc();
    chargeResponse(config.stats, info, headers.status);
    if (config.accessLogTimes.onTunnel && this.isTunnel(headers)) {
      this.owner.sampleBytes(info, this.encoder.meter);
      this.writeLogs('DownstreamTunnelSuccessfullyEstablished');
    }
    info.firstDownstreamTxByteSent = config.clock.now();
    this.headersEncoded = true;
    const ends = endStream && this.responseTrailers === undefined;
    const writtenBefore = this.owner.bytesWritten;
    this.encoder.headers(headers, ends);
    info.downstreamHeaderBytesSent =
      this.encoder.meter?.headBytesSent ?? this.owner.bytesWritten - writtenBefore;
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

  /** As Envoy judges it for logs: a refusal which names the protocol that it would take (426) counts too. */
  private isTunnel(headers: ResponseHeaders): boolean {
    if (this.requestHeaders.method === 'CONNECT') return headers.status >= 200 && headers.status < 300;
    return isUpgrade(headers);
  }
}
