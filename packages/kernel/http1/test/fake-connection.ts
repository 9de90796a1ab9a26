import type {
  CloseMode,
  Connection,
  ConnectionHandler,
  ConnectionInfo,
  RequestDecoder,
  RequestHeaders,
  ResponseDecoder,
  ResponseEncoder,
  ResponseHeaders,
  ServerCodecHandler,
} from '@dragoman/core';
import {
  createClientCodec,
  createServerCodec,
  type Http1ClientOptions,
  type Http1ServerOptions,
} from '../src/index.ts';

/** A connection without a socket: keeps what is written, counts what is asked of it. */
export class FakeConnection implements Connection {
  readonly info = {} as ConnectionInfo;
  open = true;
  bufferedBytes = 0;
  aboveHighWatermark = false;
  delayedCloseMs = 1000;
  bytesRead = 0;
  bytesWritten = 0;
  /** Everything written, as latin1. */
  out = '';
  ended = false;
  closed: CloseMode | undefined;
  pauses = 0;
  bulk = false;
  bulkCalls: boolean[] = [];
  /** Whether the next hold() succeeds. */
  holdable = false;
  held = false;
  /** What writeBody answers. */
  writable = true;

  setHandler(_handler: ConnectionHandler): void {}
  writeText(text: string): void {
    for (let i = 0; i < text.length; i++) {
      if (text.charCodeAt(i) > 255) throw new Error('not a byte');
    }
    this.out += text;
  }
  writeBody(data: Buffer, _holdable: boolean): boolean {
    this.out += data.toString('latin1');
    return this.writable;
  }
  flush(): void {}
  end(): void {
    this.ended = true;
  }
  close(mode: CloseMode): void {
    this.open = false;
    this.closed ??= mode;
  }
  pauseReading(): void {
    this.pauses++;
  }
  resumeReading(): void {
    if (this.pauses === 0) throw new Error('resumed more often than paused');
    this.pauses--;
  }
  get readingPaused(): boolean {
    return this.pauses > 0 || this.held;
  }
  setBulk(on: boolean): void {
    this.bulk = on;
    this.bulkCalls.push(on);
  }
  hold(): boolean {
    if (this.held) throw new Error('held twice');
    this.held = this.holdable;
    return this.holdable;
  }
  /** Buffers that were left to whoever still writes them. */
  givenUp = 0;
  release(reuse = true): void {
    if (!this.held) throw new Error('released without hold');
    this.held = false;
    if (!reuse) this.givenUp++;
  }
  setIdleTimeout(): void {}

  take(): string {
    const text = this.out;
    this.out = '';
    return text;
  }
}

/** One stream as a receiver saw it. */
export class Exchange {
  readonly protocol: string;
  readonly encoder: ResponseEncoder;
  headers: RequestHeaders | undefined;
  body = '';
  chunks: { data: string; end: boolean; holdable: boolean }[] = [];
  trailers: [string, string][] | undefined;
  ended = false;
  reset: string | undefined;
  writable = 0;
  constructor(protocol: string, encoder: ResponseEncoder) {
    this.protocol = protocol;
    this.encoder = encoder;
  }
}

export interface ServerRig {
  readonly connection: FakeConnection;
  readonly codec: ReturnType<typeof createServerCodec>;
  readonly exchanges: Exchange[];
  readonly errors: { status: number; details: string; message: string }[];
  completed: number;
  done: number;
  /** Answers of onBody. */
  accept: boolean;
  onBody: ((exchange: Exchange, chunk: Buffer) => void) | undefined;
  onHeaders: ((exchange: Exchange, endStream: boolean) => void) | undefined;
  /** Called when a request is complete. */
  onRequest: ((exchange: Exchange) => void) | undefined;
  feed(text: string | Buffer): void;
}

export function serverRig(options: Http1ServerOptions = {}): ServerRig {
  const connection = new FakeConnection();
  const rig: Partial<ServerRig> & { exchanges: Exchange[] } = {
    connection,
    exchanges: [],
    errors: [],
    completed: 0,
    done: 0,
    accept: true,
    onRequest: undefined,
    onBody: undefined,
    onHeaders: undefined,
  };
  const self = rig as ServerRig;
  const handler: ServerCodecHandler = {
    onStream(encoder, protocol): RequestDecoder {
      const exchange = new Exchange(protocol, encoder);
      self.exchanges.push(exchange);
      const end = (): void => {
        if (exchange.ended) throw new Error('ended twice');
        exchange.ended = true;
        self.onRequest?.(exchange);
      };
      return {
        onHeaders(headers, endStream) {
          exchange.headers = headers;
          self.onHeaders?.(exchange, endStream);
          if (endStream) end();
        },
        onBody(chunk, endStream, holdable) {
          if (exchange.ended || exchange.reset !== undefined) throw new Error('body after the end');
          exchange.body += chunk.toString('latin1');
          exchange.chunks.push({ data: chunk.toString('latin1'), end: endStream, holdable });
          self.onBody?.(exchange, chunk);
          if (endStream) end();
          return self.accept;
        },
        onTrailers(trailers) {
          exchange.trailers = trailers.entries();
          end();
        },
        onReset(reason, details) {
          exchange.reset = `${reason}: ${details}`;
        },
        onWritable() {
          exchange.writable++;
        },
      };
    },
    onCodecError(error, encoder) {
      self.errors.push(error);
      encoder.headers(response(error.status, [['content-length', '0']]), true);
    },
    onConnectionDone() {
      self.done++;
    },
    onStreamComplete() {
      self.completed++;
    },
  };
  const codec = createServerCodec(connection, handler, options);
  return Object.assign(rig, {
    codec,
    feed(text: string | Buffer) {
      codec.dispatch(typeof text === 'string' ? Buffer.from(text, 'latin1') : text);
    },
  }) as ServerRig;
}

export function response(
  status: number,
  lines: readonly (readonly [string, string])[] = [],
): ResponseHeaders {
  const headers = new ResponseHeadersClass();
  headers.status = status;
  for (const [name, value] of lines) headers.append(name, value);
  return headers;
}

export function request(
  method: string,
  path: string,
  authority: string,
  lines: readonly (readonly [string, string])[] = [],
): RequestHeaders {
  const headers = new RequestHeadersClass();
  headers.method = method;
  headers.path = path;
  headers.authority = authority;
  for (const [name, value] of lines) headers.append(name, value);
  return headers;
}

import {
  RequestHeaders as RequestHeadersClass,
  ResponseHeaders as ResponseHeadersClass,
} from '@dragoman/core';

/** What a client's receiver saw. */
export class Answer implements ResponseDecoder {
  informational: ResponseHeaders[] = [];
  headers: ResponseHeaders | undefined;
  body = '';
  chunks: { data: string; end: boolean; holdable: boolean }[] = [];
  trailers: [string, string][] | undefined;
  ended = false;
  reset: string | undefined;
  writable = 0;
  accept = true;

  onInformational(headers: ResponseHeaders): void {
    this.informational.push(headers);
  }
  onHeaders(headers: ResponseHeaders, endStream: boolean): void {
    if (this.headers !== undefined) throw new Error('two final heads');
    this.headers = headers;
    this.end(endStream);
  }
  onBody(chunk: Buffer, endStream: boolean, holdable: boolean): boolean {
    if (this.ended || this.reset !== undefined) throw new Error('body after the end');
    this.body += chunk.toString('latin1');
    this.chunks.push({ data: chunk.toString('latin1'), end: endStream, holdable });
    this.end(endStream);
    return this.accept;
  }
  onTrailers(trailers: { entries(): [string, string][] }): void {
    this.trailers = trailers.entries();
    this.end(true);
  }
  onReset(reason: string, details: string): void {
    this.reset = `${reason}: ${details}`;
  }
  onWritable(): void {
    this.writable++;
  }
  private end(endStream: boolean): void {
    if (!endStream) return;
    if (this.ended) throw new Error('ended twice');
    this.ended = true;
  }
}

export interface ClientRig {
  readonly connection: FakeConnection;
  readonly codec: ReturnType<typeof createClientCodec>;
  /** One for each exchange that is complete. */
  readonly completed: boolean[];
  readonly errors: string[];
  feed(text: string | Buffer): void;
  /** Begins an exchange with the request's head. */
  send(
    headers: RequestHeaders,
    endStream?: boolean,
  ): { answer: Answer; encoder: ReturnType<ReturnType<typeof createClientCodec>['newStream']> };
}

export function clientRig(options: Http1ClientOptions = {}): ClientRig {
  const connection = new FakeConnection();
  const completed: boolean[] = [];
  const errors: string[] = [];
  const codec = createClientCodec(
    connection,
    {
      onStreamComplete: (reusable) => completed.push(reusable),
      onProtocolError: (details) => errors.push(details),
    },
    options,
  );
  return {
    connection,
    codec,
    completed,
    errors,
    feed: (text) => codec.dispatch(typeof text === 'string' ? Buffer.from(text, 'latin1') : text),
    send(headers, endStream = true) {
      const answer = new Answer();
      const encoder = codec.newStream(answer);
      encoder.headers(headers, endStream);
      return { answer, encoder };
    },
  };
}
