import {
  type BodyVerdict,
  type HeaderMap,
  type HeadersVerdict,
  type HttpFilter,
  type HttpStream,
  type RequestHeaders,
  type ResponseHeaders,
  type Trailers,
  wellKnownId,
} from '@dragoman/core';
import {
  encodeGrpcFrame,
  FRAME_HEADER_BYTES,
  FrameFlag,
  isConnectStreaming,
  isGrpc,
} from '@dragoman/grpc-frames';
import { Collector } from './collector.ts';
import { endOfStream, errorOf, httpStatusOf, statusOf } from './connect-error.ts';
import { readGetRequest } from './get-request.ts';
import { convertTimeout } from './timeout.ts';

const ID_CONTENT_TYPE = wellKnownId('content-type');
const ID_CONTENT_LENGTH = wellKnownId('content-length');
const ID_CONTENT_ENCODING = wellKnownId('content-encoding');
const ID_TE = wellKnownId('te');
const ID_TRAILER = wellKnownId('trailer');
const ID_GRPC_STATUS = wellKnownId('grpc-status');
const OK = 200;
const EMPTY = Buffer.alloc(0);
const GRPC = 'application/grpc';
const CONNECT = 'application/connect';
const UNARY = 'application/';
const TOO_LARGE = "because the filter's internal buffer size exceeds the configured limit.";

export class ConnectGrpcBridgeFilter implements HttpFilter {
  private readonly stream: HttpStream;
  private kind: 'unary' | 'streaming' | undefined;
  private readonly request: Collector;
  private requestFlags = 0;
  private readonly answer: Collector;
  /** Of an answer of gRPC's. */
  private answerHeaders: ResponseHeaders | undefined;
  /** Bytes of the answer's frame header that have come. */
  private dropped = 0;

  constructor(stream: HttpStream) {
    this.stream = stream;
    this.request = new Collector();
    this.answer = new Collector();
  }

  // --- The request -----------------------------------------------------------------------------------------------------

  onRequestHeaders(headers: RequestHeaders, endStream: boolean): void {
    const type = headers.getKnown(ID_CONTENT_TYPE);
    if (type !== undefined && isConnectStreaming(type)) {
      this.kind = 'streaming';
      rename(headers, 'connect-content-encoding', 'grpc-encoding');
      rename(headers, 'connect-accept-encoding', 'grpc-accept-encoding');
      this.makeGrpc(headers, type.slice(CONNECT.length));
    } else if (type?.startsWith(UNARY) === true && headers.has('connect-protocol-version')) {
      this.kind = 'unary';
      rename(headers, 'content-encoding', 'grpc-encoding');
      rename(headers, 'accept-encoding', 'grpc-accept-encoding');
      this.setCompression(headers.get('grpc-encoding'));
      this.makeGrpc(headers, `+${type.slice(UNARY.length)}`);
    } else if (!this.takeGetRequest(headers)) return;
    if (this.kind === 'unary' && endStream) this.stream.addRequestBody(this.requestFrame());
  }

  onRequestBody(chunk: Buffer, endStream: boolean): BodyVerdict {
    if (this.kind !== 'unary') return;
    this.request.push(chunk);
    if (this.requestTooLarge()) return EMPTY;
    return endStream ? this.requestFrame() : EMPTY;
  }

  onRequestTrailers(): void {
    if (this.kind === 'unary') this.stream.addRequestBody(this.requestFrame());
  }

  /** True when the request was a call in a query, and has become one of gRPC. */
  private takeGetRequest(headers: RequestHeaders): boolean {
    const get = readGetRequest(headers.path);
    if (get === undefined) return false;
    if (get === 'invalid') {
      this.stream.reply({
        status: 400,
        body: 'Bad Connect request, invalid encoding or compression.',
        details: 'connect_bridge_invalid_get_request',
      });
      return false;
    }
    this.kind = 'unary';
    headers.method = 'POST';
    headers.path = headers.path.slice(0, headers.path.indexOf('?'));
    headers.append('grpc-encoding', get.compression);
    rename(headers, 'accept-encoding', 'grpc-accept-encoding');
    this.setCompression(get.compression);
    this.makeGrpc(headers, `+${get.codec}`);
    this.request.push(get.message);
    return !this.requestTooLarge();
  }

  private makeGrpc(headers: RequestHeaders, suffix: string): void {
    headers.setKnown(ID_CONTENT_TYPE, GRPC + suffix);
    convertTimeout(headers);
    headers.remove('connect-protocol-version');
    headers.setKnown(ID_TE, 'trailers');
    headers.removeKnown(ID_CONTENT_LENGTH);
  }

  private setCompression(encoding: string | undefined): void {
    if (encoding !== undefined && encoding !== 'identity') this.requestFlags = FrameFlag.COMPRESSED;
  }

  private requestFrame(): Buffer {
    return encodeGrpcFrame(this.request.take(), this.requestFlags);
  }

  private requestTooLarge(): boolean {
    if (this.request.length <= this.stream.bufferLimit) return false;
    this.fail(413, `Request rejected ${TOO_LARGE}`, 'connect_bridge_unary_request_too_large');
    return true;
  }

  // --- The answer ------------------------------------------------------------------------------------------------------

  onResponseHeaders(headers: ResponseHeaders, endStream: boolean): HeadersVerdict {
    const { kind, stream } = this;
    if (kind === undefined) return;
    const type = headers.getKnown(ID_CONTENT_TYPE);
    const isAnswer = endStream ? headers.hasKnown(ID_GRPC_STATUS) : headers.status === OK && isGrpc(type);
    if (!isAnswer) return;
    this.answerHeaders = headers;
    headers.removeKnown(ID_CONTENT_LENGTH);
    const suffix = isGrpc(type) ? (type as string).slice(GRPC.length) : '';
    if (kind === 'streaming') {
      headers.setKnown(ID_CONTENT_TYPE, `${CONNECT}${suffix === '' ? '+proto' : suffix}`);
      rename(headers, 'grpc-encoding', 'connect-content-encoding');
      rename(headers, 'grpc-accept-encoding', 'connect-accept-encoding');
      headers.remove('connect-protocol-version');
      if (endStream) stream.addResponseBody(lastEnvelope(headers, false));
    } else {
      headers.setKnown(ID_CONTENT_TYPE, `${UNARY}${suffix === '' ? 'proto' : suffix.slice(1)}`);
      rename(headers, 'grpc-encoding', 'content-encoding');
      if (!endStream) return 'collect';
      const error = this.takeError(headers);
      if (error !== undefined) stream.addResponseBody(error);
    }
    if (endStream) headers.removeWhere((name) => name.startsWith('grpc-'));
  }

  onResponseBody(chunk: Buffer, endStream: boolean): BodyVerdict {
    const { answer, answerHeaders, stream } = this;
    if (this.kind !== 'unary' || answerHeaders === undefined) return;
    // What is needed of these has been taken.
    stream.takeHeldResponseBody();
    if (this.dropped === 0 && chunk.length > 0 && ((chunk[0] as number) & FrameFlag.COMPRESSED) === 0)
      answerHeaders.removeKnown(ID_CONTENT_ENCODING);
    const header = Math.min(FRAME_HEADER_BYTES - this.dropped, chunk.length);
    this.dropped += header;
    answer.push(chunk.subarray(header));
    if (answer.length > stream.bufferLimit) {
      this.fail(500, `Response discarded ${TOO_LARGE}`, 'connect_bridge_unary_response_too_large');
      return EMPTY;
    }
    return endStream ? answer.take() : 'collect';
  }

  onResponseTrailers(trailers: Trailers): void {
    const { answerHeaders: headers, stream } = this;
    if (headers === undefined) return;
    if (this.kind === 'streaming') stream.addResponseBody(lastEnvelope(trailers, true));
    else {
      trailers.forEach((name, value) => {
        if (!name.startsWith('grpc-')) headers.append(`trailer-${name}`, value);
      });
      stream.takeHeldResponseBody();
      const message = this.answer.take();
      const body = this.takeError(trailers) ?? message;
      if (body.length > 0) stream.addResponseBody(body);
    }
    trailers.removeWhere(() => true);
  }

  /** The body of a unary answer that tells of an error, whose headers are made to fit. */
  private takeError(fields: HeaderMap): Buffer | undefined {
    const headers = this.answerHeaders as ResponseHeaders;
    headers.removeKnown(ID_TRAILER);
    const status = statusOf(fields);
    if (status === undefined || status === 0) return undefined;
    headers.status = httpStatusOf(status);
    headers.setKnown(ID_CONTENT_TYPE, 'application/json');
    headers.removeKnown(ID_CONTENT_ENCODING);
    return Buffer.from(JSON.stringify(errorOf(status, fields)));
  }

  private fail(status: number, body: string, details: string): void {
    this.kind = undefined;
    this.stream.reply({ status, body, details });
  }
}

function lastEnvelope(fields: HeaderMap, withMetadata: boolean): Buffer {
  return encodeGrpcFrame(Buffer.from(endOfStream(fields, withMetadata)), FrameFlag.CONNECT_END_STREAM);
}

function rename(headers: HeaderMap, from: string, to: string): void {
  const values = headers.getAll(from);
  headers.remove(from);
  for (const value of values) headers.append(to, value);
}
