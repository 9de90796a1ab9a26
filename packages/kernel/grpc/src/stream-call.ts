import { type DescMessage, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf';
import type {
  GrpcCallStatus,
  GrpcStream,
  GrpcStreamCallbacks,
  GrpcStreamOptions,
  HeaderMap,
  ResponseHeaders,
} from '@dragoman/core';
import { GrpcStatus } from '@dragoman/grpc-frames';
import type { ClientCore } from './client-core.ts';
import { Exchange } from './exchange.ts';
import { localStatus } from './status.ts';
import { undecodable, unencodable } from './unary-call.ts';

/** As Envoy's buffer for the retries of its async client. */
const KEEP_BYTES = 64 * 1024;
/** Before the cluster is known. */
const DEFAULT_BUFFER_BYTES = 1024 * 1024;

/** How an answer ended whose messages are not all handed over. */
interface RemoteEnd {
  readonly status: GrpcCallStatus;
  readonly trailers: HeaderMap | undefined;
}

/** Messages there, messages back, in any order. */
export class StreamCall<I extends DescMessage, O extends DescMessage>
  extends Exchange
  implements GrpcStream<I>
{
  private readonly input: I;
  private readonly output: O;
  private readonly limitGiven: number | undefined;
  private callbacks: GrpcStreamCallbacks<O> | undefined;
  private onCancelled: (() => void) | undefined;
  /** `send` said false: `onWritable` is due. */
  private told = false;
  private paused = false;
  /** The connection was asked to stop. */
  private readingStopped = false;
  private remoteEnd: RemoteEnd | undefined = undefined;

  /** @param onCancelled the user has given it up */
  constructor(
    core: ClientCore,
    path: string,
    input: I,
    output: O,
    options: GrpcStreamOptions,
    callbacks: GrpcStreamCallbacks<O>,
    onCancelled?: () => void,
  ) {
    super(core, path, options, options.keepForRetry === true ? KEEP_BYTES : 0);
    this.input = input;
    this.output = output;
    this.limitGiven = options.bufferLimitBytes ?? core.settings.bufferLimitBytes;
    this.callbacks = callbacks;
    this.onCancelled = onCancelled;
  }

  start(): void {
    if (!this.over) this.open(this.options.timeoutMs ?? 0);
  }

  // --- Sending -----------------------------------------------------------------------------------------------------------

  send(message: MessageShape<I>): boolean {
    if (this.closed) return false;
    const limit = this.bufferLimit;
    if (this.outbox.pendingBytes >= limit) {
      this.finish(overflow(limit), undefined);
      return false;
    }
    try {
      this.queue(toBinary(this.input, message));
    } catch (error) {
      this.finish(unencodable(error), undefined);
      return false;
    }
    this.flush();
    if (this.closed) return false;
    this.told ||= !this.hasRoom;
    return !this.told;
  }

  closeSend(): void {
    if (this.closed) return;
    this.endQueue();
    this.flush();
  }

  get writable(): boolean {
    return !this.closed && !this.told;
  }

  get bufferedBytes(): number {
    return this.outbox.pendingBytes;
  }

  /** Nothing can be sent any more. */
  private get closed(): boolean {
    return this.over || this.completeAt > 0 || this.remoteEnd !== undefined;
  }

  private get hasRoom(): boolean {
    return this.attempt?.blocked !== true && this.outbox.pendingBytes < this.bufferLimit;
  }

  private get bufferLimit(): number {
    return this.limitGiven ?? this.cluster?.perConnectionBufferLimitBytes ?? DEFAULT_BUFFER_BYTES;
  }

  protected onDrained(): void {
    if (!this.told || this.closed || !this.hasRoom) return;
    this.told = false;
    try {
      this.callbacks?.onWritable?.();
    } catch (error) {
      this.failCallback(error);
    }
  }

  // --- Reading -----------------------------------------------------------------------------------------------------------

  pause(): void {
    if (this.over || this.paused) return;
    this.paused = true;
    this.inbox.paused = true;
    if (!this.inbox.draining) this.stopReading();
  }

  resume(): void {
    if (this.over || !this.paused) return;
    this.paused = false;
    this.inbox.resume();
    if (!this.inbox.draining) this.settleReading();
  }

  protected onInitialMetadata(headers: ResponseHeaders): void {
    try {
      this.callbacks?.onHeaders?.(headers);
    } catch (error) {
      this.failCallback(error);
    }
    this.settleReading();
  }

  override onAttemptBody(...body: Parameters<Exchange['onAttemptBody']>): void {
    super.onAttemptBody(...body);
    this.settleReading();
  }

  onPayload(payload: Buffer): void {
    let message: MessageShape<O>;
    try {
      message = fromBinary(this.output, payload);
    } catch (error) {
      this.finish(undecodable(error), undefined);
      return;
    }
    try {
      this.callbacks?.onMessage(message);
    } catch (error) {
      this.failCallback(error);
    }
  }

  protected onRemoteEnd(status: GrpcCallStatus, trailers: HeaderMap | undefined): void {
    this.readingStopped = false;
    this.remoteEnd = { status, trailers };
    this.settleReading();
  }

  /** Brings the connection, and the end, into line with what the user wants. Not while messages are handed over: that would nest. */
  private settleReading(): void {
    if (this.over || this.inbox.draining) return;
    const { remoteEnd } = this;
    if (this.paused) this.stopReading();
    else if (remoteEnd !== undefined) this.finish(remoteEnd.status, remoteEnd.trailers);
    else this.goOnReading();
  }

  private stopReading(): void {
    const encoder = this.attempt?.encoder;
    // Before the headers there is no body to stop.
    if (this.readingStopped || this.responseHeaders === undefined || encoder === undefined) return;
    this.readingStopped = true;
    this.cluster?.stats.upstreamFlowControlPausedReadingTotal.inc();
    encoder.pauseBody();
  }

  private goOnReading(): void {
    if (!this.readingStopped) return;
    this.readingStopped = false;
    this.cluster?.stats.upstreamFlowControlResumedReadingTotal.inc();
    this.attempt?.encoder?.resumeBody();
  }

  // --- End ---------------------------------------------------------------------------------------------------------------

  override cancel(): void {
    const { over, onCancelled } = this;
    super.cancel();
    this.forget();
    if (!over) onCancelled?.();
  }

  protected onFinish(status: GrpcCallStatus, trailers: HeaderMap | undefined): void {
    const { callbacks } = this;
    this.forget();
    try {
      callbacks?.onEnd(status, trailers);
    } catch (error) {
      this.reportCallbackError(error);
    }
  }

  private failCallback(error: unknown): void {
    this.reportCallbackError(error);
    this.finish(CALLBACK_FAILED, undefined);
  }

  private forget(): void {
    this.callbacks = undefined;
    this.onCancelled = undefined;
    this.responseHeaders = undefined;
    this.remoteEnd = undefined;
  }
}

const CALLBACK_FAILED = localStatus(
  GrpcStatus.INTERNAL,
  'a callback of the stream failed',
  'grpc_callback_error',
);

function overflow(limit: number): GrpcCallStatus {
  return localStatus(
    GrpcStatus.RESOURCE_EXHAUSTED,
    `messages wait to be sent, and are more than ${limit} bytes`,
    'grpc_send_buffer_overflow',
  );
}
