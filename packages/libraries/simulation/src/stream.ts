import {
  type ConnectionInfo,
  type LocalReply,
  type RequestHeaders,
  type ResponseHeaders,
  type Route,
  StreamInfo,
  type StreamResetReason,
  type TerminalHttpFilter,
  type TerminalHttpStream,
  Trailers,
} from '@dragoman/core';

/** How a request ended. */
export interface Outcome {
  /** Milliseconds by the proxy's clock. */
  readonly startedAt: number;
  readonly endedAt: number;
  /** 0: it ended without an answer. */
  readonly status: number;
  /** Tries that were made; 0: none had a host. */
  readonly attempts: number;
  /** Address of the host of the last try; undefined: there was none. */
  readonly address: string | undefined;
  readonly info: StreamInfo;
}

const NO_BUFFERS: readonly Buffer[] = [];
let nextId = 1;

/** A request without a body on its way through the router, in the place of a connection manager and its client. */
export class SimStream implements TerminalHttpStream, Outcome {
  readonly id = nextId++;
  readonly info: StreamInfo;
  readonly requestHeaders: RequestHeaders;
  readonly route: Route | undefined;
  readonly requestComplete = true;
  readonly requestTrailers: Trailers | undefined = undefined;
  readonly responseTrailers: Trailers | undefined = undefined;
  readonly heldRequestBody = NO_BUFFERS;
  readonly heldResponseBody = NO_BUFFERS;
  bufferLimit = 1024 * 1024;
  responseHeaders: ResponseHeaders | undefined = undefined;
  responseStarted = false;
  filter: TerminalHttpFilter | undefined = undefined;
  status = 0;
  endedAt = 0;
  private over = false;
  private readonly now: () => number;
  private readonly onEnd: (outcome: Outcome) => void;

  constructor(
    connection: ConnectionInfo,
    headers: RequestHeaders,
    route: (headers: RequestHeaders, info: StreamInfo) => Route | undefined,
    clock: { now(): number; wallTime(): number },
    onEnd: (outcome: Outcome) => void,
  ) {
    this.info = new StreamInfo(connection, clock.wallTime(), clock.now());
    this.requestHeaders = headers;
    this.route = route(headers, this.info);
    this.now = () => clock.now();
    this.onEnd = onEnd;
  }

  get startedAt(): number {
    return this.info.start;
  }

  get attempts(): number {
    return this.info.upstreamRequestAttemptCount;
  }

  get address(): string | undefined {
    return this.info.upstreamHost?.address.text;
  }

  // --- TerminalHttpStream ----------------------------------------------------------------------------------------------

  sendHeaders(headers: ResponseHeaders, endStream: boolean): void {
    this.responseStarted = true;
    this.responseHeaders = headers;
    this.status = headers.status;
    if (endStream) this.end();
  }

  sendBody(_chunk: Buffer, endStream: boolean): boolean {
    if (endStream) this.end();
    return true;
  }

  sendTrailers(): void {
    this.end();
  }

  reply({ status, details }: LocalReply): void {
    this.info.responseCodeDetails = details;
    if (!this.responseStarted) this.status = status;
    this.end();
  }

  reset(_reason: StreamResetReason): void {
    this.status = 0;
    this.end();
  }

  informational(): void {}
  routeMiss(): undefined {}
  clearRouteCache(): void {}
  resumeRequest(): void {}
  resumeResponse(): void {}
  pauseRequestBody(): void {}
  resumeRequestBody(): void {}

  perRouteConfig(): undefined {}
  perRouteConfigs<T>(): readonly T[] {
    return [];
  }

  findRoute(): undefined {}
  restart(): boolean {
    return false;
  }

  addRequestTrailers(): Trailers {
    return new Trailers();
  }

  addResponseTrailers(): Trailers {
    return new Trailers();
  }

  private end(): void {
    if (this.over) return;
    this.over = true;
    this.endedAt = this.now();
    this.info.responseCode = this.status;
    this.filter?.onComplete();
    this.onEnd(this);
  }
}
