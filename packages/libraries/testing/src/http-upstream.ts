import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Gate } from './gate.ts';
import { type ListenOptions, listen } from './raw-upstream.ts';
import { within } from './wait.ts';

/** A request as the upstream got it. */
export interface RecordedRequest {
  readonly method: string;
  readonly path: string;
  readonly version: string;
  /** In the order and case received, duplicates kept. */
  readonly rawHeaders: readonly (readonly [name: string, value: string])[];
  /** The first value of a header, by its name in any case. */
  header(name: string): string | undefined;
  /** The connection it came on, counted from 1. */
  readonly connection: number;
  /** The whole body; rejects when the request was broken off. */
  readonly body: Promise<Buffer>;
  /** Settles when the exchange is over: true when the client went away before the answer was complete. */
  readonly aborted: Promise<boolean>;
}

/** What an {@link Answer} works with. */
export interface Exchange {
  readonly request: RecordedRequest;
  readonly message: IncomingMessage;
  readonly response: ServerResponse;
  readonly socket: Socket;
}

/** What the upstream does with one request. */
export type Answer = (exchange: Exchange) => void | Promise<void>;

/** Parts of a {@link reply}. */
export interface ReplyOptions {
  /** Default 200. */
  readonly status?: number;
  /** A list keeps order, case and duplicates. */
  readonly headers?:
    | Readonly<Record<string, string | readonly string[]>>
    | readonly (readonly [string, string])[];
  /** A list is sent chunk by chunk, chunked. */
  readonly body?: string | Buffer | readonly (string | Buffer)[];
  readonly trailers?: Readonly<Record<string, string>>;
}

/** Answers with what is given. */
export function reply(options: ReplyOptions = {}): Answer {
  return async ({ response }) => {
    const { status = 200, headers = {}, body = '', trailers } = options;
    const flat = Array.isArray(headers) ? headers.flat() : headers;
    response.writeHead(status, flat as Record<string, string>);
    if (Array.isArray(body)) {
      for (const chunk of body) await new Promise<void>((resolve) => response.write(chunk, () => resolve()));
    }
    if (trailers !== undefined) response.addTrailers(trailers);
    response.end(Array.isArray(body) ? undefined : (body as string | Buffer));
  };
}

/** Answers 200, or `status`, with a text. */
export function text(body: string, status = 200): Answer {
  return reply({
    status,
    body,
    headers: { 'content-type': 'text/plain', 'content-length': `${Buffer.byteLength(body)}` },
  });
}

/** Answers with the request's body, as it arrives. */
export function echo(): Answer {
  return ({ message, response }) => {
    response.writeHead(200, {
      'content-type': message.headers['content-type'] ?? 'application/octet-stream',
    });
    message.pipe(response);
  };
}

/** Never answers. */
export function hang(): Answer {
  return () => {};
}

/** Answers once the gate lets it pass. */
export function gated(gate: Gate, answer: Answer): Answer {
  return async (exchange) => {
    await gate.pass();
    await answer(exchange);
  };
}

/** Ends the connection with a RST and no answer. */
export function reset(): Answer {
  return ({ socket }) => {
    socket.resetAndDestroy();
  };
}

/**
 * Promises `declared` bytes of body, sends those of `sent`, and breaks off.
 * @param how `reset` (default): RST; `close`: an orderly FIN
 */
export function breakOff(sent: string | Buffer, declared: number, how: 'reset' | 'close' = 'reset'): Answer {
  return async ({ response, socket }) => {
    response.writeHead(200, { 'content-length': `${declared}` });
    await new Promise<void>((resolve) => response.write(sent, () => resolve()));
    // What the kernel has not sent is lost with a reset: let it go first.
    await new Promise((resolve) => setImmediate(resolve));
    if (how === 'reset') socket.resetAndDestroy();
    else socket.destroySoon();
  };
}

/** Each request gets the next answer; the last one stays. */
export function inTurn(...answers: readonly Answer[]): Answer {
  let next = 0;
  return (exchange) => answers[Math.min(next++, answers.length - 1)](exchange);
}

/**
 * An HTTP/1.1 server on `node:http` that a test programs and questions.
 *
 *     await using upstream = await HttpUpstream.start(text('hello'));
 *     …
 *     expect((await upstream.request()).header('x-forwarded-for')).toBe('10.0.0.1');
 */
export class HttpUpstream {
  /** 0 on a Unix socket. */
  readonly port: number;
  /** Every request so far, in order of arrival. */
  readonly requests: RecordedRequest[] = [];
  /** What is done with requests; may be changed at any time. */
  answer: Answer;
  private readonly server: Server;
  private readonly sockets = new Map<Socket, number>();
  private connections = 0;
  private readonly failures: unknown[] = [];
  private watchers: { count: number; resolve: (request: RecordedRequest) => void }[] = [];

  private constructor(server: Server, answer: Answer) {
    this.server = server;
    this.answer = answer;
    const address = server.address();
    this.port = typeof address === 'object' && address !== null ? address.port : 0;
    server.on('connection', (socket) => {
      this.sockets.set(socket, ++this.connections);
      socket.on('error', () => {});
      socket.once('close', () => this.sockets.delete(socket));
    });
    const take = (message: IncomingMessage, response: ServerResponse) => this.take(message, response);
    server.on('request', take);
    // Requests that expect 100-continue are told to go on when the answer reads their body.
    server.on('checkContinue', (message, response) => {
      response.writeContinue();
      take(message, response);
    });
  }

  /** @param answer what to do with requests; default: 200 and no body */
  static async start(answer: Answer = reply(), where: ListenOptions = {}): Promise<HttpUpstream> {
    // No time limits of its own: a test decides how long things take.
    const server = createServer({
      requestTimeout: 0,
      headersTimeout: 0,
      keepAliveTimeout: 0,
      connectionsCheckingInterval: 0,
    });
    await listen(server, where);
    return new HttpUpstream(server, answer);
  }

  /** `127.0.0.1:1234`. */
  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Connections accepted so far. */
  get connectionCount(): number {
    return this.connections;
  }

  /** Connections that are open. */
  get openConnections(): number {
    return this.sockets.size;
  }

  /** The `count`-th request (from 1), once its headers are there. */
  request(count = 1): Promise<RecordedRequest> {
    const found = this.requests[count - 1];
    if (found !== undefined) return Promise.resolve(found);
    const arrived = new Promise<RecordedRequest>((resolve) => this.watchers.push({ count, resolve }));
    return within(arrived, `request ${count} to the upstream`);
  }

  /** Ends every open connection: with a RST, or in an orderly way. */
  disconnect(how: 'reset' | 'close' = 'reset'): void {
    for (const socket of this.sockets.keys()) {
      if (how === 'reset') socket.resetAndDestroy();
      else socket.destroy();
    }
  }

  /** Stops listening, ends what is open. @throws what an answer threw */
  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    for (const socket of this.sockets.keys()) socket.destroy();
    await closed;
    if (this.failures.length > 0) throw this.failures[0];
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  private take(message: IncomingMessage, response: ServerResponse): void {
    const request = record(message, response, this.sockets.get(message.socket) ?? 0);
    this.requests.push(request);
    this.watchers = this.watchers.filter(({ count, resolve }) => {
      if (this.requests.length < count) return true;
      resolve(this.requests[count - 1]);
      return false;
    });
    void this.perform({ request, message, response, socket: message.socket });
  }

  private async perform(exchange: Exchange): Promise<void> {
    try {
      await this.answer(exchange);
    } catch (error) {
      this.failures.push(error);
      exchange.socket.destroy();
    }
  }
}

function record(message: IncomingMessage, response: ServerResponse, connection: number): RecordedRequest {
  const rawHeaders: (readonly [string, string])[] = [];
  for (let at = 0; at < message.rawHeaders.length; at += 2) {
    rawHeaders.push([message.rawHeaders[at], message.rawHeaders[at + 1]]);
  }
  const body = new Promise<Buffer>((resolve, reject) => {
    const chunks: Buffer[] = [];
    message.on('data', (chunk: Buffer) => chunks.push(chunk));
    message.once('end', () => resolve(Buffer.concat(chunks)));
    message.once('error', reject);
    message.once('close', () => reject(new Error('the request was broken off')));
  });
  // Not every test asks for the body.
  body.catch(() => {});
  const aborted = new Promise<boolean>((resolve) => {
    response.once('close', () => resolve(!response.writableFinished));
  });
  return {
    method: message.method ?? '',
    path: message.url ?? '',
    version: message.httpVersion,
    rawHeaders,
    header: (name) => rawHeaders.find(([key]) => key.toLowerCase() === name.toLowerCase())?.[1],
    connection,
    body,
    aborted,
  };
}
