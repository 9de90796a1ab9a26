import type {
  BodyVerdict,
  Gauge,
  HeaderMap,
  HeadersVerdict,
  ResponseHeaders,
  Trailers,
} from '@dragoman/core';
import { httpStatusFromGrpc, isGrpc, readGrpcStatus } from '@dragoman/grpc-frames';
import { BufferGauge } from './buffer-gauge.ts';
import { ByteStore } from './byte-store.ts';
import { type Exchange, FAILED } from './exchange.ts';
import { GRPC_STATUS_DETAILS, ID_GRPC_MESSAGE, ID_GRPC_STATUS, statusAsJson } from './grpc-outcome.ts';
import { ID_CONTENT_LENGTH, ID_CONTENT_TYPE, ID_TRAILER, setOrRemove } from './headers.ts';
import { Refusal } from './refusal.ts';
import { JsonResponse, RawResponse, type ResponseBody } from './response-body.ts';

const EMPTY = Buffer.alloc(0);
const JSON_TYPE = 'application/json';

/** As Envoy judges it: a response of headers alone needs a `grpc-status`, any other the content type and 200. */
export function isGrpcResponse(headers: ResponseHeaders, endStream: boolean): boolean {
  if (endStream) return headers.getKnown(ID_GRPC_STATUS) !== undefined;
  return headers.status === 200 && isGrpc(headers.getKnown(ID_CONTENT_TYPE));
}

/** The response of an exchange: messages become its body; the status of the call becomes that of the response, where it is known in time. */
export class ResponseSide {
  private readonly exchange: Exchange;
  private readonly headers: ResponseHeaders;
  private readonly body: ResponseBody;
  private readonly limit: number;
  private readonly buffered: BufferGauge;
  /** What goes out when the response is complete. */
  private readonly output = new ByteStore();
  /** The headers wait for what the body, or its end, tells. */
  private holdsHeaders = true;
  private hasBody = false;

  constructor(exchange: Exchange, headers: ResponseHeaders, gauge: Gauge) {
    const { call, transcoder, stream } = exchange;
    this.exchange = exchange;
    this.headers = headers;
    this.limit = transcoder.maxResponseBytes ?? stream.bufferLimit;
    this.body = call.rawResponseBody
      ? new RawResponse(call, this.limit)
      : new JsonResponse(call, transcoder.printer, transcoder.framing, this.limit);
    this.buffered = new BufferGauge(gauge);
  }

  /** Headers that are not the whole response. */
  begin(): HeadersVerdict {
    const { headers } = this;
    const { call } = this.exchange;
    headers.setKnown(ID_CONTENT_TYPE, this.contentType);
    // It would be the length of the frames.
    headers.removeKnown(ID_CONTENT_LENGTH);
    this.holdsHeaders = !call.serverStreaming || call.rawResponseBody;
    return this.holdsHeaders ? 'collect' : undefined;
  }

  /** The headers are the whole response, and have the status of the call. */
  finishWithHeaders(): void {
    if (this.exchange.call.serverStreaming) this.headers.setKnown(ID_CONTENT_TYPE, this.contentType);
    const rest = this.finish(this.headers);
    if (rest instanceof Refusal) this.reject(rest);
    else if (rest.length > 0) this.exchange.stream.addResponseBody(rest);
  }

  push(chunk: Buffer, endStream: boolean): BodyVerdict {
    this.hasBody ||= chunk.length > 0;
    const part = this.convert(chunk);
    if (part instanceof Refusal) return this.reject(part);
    this.output.append(part);
    if (endStream) return this.finishWithBody();
    const waits = this.holdsHeaders && !this.mayGo();
    const out = waits ? EMPTY : this.output.take();
    this.buffered.set(this.body.pendingBytes + this.output.length);
    return waits ? 'collect' : out;
  }

  /** The body ends with trailers, which have the status of the call. */
  finishWithTrailers(trailers: Trailers): void {
    const rest = this.finish(trailers);
    this.release();
    if (rest instanceof Refusal) this.reject(rest);
    else {
      this.dropFrames();
      if (rest.length > 0) this.exchange.stream.addResponseBody(rest);
    }
  }

  release(): void {
    this.buffered.set(0);
  }

  private get contentType(): string {
    const { call, transcoder } = this.exchange;
    return call.serverStreaming ? transcoder.framing.contentType : JSON_TYPE;
  }

  private convert(chunk: Buffer): Buffer | Refusal {
    if (this.body.pendingBytes + this.output.length + chunk.length > this.limit)
      return Refusal.responseTooLarge();
    return this.body.push(chunk);
  }

  /** Held headers go with the first message of a stream of raw ones: it says what they are. */
  private mayGo(): boolean {
    this.dropFrames();
    if (!this.exchange.call.serverStreaming || !this.body.begun) return false;
    this.takeRawType();
    this.holdsHeaders = false;
    return true;
  }

  /** Frames that the stream keeps while headers are held: they have been read. */
  private dropFrames(): void {
    if (this.holdsHeaders) this.exchange.stream.takeHeldResponseBody();
  }

  private takeRawType(): void {
    if (this.body.contentType !== undefined) setOrRemove(this.headers, 'content-type', this.body.contentType);
  }

  /** The body ends without trailers: nothing tells the status of the call. */
  private finishWithBody(): BodyVerdict {
    const rest = this.body.finish();
    this.release();
    if (rest instanceof Refusal) return this.reject(rest);
    this.output.append(rest);
    const whole = this.output.take();
    if (this.holdsHeaders) {
      this.takeRawType();
      if (!this.exchange.call.serverStreaming) this.headers.setKnown(ID_CONTENT_LENGTH, String(whole.length));
      this.dropFrames();
    }
    return whole;
  }

  /** @param end the headers of a response without a body, or its trailers @returns what is left of the body */
  private finish(end: HeaderMap): Buffer | Refusal {
    const status = readGrpcStatus(end.getKnown(ID_GRPC_STATUS), true);
    const converted = status === undefined ? undefined : this.convertStatus(status, end);
    if (converted !== undefined) return converted;
    const rest = this.body.finish();
    if (rest instanceof Refusal) return rest;
    this.output.append(rest);
    const whole = this.output.take();
    const { serverStreaming } = this.exchange.call;
    const isAlone = end === this.headers;
    if (this.holdsHeaders) this.takeRawType();
    if (serverStreaming && !isAlone) return whole;
    this.headers.status = status === undefined || status < 0 ? 503 : httpStatusFromGrpc(status);
    if (!isAlone) this.copyOutcome(end, status);
    this.removeTrailerHeader();
    if (!serverStreaming) this.headers.setKnown(ID_CONTENT_LENGTH, String(whole.length));
    return whole;
  }

  private copyOutcome(trailers: HeaderMap, status: number | undefined): void {
    if (status !== undefined && status >= 0) this.headers.setKnown(ID_GRPC_STATUS, String(status));
    const message = trailers.getKnown(ID_GRPC_MESSAGE);
    if (message !== undefined) this.headers.setKnown(ID_GRPC_MESSAGE, message);
  }

  /** `convert_grpc_status`: an error that came without any message becomes a body. */
  private convertStatus(status: number, end: HeaderMap): Buffer | undefined {
    const { status: printer } = this.exchange.transcoder;
    if (printer === undefined || this.hasBody || status <= 0) return undefined;
    const json = statusAsJson(status, end, printer);
    if (json === undefined) return undefined;
    const body = Buffer.from(json);
    const { headers } = this;
    const isAlone = end === headers;
    // Headers that are out do not change any more.
    if (!isAlone && !this.holdsHeaders) return body;
    headers.status = httpStatusFromGrpc(status);
    if (isAlone) {
      headers.removeKnown(ID_GRPC_STATUS);
      headers.removeKnown(ID_GRPC_MESSAGE);
      headers.remove(GRPC_STATUS_DETAILS);
    }
    this.removeTrailerHeader();
    headers.setKnown(ID_CONTENT_TYPE, JSON_TYPE);
    headers.setKnown(ID_CONTENT_LENGTH, String(body.length));
    return body;
  }

  /** What it announces does not reach a client of HTTP/1. */
  private removeTrailerHeader(): void {
    if (this.exchange.stream.info.protocol?.startsWith('HTTP/1.') !== false)
      this.headers.removeKnown(ID_TRAILER);
  }

  private reject(refusal: Refusal): void {
    this.release();
    this.exchange.reject(FAILED, refusal);
  }
}
