import type {
  Cancellable,
  Host,
  HttpPool,
  HttpPoolCallbacks,
  PoolFailureReason,
  RequestEncoder,
  ResponseDecoder,
  ResponseHeaders,
  StreamResetReason,
  Trailers,
} from '@dragoman/core';

/** The call that a try belongs to. Gets nothing of a try that is over. */
export interface AttemptOwner {
  onAttemptReady(encoder: RequestEncoder, host: Host): void;
  onAttemptFailure(reason: PoolFailureReason, details: string, host: Host | undefined): void;
  onAttemptHeaders(attempt: Attempt, headers: ResponseHeaders, endStream: boolean): void;
  onAttemptBody(attempt: Attempt, chunk: Buffer, endStream: boolean): void;
  onAttemptTrailers(attempt: Attempt, trailers: Trailers): void;
  onAttemptReset(attempt: Attempt, reason: StreamResetReason, details: string): void;
  onAttemptWritable(): void;
}

/** One try of a call at one host. What comes after its end goes nowhere: it does not even know its call any more. */
export class Attempt implements ResponseDecoder, HttpPoolCallbacks {
  host: Host | undefined = undefined;
  encoder: RequestEncoder | undefined = undefined;
  /** The connection takes no more until {@link onWritable}. */
  blocked = false;
  /** The request was sent to its end. */
  sent = false;
  /** The response has come to its end. */
  received = false;
  /** How the host has done its work stands in trailers that are still to come. */
  outcomeOpen = false;
  private owner: AttemptOwner | undefined;
  private waiting: Cancellable | undefined = undefined;

  constructor(owner: AttemptOwner) {
    this.owner = owner;
  }

  start(pool: HttpPool): void {
    const waiting = pool.newStream(this, this);
    if (this.encoder !== undefined) return;
    if (this.owner === undefined) waiting?.cancel();
    else this.waiting = waiting;
  }

  /** Ends it, if it is not over. True when a stream was open upstream, and is reset. */
  end(): boolean {
    const { owner, encoder, waiting } = this;
    if (owner === undefined) return false;
    this.owner = undefined;
    this.waiting = undefined;
    this.encoder = undefined;
    waiting?.cancel();
    if (encoder === undefined || (this.sent && this.received)) return false;
    encoder.reset('local-reset');
    return true;
  }

  // --- HttpPoolCallbacks -------------------------------------------------------------------------------------------------

  onPoolReady(encoder: RequestEncoder, host: Host): void {
    this.waiting = undefined;
    if (this.owner === undefined) {
      encoder.reset('local-reset');
      return;
    }
    this.encoder = encoder;
    this.host = host;
    this.owner.onAttemptReady(encoder, host);
  }

  onPoolFailure(reason: PoolFailureReason, details: string, host: Host | undefined): void {
    const { owner } = this;
    this.forget();
    owner?.onAttemptFailure(reason, details, host);
  }

  // --- ResponseDecoder ---------------------------------------------------------------------------------------------------

  /** gRPC has no use for them. */
  onInformational(): void {}

  onHeaders(headers: ResponseHeaders, endStream: boolean): void {
    if (endStream) this.received = true;
    this.owner?.onAttemptHeaders(this, headers, endStream);
  }

  /** The chunk is done with when this returns: messages are copied out of it. */
  onBody(chunk: Buffer, endStream: boolean): boolean {
    if (endStream) this.received = true;
    this.owner?.onAttemptBody(this, chunk, endStream);
    return true;
  }

  onTrailers(trailers: Trailers): void {
    this.received = true;
    this.owner?.onAttemptTrailers(this, trailers);
  }

  onReset(reason: StreamResetReason, details: string): void {
    const { owner } = this;
    this.forget();
    owner?.onAttemptReset(this, reason, details);
  }

  onWritable(): void {
    if (this.owner === undefined || !this.blocked) return;
    this.blocked = false;
    this.owner.onAttemptWritable();
  }

  private forget(): void {
    this.owner = undefined;
    this.waiting = undefined;
    this.encoder = undefined;
  }
}
