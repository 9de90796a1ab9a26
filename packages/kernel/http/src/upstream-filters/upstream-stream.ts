import {
  type HttpFilter,
  type HttpPoolCallbacks,
  type LocalReply,
  type Logger,
  type RequestEncoder,
  RequestHeaders,
  type ResponseDecoder,
  type ResponseHeaders,
  type Route,
  type StreamInfo,
  type StreamResetReason,
  Trailers,
  type UpstreamFilterScene,
} from '@dragoman/core';
import {
  type CompiledFilterChain,
  type Direction,
  FilterHandle,
  type FilterHost,
} from '../connection-manager/filter-chain.ts';
import {
  type PipelineSink,
  RequestPipeline,
  ResponsePipeline,
} from '../connection-manager/filter-pipeline.ts';
import { buildLocalReply } from '../connection-manager/local-reply.ts';
import { REPLY } from '../connection-manager/replies.ts';

/** What the streams of one chain share. */
export interface UpstreamChain {
  readonly filters: CompiledFilterChain['filters'];
  readonly logger: Logger;
}

/** The encoder that a try gets: it stands between the router and the codec, with the filters in it. */
export class UpstreamStream implements RequestEncoder, ResponseDecoder, FilterHost {
  readonly id = 0;
  readonly info: StreamInfo;
  readonly route: Route | undefined;
  requestHeaders: RequestHeaders = NO_HEADERS;
  requestTrailers: Trailers | undefined = undefined;
  responseHeaders: ResponseHeaders | undefined = undefined;
  responseTrailers: Trailers | undefined = undefined;
  private readonly chain: UpstreamChain;
  private readonly decoder: ResponseDecoder;
  private encoder: RequestEncoder | undefined = undefined;
  private handles: FilterHandle[] = [];
  private request: RequestPipeline | undefined = undefined;
  private response: ResponsePipeline | undefined = undefined;
  private limit: number;
  private added: Direction | undefined = undefined;
  private requestSent = false;
  /** Response headers have gone to the router. */
  private responseBegun = false;
  private responseSent = false;
  /** Nothing of this try is wanted any more, or all of it is through. */
  private over = false;

  constructor(chain: UpstreamChain, scene: UpstreamFilterScene, decoder: ResponseDecoder) {
    this.chain = chain;
    this.info = scene.info;
    this.route = scene.route;
    this.limit = scene.bufferLimit;
    this.decoder = decoder;
  }

  /** The pool has a connection. */
  attach(encoder: RequestEncoder): void {
    this.encoder = encoder;
  }

  // --- From the router -------------------------------------------------------------------------------------------------

  get responseHeadBytes(): number {
    return this.encoder?.responseHeadBytes ?? 0;
  }

  get heldBytes(): number {
    const { encoder, request, response } = this;
    return (encoder?.heldBytes ?? 0) + (request?.heldBytes ?? 0) + (response?.heldBytes ?? 0);
  }

  headers(headers: RequestHeaders, endStream: boolean): void {
    this.requestHeaders = headers;
    for (const { name, disabled, create } of this.chain.filters) {
      if (this.route?.filterDisabled?.(name) ?? disabled) continue;
      try {
        this.handles.push(new FilterHandle(this, name, create));
      } catch (error) {
        this.onBug(name, error);
      }
      if (this.over) return;
    }
    this.request = new RequestPipeline(this.handles, new RequestEnd(this), this.limit);
    this.response = new ResponsePipeline(this.handles.toReversed(), new ResponseEnd(this), this.limit);
    this.request.headers(headers, endStream);
  }

  body(chunk: Buffer, endStream: boolean, holdable: boolean): boolean {
    return this.over || this.request === undefined || this.request.body(chunk, endStream, holdable);
  }

  trailers(trailers: Trailers): void {
    if (this.over) return;
    this.requestTrailers = trailers;
    this.request?.trailers(trailers);
  }

  /** From the router, or from a filter, which then gives up the try. */
  reset(reason: StreamResetReason): void {
    if (this.over) return;
    this.finish();
    this.encoder?.reset(reason);
  }

  pauseBody(): void {
    this.encoder?.pauseBody();
  }

  resumeBody(): void {
    this.encoder?.resumeBody();
  }

  // --- From the codec --------------------------------------------------------------------------------------------------

  onInformational(headers: ResponseHeaders): void {
    if (this.over) return;
    for (const { name, filter } of this.handles) {
      try {
        filter.onInformational?.(headers);
      } catch (error) {
        this.onBug(name, error);
      }
      if (this.over) return;
    }
    this.decoder.onInformational(headers);
  }

  onHeaders(headers: ResponseHeaders, endStream: boolean): void {
    if (this.over) return;
    this.responseHeaders = headers;
    this.response?.headers(headers, endStream);
  }

  onBody(chunk: Buffer, endStream: boolean, holdable: boolean): boolean {
    return this.over || this.response === undefined || this.response.body(chunk, endStream, holdable);
  }

  onTrailers(trailers: Trailers): void {
    if (this.over) return;
    this.responseTrailers = trailers;
    this.response?.trailers(trailers);
  }

  onReset(reason: StreamResetReason, details: string): void {
    if (this.over) return;
    this.finish();
    this.decoder.onReset(reason, details);
  }

  onWritable(): void {
    if (!this.over) this.decoder.onWritable();
  }

  // --- From the filters ------------------------------------------------------------------------------------------------

  get bufferLimit(): number {
    return this.limit;
  }

  set bufferLimit(bytes: number) {
    this.limit = bytes;
    if (this.request !== undefined) this.request.bufferLimit = bytes;
    if (this.response !== undefined) this.response.bufferLimit = bytes;
  }

  /** The route was chosen downstream. */
  clearRouteCache(): void {}

  demandRoute(): undefined {
    return undefined;
  }

  startAnew(): boolean {
    return false;
  }

  perRouteConfigOf<T>(filterName: string): T | undefined {
    return this.route?.perFilterConfigs(filterName)[0] as T | undefined;
  }

  perRouteConfigsOf<T>(filterName: string): readonly T[] {
    return [...(this.route?.perFilterConfigs(filterName) ?? [])].reverse() as T[];
  }

  resumeFilter(direction: Direction, filter: HttpFilter): void {
    if (!this.over) this[direction]?.resume(filter);
  }

  heldBody(direction: Direction, filter: HttpFilter): readonly Buffer[] {
    return this[direction]?.held(filter) ?? [];
  }

  addBody(direction: Direction, filter: HttpFilter, chunk: Buffer): void {
    if (!this.over) this[direction]?.add(filter, chunk);
  }

  takeBody(direction: Direction, filter: HttpFilter): readonly Buffer[] {
    return this[direction]?.take(filter) ?? [];
  }

  addRequestTrailers(): Trailers {
    if (this.requestTrailers === undefined) {
      this.requestTrailers = new Trailers();
      this.added = 'request';
    }
    return this.requestTrailers;
  }

  addResponseTrailers(): Trailers {
    if (this.responseTrailers === undefined) {
      this.responseTrailers = new Trailers();
      this.added = 'response';
    }
    return this.responseTrailers;
  }

  takeAdded(direction: Direction): Trailers | undefined {
    if (this.added !== direction) return undefined;
    this.added = undefined;
    return direction === 'request' ? this.requestTrailers : this.responseTrailers;
  }

  /** The router gets the reply as this try's response; where one has begun, the try is reset. */
  reply(reply: LocalReply): void {
    if (this.over) return;
    const { decoder, responseBegun, info, requestHeaders, encoder } = this;
    this.finish();
    encoder?.reset('local-reset');
    if (responseBegun) {
      decoder.onReset('local-reset', reply.details);
      return;
    }
    info.responseCodeDetails = reply.details;
    const { headers, body } = buildLocalReply(reply, {
      request: requestHeaders,
      info,
      route: undefined,
      rewriter: undefined,
    });
    decoder.onHeaders(headers, body === undefined);
    if (body !== undefined) decoder.onBody(body, true, true);
  }

  onBug(filterName: string, error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.chain.logger.error(`upstream filter ${filterName} failed: ${text}`);
    this.reply(REPLY.filterFailed);
  }

  // --- From the pipelines ----------------------------------------------------------------------------------------------

  get finished(): boolean {
    return this.over;
  }

  sendHeaders(headers: RequestHeaders, endStream: boolean): void {
    const added = endStream ? this.takeAdded('request') : undefined;
    const ends = endStream && added === undefined;
    if (ends) this.requestSent = true;
    this.encoder?.headers(headers, ends);
    if (added !== undefined && !this.over) this.sendTrailers(added);
    else this.finishIfDone();
  }

  sendBody(chunk: Buffer, endStream: boolean, holdable: boolean): boolean {
    if (endStream) this.requestSent = true;
    const mayGoOn = this.encoder?.body(chunk, endStream, holdable) ?? true;
    this.finishIfDone();
    return mayGoOn;
  }

  sendTrailers(trailers: Trailers): void {
    this.requestSent = true;
    this.encoder?.trailers(trailers);
    this.finishIfDone();
  }

  receiveHeaders(headers: ResponseHeaders, endStream: boolean): void {
    const added = endStream ? this.takeAdded('response') : undefined;
    const ends = endStream && added === undefined;
    this.responseBegun = true;
    if (ends) this.responseSent = true;
    this.decoder.onHeaders(headers, ends);
    if (added !== undefined && !this.over) this.receiveTrailers(added);
    else this.finishIfDone();
  }

  receiveBody(chunk: Buffer, endStream: boolean, holdable: boolean): boolean {
    if (endStream) this.responseSent = true;
    const mayGoOn = this.decoder.onBody(chunk, endStream, holdable);
    this.finishIfDone();
    return mayGoOn;
  }

  receiveTrailers(trailers: Trailers): void {
    this.responseSent = true;
    this.decoder.onTrailers(trailers);
    this.finishIfDone();
  }

  /** The filters hold more of the response than they may, or again less. */
  holdResponse(stop: boolean): void {
    if (!stop) this.encoder?.resumeBody();
  }

  private finishIfDone(): void {
    if (this.requestSent && this.responseSent) this.finish();
  }

  /** The filters hear of the end; once. */
  finish(): void {
    if (this.over) return;
    this.over = true;
    const { handles } = this;
    this.handles = [];
    for (const { name, filter } of handles) {
      try {
        filter.onComplete?.();
      } catch (error) {
        this.chain.logger.error(`upstream filter ${name} failed when its stream was over: ${String(error)}`);
      }
    }
  }
}

const NO_HEADERS = new RequestHeaders();

/** Behind the last filter: the codec. */
class RequestEnd implements PipelineSink<RequestHeaders> {
  private readonly stream: UpstreamStream;

  constructor(stream: UpstreamStream) {
    this.stream = stream;
  }

  get finished(): boolean {
    return this.stream.finished;
  }

  headers(headers: RequestHeaders, endStream: boolean): void {
    this.stream.sendHeaders(headers, endStream);
  }

  body(chunk: Buffer, endStream: boolean, holdable: boolean): boolean {
    return this.stream.sendBody(chunk, endStream, holdable);
  }

  trailers(trailers: Trailers): void {
    this.stream.sendTrailers(trailers);
  }

  takeAddedTrailers(): Trailers | undefined {
    return this.stream.takeAdded('request');
  }

  onFilterError(filterName: string, error: unknown): void {
    this.stream.onBug(filterName, error);
  }

  onBufferOverflow(): void {
    this.stream.reply(REPLY.requestTooLarge);
  }

  onBackPressure(stop: boolean): void {
    if (!stop) this.stream.onWritable();
  }
}

/** Before the first filter, on the response's way: the router. */
class ResponseEnd implements PipelineSink<ResponseHeaders> {
  private readonly stream: UpstreamStream;

  constructor(stream: UpstreamStream) {
    this.stream = stream;
  }

  get finished(): boolean {
    return this.stream.finished;
  }

  headers(headers: ResponseHeaders, endStream: boolean): void {
    this.stream.receiveHeaders(headers, endStream);
  }

  body(chunk: Buffer, endStream: boolean, holdable: boolean): boolean {
    return this.stream.receiveBody(chunk, endStream, holdable);
  }

  trailers(trailers: Trailers): void {
    this.stream.receiveTrailers(trailers);
  }

  takeAddedTrailers(): Trailers | undefined {
    return this.stream.takeAdded('response');
  }

  onFilterError(filterName: string, error: unknown): void {
    this.stream.onBug(filterName, error);
  }

  onBufferOverflow(): void {
    this.stream.reply(REPLY.responseTooLarge);
  }

  onBackPressure(stop: boolean): void {
    this.stream.holdResponse(stop);
  }
}

/** Tells the pool's answer on, with the filters before it. */
export function throughFilters(stream: UpstreamStream, callbacks: HttpPoolCallbacks): HttpPoolCallbacks {
  return {
    onPoolReady: (encoder, host, connection) => {
      stream.attach(encoder);
      callbacks.onPoolReady(stream, host, connection);
    },
    onPoolFailure: (reason, details, host) => callbacks.onPoolFailure(reason, details, host),
  };
}
