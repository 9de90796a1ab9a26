import {
  type BodyVerdict,
  type ClusterManager,
  type HeadersVerdict,
  type HttpFilter,
  type HttpStream,
  type RequestHeaders,
  type ResponseHeaders,
  type Trailers,
  wellKnownId,
} from '@dragoman/core';
import { clusterOfStream, type GrpcCall, type GrpcCallStats, grpcCallOf } from '@dragoman/grpc-call-stats';
import {
  encodeGrpcFrame,
  encodeGrpcMessage,
  FrameFlag,
  grpcStatusFromHttp,
  isGrpc,
  isGrpcWeb,
  isGrpcWebText,
} from '@dragoman/grpc-frames';
import { Base64Decoder } from './base64-decoder.ts';
import { ErrorText } from './error-text.ts';
import { Base64FrameEncoder } from './frame-encoder.ts';

const ID_CONTENT_TYPE = wellKnownId('content-type');
const ID_CONTENT_LENGTH = wellKnownId('content-length');
const ID_TE = wellKnownId('te');
const ID_GRPC_STATUS = wellKnownId('grpc-status');
const ID_GRPC_MESSAGE = wellKnownId('grpc-message');
const OK = 200;
const EMPTY = Buffer.alloc(0);

/** What all streams of a filter share. */
export interface Shared {
  readonly calls: GrpcCallStats;
  readonly clusters: ClusterManager;
  readonly random: { next(): number };
}

export class GrpcWebFilter implements HttpFilter {
  private readonly shared: Shared;
  private readonly stream: HttpStream;
  private isWeb = false;
  private call: GrpcCall | undefined;
  /** The request is text. */
  private decoder: Base64Decoder | undefined;
  /** The client wants text. */
  private encoder: Base64FrameEncoder | undefined;
  /** The answer is no gRPC: its body becomes the message of a status. */
  private error: { readonly headers: ResponseHeaders; readonly text: ErrorText } | undefined;

  constructor(shared: Shared, stream: HttpStream) {
    this.shared = shared;
    this.stream = stream;
  }

  onRequestHeaders(headers: RequestHeaders): void {
    const type = headers.getKnown(ID_CONTENT_TYPE);
    if (headers.path === '' || !isGrpcWeb(type)) return;
    this.isWeb = true;
    // Named now: the router may rewrite the path.
    this.call = grpcCallOf(headers.path);
    if (isGrpcWebText(type)) this.decoder = new Base64Decoder();
    if (isGrpcWebText(headers.getJoined('accept'))) this.encoder = new Base64FrameEncoder();
    headers.removeKnown(ID_CONTENT_LENGTH);
    headers.setKnown(ID_CONTENT_TYPE, 'application/grpc');
    headers.setKnown(ID_TE, 'trailers');
    if (!headers.has('grpc-accept-encoding')) headers.append('grpc-accept-encoding', 'identity');
  }

  onRequestBody(chunk: Buffer, endStream: boolean): BodyVerdict {
    const { decoder } = this;
    if (decoder === undefined) return;
    if (endStream && (decoder.pending + chunk.length) % 4 !== 0) {
      this.refuse('grpc_base_64_decode_failed_bad_size');
      return EMPTY;
    }
    const decoded = decoder.push(chunk);
    if (decoded === undefined) this.refuse('grpc_base_64_decode_failed');
    return decoded ?? EMPTY;
  }

  onResponseHeaders(headers: ResponseHeaders, endStream: boolean): HeadersVerdict {
    if (!this.isWeb) return;
    this.charge(headers.getKnown(ID_GRPC_STATUS));
    const type = headers.getKnown(ID_CONTENT_TYPE);
    const isAnswer = headers.status === OK && (isGrpc(type) || isBinaryGrpcWeb(type));
    headers.removeKnown(ID_CONTENT_LENGTH);
    const suffix = this.encoder === undefined ? '' : '-text';
    headers.setKnown(ID_CONTENT_TYPE, `application/grpc-web${suffix}+proto`);
    if (endStream || isAnswer) return;
    this.error = { headers, text: new ErrorText() };
    return 'collect';
  }

  onResponseBody(chunk: Buffer, endStream: boolean): BodyVerdict {
    const { error, encoder } = this;
    if (error !== undefined) {
      // What it has kept already holds the beginning of these.
      this.stream.takeHeldResponseBody();
      error.text.push(chunk);
      if (!endStream) return 'collect';
      this.finishError();
      return EMPTY;
    }
    if (encoder === undefined) return;
    const encoded = encoder.push(chunk);
    return endStream ? Buffer.concat([encoded, encoder.end()]) : encoded;
  }

  onResponseTrailers(trailers: Trailers): void {
    const { stream, encoder } = this;
    if (!this.isWeb) return;
    this.charge(trailers.getKnown(ID_GRPC_STATUS));
    if (this.error !== undefined) {
      stream.takeHeldResponseBody();
      this.finishError();
      return;
    }
    let lines = '';
    trailers.forEach((name, value) => {
      lines += `${name}:${value}\r\n`;
    });
    trailers.removeWhere(() => true);
    const frame = encodeGrpcFrame(Buffer.from(lines, 'latin1'), FrameFlag.GRPC_WEB_TRAILERS);
    if (encoder === undefined) stream.addResponseBody(frame);
    else stream.addResponseBody(Buffer.concat([encoder.end(), encoder.push(frame)]));
  }

  /** The held headers get a status, and the beginning of the body as its message. */
  private finishError(): void {
    const { error } = this;
    if (error === undefined) return;
    const { headers, text } = error;
    this.error = undefined;
    headers.setKnown(ID_GRPC_MESSAGE, encodeGrpcMessage(text.bytes()));
    headers.setKnown(ID_GRPC_STATUS, String(grpcStatusFromHttp(headers.status)));
    headers.setKnown(ID_CONTENT_LENGTH, '0');
  }

  private refuse(details: string): void {
    this.decoder = undefined;
    this.stream.reply({ status: 400, body: 'Bad gRPC-web request, invalid base64 data.', details });
  }

  private charge(status: string | undefined): void {
    if (status === undefined || this.call === undefined) return;
    const { calls, clusters, random } = this.shared;
    const cluster = clusterOfStream(this.stream, clusters, random);
    if (cluster !== undefined) calls.of(cluster, this.call).chargeStatus(status);
  }
}

/** An answer that is gRPC-Web already. Its type may have parameters. */
function isBinaryGrpcWeb(type: string | undefined): boolean {
  const media = type?.split(';', 1)[0]?.trimEnd().toLowerCase();
  return isGrpcWeb(media) && !isGrpcWebText(media);
}
