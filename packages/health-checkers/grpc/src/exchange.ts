import {
  type HealthCheckResult,
  type RequestEncoder,
  type ResponseHeaders,
  type Trailers,
  wellKnownId,
} from '@dragoman/core';
import {
  decodeGrpcMessage,
  encodeGrpcFrame,
  GrpcFrameReader,
  GrpcStatus,
  grpcStatusFromHttp,
  isGrpc,
  readGrpcStatus,
} from '@dragoman/grpc-frames';
import { type CheckRequest, HEALTHY, type HttpExchange, unhealthy } from '@dragoman/health-checking';
import { decodeStatus, encodeRequest, ServingStatus } from './messages.ts';

const ID_CONTENT_TYPE = wellKnownId('content-type');
const ID_GRPC_STATUS = wellKnownId('grpc-status');
const ID_GRPC_MESSAGE = wellKnownId('grpc-message');
const HTTP_OK = 200;
/** The message has two bytes; a host that adds fields of its own has room for them. */
const MAX_MESSAGE_BYTES = 64 * 1024;
const STATUS_NAMES: readonly (string | undefined)[] = [
  'unknown',
  'serving',
  'not_serving',
  'service_unknown',
];

/** Calls `grpc.health.v1.Health/Check`, and judges what comes back. */
export class GrpcCheckExchange implements HttpExchange {
  readonly lastOnConnection = false;
  private readonly request: CheckRequest;
  private readonly frame: Buffer;
  private reader: GrpcFrameReader = newReader();
  /** Of the message that has come; undefined before. */
  private serving: number | undefined;

  /** @param service empty: the host as a whole */
  constructor(request: CheckRequest, service: string) {
    this.request = request;
    this.frame = encodeGrpcFrame(encodeRequest(service));
  }

  begin(encoder: RequestEncoder): void {
    this.serving = undefined;
    if (this.reader.pendingBytes > 0 || this.reader.failure !== undefined) this.reader = newReader();
    encoder.headers(this.request.next(), false);
    encoder.body(this.frame, true, true);
  }

  onHeaders(headers: ResponseHeaders, endStream: boolean): HealthCheckResult | undefined {
    const { status } = headers;
    const grpcStatus = endStream ? readGrpcStatus(headers.getKnown(ID_GRPC_STATUS)) : undefined;
    if (grpcStatus !== undefined) return this.complete(grpcStatus, headers.getKnown(ID_GRPC_MESSAGE));
    if (status !== HTTP_OK)
      return failed(grpcStatusFromHttp(status), `HTTP status ${status} without a gRPC status`);
    if (endStream || !isGrpc(headers.getKnown(ID_CONTENT_TYPE)))
      return failed(GrpcStatus.INTERNAL, 'the answer is not gRPC');
    return undefined;
  }

  onBody(chunk: Buffer, endStream: boolean): HealthCheckResult | undefined {
    if (endStream) return failed(GrpcStatus.INTERNAL, 'the answer ended without trailers');
    // A chunk is borrowed, and the reader keeps what is not complete.
    this.reader.push(Buffer.from(chunk));
    for (let frame = this.reader.next(); frame !== undefined; frame = this.reader.next()) {
      if (frame.message.length === 0) continue;
      if (this.serving !== undefined) return failed(GrpcStatus.INTERNAL, 'more than one message');
      this.serving = decodeStatus(frame.message);
      if (this.serving === undefined)
        return failed(GrpcStatus.INTERNAL, 'the message is no grpc.health.v1.HealthCheckResponse');
    }
    const { failure } = this.reader;
    return failure === undefined ? undefined : failed(GrpcStatus.INTERNAL, failure);
  }

  onTrailers(trailers: Trailers): HealthCheckResult {
    const status = readGrpcStatus(trailers.getKnown(ID_GRPC_STATUS));
    if (status === undefined) return failed(GrpcStatus.INTERNAL, 'the trailers have no grpc-status');
    return this.complete(status, trailers.getKnown(ID_GRPC_MESSAGE));
  }

  private complete(status: number, message: string | undefined): HealthCheckResult {
    const { serving } = this;
    if (status !== GrpcStatus.OK) return failed(status, decodeGrpcMessage(message ?? ''));
    if (serving === ServingStatus.SERVING) return HEALTHY;
    return unhealthy(
      serving === undefined ? 'no message' : (STATUS_NAMES[serving] ?? `serving status ${serving}`),
    );
  }
}

function newReader(): GrpcFrameReader {
  return new GrpcFrameReader({ maxMessageBytes: MAX_MESSAGE_BYTES, allowedFlags: 0 });
}

function failed(grpcStatus: number, text: string): HealthCheckResult {
  return unhealthy(text === '' ? `gRPC status ${grpcStatus}` : `gRPC status ${grpcStatus}: ${text}`);
}
