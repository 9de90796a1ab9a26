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
  encodeGrpcFrameHeader,
  FRAME_HEADER_BYTES,
  GrpcStatus,
  grpcStatusFromHttp,
  isGrpc,
} from '@dragoman/grpc-frames';

const ID_CONTENT_TYPE = wellKnownId('content-type');
const ID_CONTENT_LENGTH = wellKnownId('content-length');
const ID_GRPC_STATUS = wellKnownId('grpc-status');
const OK = 200;
const MAX_MESSAGE_BYTES = 0xffff_ffff;

export interface Options {
  /** `content_type`: of requests and answers on the server's side. */
  readonly contentType: string;
  /** `withhold_grpc_frames` */
  readonly withholdFrames: boolean;
  /** `response_size_header`, in lower case; undefined: answers are collected. */
  readonly sizeHeader: string | undefined;
}

export interface RouteOptions {
  readonly disabled: boolean;
}

/** Envoy's details and texts of what goes wrong. */
const FAILURE = {
  tooSmall: {
    details: 'grpc_bridge_data_too_small',
    body: 'invalid request body',
    grpcStatus: GrpcStatus.UNKNOWN,
  },
  noSize: {
    details: 'grpc_bridge_content_length_missing',
    body: 'envoy reverse bridge: upstream did not set content length',
    grpcStatus: GrpcStatus.INTERNAL,
  },
  wrongSize: {
    details: 'grpc_bridge_content_length_wrong',
    body: 'envoy reverse bridge: upstream set incorrect content length',
    grpcStatus: GrpcStatus.INTERNAL,
  },
} as const;

export class GrpcHttp1ReverseBridgeFilter implements HttpFilter {
  private readonly options: Options;
  private readonly stream: HttpStream;
  /** The client's content type; undefined: the request is not bridged. */
  private contentType: string | undefined;
  /** Bytes of the request's frame header that are still to be dropped. */
  private toDrop = 0;
  private grpcStatus = '';
  /** Bytes that the answer is to have, of {@link Options.sizeHeader}. */
  private announced = 0;
  private received = 0;
  private headerSent = false;

  constructor(options: Options, stream: HttpStream) {
    this.options = options;
    this.stream = stream;
  }

  onRequestHeaders(headers: RequestHeaders, endStream: boolean): void {
    const { options, stream } = this;
    if (endStream || stream.perRouteConfig<RouteOptions>()?.disabled === true) return;
    const type = headers.getKnown(ID_CONTENT_TYPE);
    if (headers.path === '' || !isGrpc(type)) return;
    this.contentType = type;
    headers.setKnown(ID_CONTENT_TYPE, options.contentType);
    headers.set('accept', options.contentType);
    if (options.withholdFrames) {
      this.toDrop = FRAME_HEADER_BYTES;
      adjustLength(headers, -FRAME_HEADER_BYTES);
    }
    stream.clearRouteCache();
  }

  onRequestBody(chunk: Buffer, endStream: boolean): BodyVerdict {
    if (this.toDrop === 0) return;
    const dropped = Math.min(this.toDrop, chunk.length);
    this.toDrop -= dropped;
    if (endStream && this.toDrop > 0) this.fail(FAILURE.tooSmall);
    return chunk.subarray(dropped);
  }

  onRequestTrailers(): void {
    if (this.toDrop > 0) this.fail(FAILURE.tooSmall);
  }

  onResponseHeaders(headers: ResponseHeaders, endStream: boolean): HeadersVerdict {
    const { options, contentType } = this;
    if (contentType === undefined) return;
    const type = headers.getKnown(ID_CONTENT_TYPE);
    if (type !== options.contentType) {
      const what = type === undefined ? 'no content-type header' : `unsupported content-type ${type}`;
      this.fail({
        details: 'grpc_bridge_content_type_wrong',
        body: Buffer.from(
          `envoy reverse bridge: upstream responded with ${what}, status code ${headers.status}`,
          'latin1',
        ),
        grpcStatus: GrpcStatus.UNKNOWN,
      });
      return;
    }
    headers.setKnown(ID_CONTENT_TYPE, contentType);
    if (options.withholdFrames && !this.frameLength(headers, endStream)) return;
    this.grpcStatus = String(headers.status === OK ? GrpcStatus.OK : grpcStatusFromHttp(headers.status));
    headers.status = OK;
    if (endStream) this.endWithHeaders(headers);
  }

  onResponseBody(chunk: Buffer, endStream: boolean): BodyVerdict {
    const { options, stream } = this;
    if (this.contentType === undefined) return;
    if (options.sizeHeader !== undefined) return this.passSized(chunk, endStream);
    if (!endStream) return options.withholdFrames ? 'collect' : undefined;
    this.setStatus(stream.addResponseTrailers());
    return options.withholdFrames ? this.frame(chunk) : undefined;
  }

  onResponseTrailers(trailers: Trailers): void {
    const { options, stream } = this;
    if (this.contentType === undefined) return;
    if (options.sizeHeader !== undefined && this.received !== this.announced) {
      this.fail(FAILURE.wrongSize);
      return;
    }
    this.setStatus(trailers);
    if (!options.withholdFrames) return;
    if (options.sizeHeader === undefined) stream.addResponseBody(this.frame());
    else if (!this.headerSent) stream.addResponseBody(encodeGrpcFrameHeader(0));
  }

  /** The length with the frame's header. False when the answer does not tell it. */
  private frameLength(headers: ResponseHeaders, endStream: boolean): boolean {
    const { sizeHeader } = this.options;
    if (sizeHeader === undefined) {
      adjustLength(headers, FRAME_HEADER_BYTES);
      return true;
    }
    const announced = readSize(headers.get(sizeHeader));
    if (announced === undefined || (endStream && announced > 0)) {
      this.fail(announced === undefined ? FAILURE.noSize : FAILURE.wrongSize);
      return false;
    }
    this.announced = announced;
    headers.setKnown(ID_CONTENT_LENGTH, String(announced + FRAME_HEADER_BYTES));
    return true;
  }

  /** An answer without a body is the empty message. */
  private endWithHeaders(headers: ResponseHeaders): void {
    const { options, stream } = this;
    if (options.withholdFrames) stream.addResponseBody(encodeGrpcFrameHeader(0));
    else if (headers.hasKnown(ID_GRPC_STATUS)) return;
    this.setStatus(stream.addResponseTrailers());
  }

  /** The size is known beforehand: the answer passes on as it comes. */
  private passSized(chunk: Buffer, endStream: boolean): BodyVerdict {
    this.received += chunk.length;
    if (this.received > this.announced || (endStream && this.received < this.announced)) {
      this.fail(FAILURE.wrongSize);
      return;
    }
    if (endStream) this.setStatus(this.stream.addResponseTrailers());
    if (this.headerSent) return;
    this.headerSent = true;
    return Buffer.concat([encodeGrpcFrameHeader(this.announced), chunk]);
  }

  /** What was collected of the answer, with `last` behind it, as one message. */
  private frame(...last: readonly Buffer[]): Buffer {
    const parts = [...this.stream.takeHeldResponseBody(), ...last];
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    return Buffer.concat([encodeGrpcFrameHeader(length), ...parts]);
  }

  private setStatus(trailers: Trailers): void {
    trailers.setKnown(ID_GRPC_STATUS, this.grpcStatus);
  }

  private fail(failure: {
    readonly details: string;
    readonly body: string | Buffer;
    readonly grpcStatus: number;
  }): void {
    this.contentType = undefined;
    this.toDrop = 0;
    this.stream.reply({ status: OK, ...failure });
  }
}

/** One that cannot be lessened goes. */
function adjustLength(headers: HeaderMap, by: number): void {
  const text = headers.getKnown(ID_CONTENT_LENGTH);
  if (text === undefined || !/^\d{1,15}$/.test(text)) return;
  const length = Number(text) + by;
  if (length < 0) headers.removeKnown(ID_CONTENT_LENGTH);
  else headers.setKnown(ID_CONTENT_LENGTH, String(length));
}

/** The first of perhaps several values. */
function readSize(value: string | undefined): number | undefined {
  const first = value?.split(',', 1)[0]?.trim();
  if (first === undefined || !/^\d{1,10}$/.test(first)) return undefined;
  const size = Number(first);
  return size > MAX_MESSAGE_BYTES ? undefined : size;
}
