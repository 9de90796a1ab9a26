import { type DescMessage, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf';
import type {
  GrpcCallOptions,
  GrpcCallStatus,
  GrpcUnaryCallbacks,
  HeaderMap,
  ResponseHeaders,
} from '@dragoman/core';
import { GrpcStatus } from '@dragoman/grpc-frames';
import type { ClientCore } from './client-core.ts';
import { Exchange } from './exchange.ts';
import { localStatus } from './status.ts';

/** One message there, one back. */
export class UnaryCall<O extends DescMessage> extends Exchange {
  private readonly output: O;
  private callbacks: GrpcUnaryCallbacks<O> | undefined;
  /** The last message that came: as in Envoy it is the answer, should there be several. */
  private payload: Buffer | undefined = undefined;

  constructor(
    core: ClientCore,
    path: string,
    output: O,
    options: GrpcCallOptions,
    callbacks: GrpcUnaryCallbacks<O>,
  ) {
    // The message is there as a whole: keeping it for a retry costs no more.
    super(core, path, options, Number.POSITIVE_INFINITY);
    this.output = output;
    this.callbacks = callbacks;
  }

  start<I extends DescMessage>(input: I, request: MessageShape<I>): void {
    try {
      this.queue(toBinary(input, request));
    } catch (error) {
      this.finish(unencodable(error), undefined);
      return;
    }
    this.endQueue();
    this.open(this.options.timeoutMs ?? this.core.settings.timeoutMs ?? 0);
  }

  override cancel(): void {
    super.cancel();
    this.forget();
  }

  protected onInitialMetadata(): void {}

  protected onDrained(): void {}

  onPayload(payload: Buffer): void {
    this.payload = payload;
  }

  protected onRemoteEnd(status: GrpcCallStatus, trailers: HeaderMap | undefined): void {
    this.finish(status, trailers);
  }

  protected onFinish(status: GrpcCallStatus, trailers: HeaderMap | undefined): void {
    const { callbacks, payload, responseHeaders } = this;
    this.forget();
    if (callbacks === undefined) return;
    try {
      if (status.code === GrpcStatus.OK) this.succeed(callbacks, payload, responseHeaders, trailers);
      else callbacks.onFailure(status, responseHeaders, trailers);
    } catch (error) {
      this.reportCallbackError(error);
    }
  }

  private succeed(
    callbacks: GrpcUnaryCallbacks<O>,
    payload: Buffer | undefined,
    headers: ResponseHeaders | undefined,
    trailers: HeaderMap | undefined,
  ): void {
    if (payload === undefined || headers === undefined || trailers === undefined) {
      callbacks.onFailure(NO_MESSAGE, headers, trailers);
      return;
    }
    let response: MessageShape<O>;
    try {
      response = fromBinary(this.output, payload);
    } catch (error) {
      callbacks.onFailure(undecodable(error), headers, trailers);
      return;
    }
    callbacks.onSuccess(response, headers, trailers);
  }

  private forget(): void {
    this.callbacks = undefined;
    this.payload = undefined;
    this.responseHeaders = undefined;
  }
}

const NO_MESSAGE = localStatus(GrpcStatus.INTERNAL, 'the answer has no message', 'grpc_no_message');

/** A message of ours that is none of its type. */
export function unencodable(error: unknown): GrpcCallStatus {
  return localStatus(
    GrpcStatus.INTERNAL,
    `cannot serialise the message: ${textOf(error)}`,
    'grpc_encode_error',
  );
}

/** A message of the upstream's that is none of its type. */
export function undecodable(error: unknown): GrpcCallStatus {
  return localStatus(GrpcStatus.INTERNAL, `cannot parse a message: ${textOf(error)}`, 'grpc_decode_error');
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
