import type { DescMessage, MessageShape } from '@bufbuild/protobuf';
import type {
  BackOffRange,
  GrpcCallStatus,
  GrpcReconnectCallbacks,
  GrpcReconnectingStream,
  GrpcStream,
  GrpcStreamCallbacks,
  HeaderMap,
  ResponseHeaders,
  Timer,
} from '@dragoman/core';
import { BackOff } from './back-off.ts';
import type { ClientCore } from './client-core.ts';
import type { StreamCall } from './stream-call.ts';

/** Makes a stream that is not begun yet. */
export type CreateStream<I extends DescMessage, O extends DescMessage> = (
  callbacks: GrpcStreamCallbacks<O>,
  onCancelled: () => void,
) => StreamCall<I, O>;

/** Opens a stream again whenever it ends, until it is closed. */
export class ReconnectingStream<I extends DescMessage, O extends DescMessage>
  implements GrpcReconnectingStream<I>, GrpcStreamCallbacks<O>
{
  private readonly core: ClientCore;
  private readonly create: CreateStream<I, O>;
  private readonly backOff: BackOff;
  private readonly timer: Timer;
  private callbacks: GrpcReconnectCallbacks<I, O> | undefined;
  private current: StreamCall<I, O> | undefined = undefined;

  constructor(
    core: ClientCore,
    range: BackOffRange,
    callbacks: GrpcReconnectCallbacks<I, O>,
    create: CreateStream<I, O>,
  ) {
    this.core = core;
    this.create = create;
    this.callbacks = callbacks;
    this.backOff = new BackOff(range);
    this.timer = core.clock.timer(() => this.open());
  }

  get stream(): GrpcStream<I> | undefined {
    return this.current;
  }

  /** The first stream, or the next one. Its user has it before anything can come of it. */
  open(): void {
    const { callbacks } = this;
    if (callbacks === undefined) return;
    const stream = this.create(this, () => this.onCancelled());
    this.current = stream;
    try {
      callbacks.onOpen(stream);
    } catch (error) {
      stream.reportCallbackError(error);
      stream.cancel();
    }
    stream.start();
  }

  close(): void {
    const { current } = this;
    this.callbacks = undefined;
    this.current = undefined;
    this.timer.disable();
    current?.cancel();
  }

  // --- GrpcStreamCallbacks: what they throw, the stream takes care of ----------------------------------------------------

  onHeaders(headers: ResponseHeaders): void {
    this.callbacks?.onHeaders?.(headers);
  }

  onMessage(message: MessageShape<O>): void {
    this.backOff.reset();
    this.callbacks?.onMessage(message);
  }

  onWritable(): void {
    this.callbacks?.onWritable?.();
  }

  onEnd(status: GrpcCallStatus, trailers: HeaderMap | undefined): void {
    const delayMs = this.schedule();
    this.callbacks?.onEnd(status, delayMs, trailers);
  }

  /** Its user has given up the stream of the moment, not what this is for. */
  private onCancelled(): void {
    this.schedule();
  }

  private schedule(): number {
    this.current = undefined;
    const delayMs = this.backOff.next(this.core.random);
    if (this.callbacks !== undefined) this.timer.enable(delayMs);
    return delayMs;
  }
}
