import {
  type BodyVerdict,
  type HeadersVerdict,
  type HttpFilter,
  type HttpStream,
  type RequestHeaders,
  type ResponseHeaders,
  type Trailers,
  wellKnownId,
} from '@dragoman/core';
import { encodeGrpcFrameHeader, FRAME_HEADER_BYTES, isGrpc } from '@dragoman/grpc-frames';

const ID_CONTENT_TYPE = wellKnownId('content-type');
const ID_CONTENT_LENGTH = wellKnownId('content-length');
const ID_GRPC_STATUS = wellKnownId('grpc-status');
const ID_GRPC_MESSAGE = wellKnownId('grpc-message');
const SERVICE_UNAVAILABLE = 503;

export interface Options {
  /** `upgrade_protobuf_to_grpc` */
  readonly upgradeProtobuf: boolean;
  /** `ignore_query_parameters` */
  readonly ignoreQuery: boolean;
}

export class GrpcHttp1BridgeFilter implements HttpFilter {
  private readonly options: Options;
  private readonly stream: HttpStream;
  private bridging = false;
  /** Bodies are bare messages on the client's side. */
  private framing = false;
  /** Waits for the trailers. */
  private held: ResponseHeaders | undefined;

  constructor(options: Options, stream: HttpStream) {
    this.options = options;
    this.stream = stream;
  }

  onRequestHeaders(headers: RequestHeaders): void {
    if (headers.path === '') return;
    const { options, stream } = this;
    if (options.upgradeProtobuf && headers.getKnown(ID_CONTENT_TYPE) === 'application/x-protobuf') {
      this.framing = true;
      headers.setKnown(ID_CONTENT_TYPE, 'application/grpc');
      headers.removeKnown(ID_CONTENT_LENGTH);
      stream.clearRouteCache();
    }
    this.bridging =
      isGrpc(headers.getKnown(ID_CONTENT_TYPE)) && stream.info.protocol?.startsWith('HTTP/1.') === true;
    const query = headers.path.indexOf('?');
    if (this.bridging && options.ignoreQuery && query >= 0) headers.path = headers.path.slice(0, query);
  }

  onRequestBody(chunk: Buffer, endStream: boolean): BodyVerdict {
    if (!this.bridging || !this.framing) return;
    if (!endStream) return 'collect';
    return this.frame(chunk);
  }

  onRequestTrailers(): void {
    if (this.bridging && this.framing) this.stream.addRequestBody(this.frame());
  }

  onResponseHeaders(headers: ResponseHeaders, endStream: boolean): HeadersVerdict {
    if (!this.bridging || endStream) return;
    this.held = headers;
    return 'collect';
  }

  onResponseBody(_chunk: Buffer, endStream: boolean): BodyVerdict {
    // Without trailers it is no answer of gRPC's, and goes on as it is.
    if (this.bridging && !endStream) return 'collect';
  }

  onResponseTrailers(trailers: Trailers): void {
    const headers = this.held;
    if (headers === undefined) return;
    const status = trailers.getKnown(ID_GRPC_STATUS);
    if (status !== undefined) {
      if (!/^0+$/.test(status)) headers.status = SERVICE_UNAVAILABLE;
      headers.setKnown(ID_GRPC_STATUS, status);
    }
    const message = trailers.getKnown(ID_GRPC_MESSAGE);
    if (message !== undefined) headers.setKnown(ID_GRPC_MESSAGE, message);
    if (this.framing) this.unframe();
    const length = this.stream.heldResponseBody.reduce((sum, chunk) => sum + chunk.length, 0);
    headers.setKnown(ID_CONTENT_LENGTH, String(length));
  }

  /** What was collected of the request, with `last` behind it, as one message. */
  private frame(...last: readonly Buffer[]): Buffer {
    const parts = [...this.stream.takeHeldRequestBody(), ...last];
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    return Buffer.concat([encodeGrpcFrameHeader(length), ...parts]);
  }

  /** Takes the five bytes off what was collected of the answer. */
  private unframe(): void {
    const answer = Buffer.concat(this.stream.takeHeldResponseBody());
    const message = answer.subarray(FRAME_HEADER_BYTES);
    if (message.length > 0) this.stream.addResponseBody(message);
  }
}
