import type {
  RequestDecoder,
  RequestHeaders,
  ResponseEncoder,
  Runtime,
  StreamResetReason,
  Trailers,
} from '@dragoman/core';
import type { ActiveStream } from './active-stream.ts';

/** Requests of one connection that are processed in one turn of the event loop. Default: any number. */
const LIMIT_KEY = 'http.max_requests_per_io_cycle';
/** Envoy's default, which turns the limit off. */
const OFF = 2 ** 32 - 1;

/**
 * Lets so many requests of one connection pass in each turn of the event loop; the others wait for the next, in their order. A connection that
 * sends many requests at once (CVE-2023-44487) holds up the others less.
 */
export class RequestGate {
  private readonly limit: number;
  private readonly onBug: (error: unknown) => void;
  private passed = 0;
  private turnComes = false;
  private readonly waiting = new Set<HeldRequest>();

  private constructor(limit: number, onBug: (error: unknown) => void) {
    this.limit = limit;
    this.onBug = onBug;
  }

  /**
   * Undefined where runtime sets no limit as the connection begins. One request passes in each turn whatever it says.
   * @param onBug what a request that passed late has thrown
   */
  static of(runtime: Runtime, onBug: (error: unknown) => void): RequestGate | undefined {
    const limit = runtime.getInteger(LIMIT_KEY, OFF);
    return limit >= OFF ? undefined : new RequestGate(Math.max(1, limit), onBug);
  }

  /** A request begins: what is to receive it. */
  receiver(stream: ActiveStream, encoder: ResponseEncoder): RequestDecoder {
    this.awaitTurn();
    if (this.waiting.size === 0 && this.passed < this.limit) {
      this.passed++;
      return stream;
    }
    const held = new HeldRequest(stream, encoder, (request) => this.waiting.delete(request));
    this.waiting.add(held);
    return held;
  }

  /** The connection is gone. */
  close(): void {
    this.waiting.clear();
  }

  private awaitTurn(): void {
    if (this.turnComes) return;
    this.turnComes = true;
    setImmediate(() => this.onTurn());
  }

  private onTurn(): void {
    this.turnComes = false;
    this.passed = 0;
    for (const request of this.waiting) {
      if (this.passed === this.limit) break;
      this.passed++;
      this.waiting.delete(request);
      try {
        request.pass();
      } catch (error) {
        this.onBug(error);
      }
    }
    if (this.waiting.size > 0) this.awaitTurn();
  }
}

/** A request that waits. It is read as far as its first piece of body. */
export class HeldRequest implements RequestDecoder {
  readonly stream: ActiveStream;
  private readonly encoder: ResponseEncoder;
  private readonly forget: (request: HeldRequest) => void;
  private headers: RequestHeaders | undefined = undefined;
  private body: Buffer | undefined = undefined;
  private trailers: Trailers | undefined = undefined;
  /** With the headers, or with the body. */
  private ended = false;

  constructor(stream: ActiveStream, encoder: ResponseEncoder, forget: (request: HeldRequest) => void) {
    this.stream = stream;
    this.encoder = encoder;
    this.forget = forget;
  }

  onHeaders(headers: RequestHeaders, endStream: boolean): void {
    this.headers = headers;
    this.ended = endStream;
  }

  /** The sender stops after the first, so that no more is kept than one read brings. A copy: nobody else has to wait for it. */
  onBody(chunk: Buffer, endStream: boolean): boolean {
    this.body = this.body === undefined ? Buffer.from(chunk) : Buffer.concat([this.body, chunk]);
    this.ended = endStream;
    if (!endStream) this.encoder.pauseBody();
    return true;
  }

  onTrailers(trailers: Trailers): void {
    this.trailers = trailers;
  }

  onReset(reason: StreamResetReason, details: string): void {
    this.forget(this);
    this.stream.onReset(reason, details);
  }

  onWritable(): void {
    this.stream.onWritable();
  }

  /** The stream gets what has come, and from now on what comes. */
  pass(): void {
    const { stream, encoder, headers, body, trailers, ended } = this;
    encoder.setDecoder(stream);
    if (stream.finished || headers === undefined) return;
    stream.onHeaders(headers, ended && body === undefined);
    // What has been read of a request that is answered already is thrown away, by whoever throws the rest away. The stream must not be told
    // of it: its timers may be another's.
    const goOn = body !== undefined && (stream.finished || stream.onBody(body, ended, true));
    if (goOn && !ended) encoder.resumeBody();
    if (trailers !== undefined && !stream.finished) stream.onTrailers(trailers);
  }

  /** The stream is told of the end itself, and gets no more. */
  release(): ActiveStream {
    this.forget(this);
    return this.stream;
  }
}
