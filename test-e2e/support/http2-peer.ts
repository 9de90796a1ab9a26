import * as http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { frame } from './grpc-bytes.ts';

/** One request on one connection. */
export interface Http2Exchange {
  readonly stream: http2.ServerHttp2Stream;
  readonly session: http2.ServerHttp2Session;
  readonly headers: http2.IncomingHttpHeaders;
  /** From 0, over all connections. */
  readonly index: number;
  /** From 0. */
  readonly connection: number;
}

export type Http2Script = (exchange: Http2Exchange) => void | Promise<void>;

/** Answers as a gRPC server does: one message, then the status. */
export function answerGrpc(
  { stream }: Http2Exchange,
  message: string | Uint8Array,
  trailers: http2.OutgoingHttpHeaders = {},
): void {
  beginGrpc(stream);
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', ...trailers }));
  stream.end(frame(message));
}

/** Sends the headers of an answer, whose status is to come in trailers. */
export function beginGrpc(stream: http2.ServerHttp2Stream): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
}

/** Answers with a status alone. */
export function answerStatus({ stream }: Http2Exchange, code: number, message = ''): void {
  const headers = { 'grpc-status': code, ...(message === '' ? {} : { 'grpc-message': message }) };
  stream.respond({ ':status': 200, 'content-type': 'application/grpc', ...headers }, { endStream: true });
}

/** An HTTP/2 server that does what a test says, frame by frame where that matters. */
export class Http2Peer {
  readonly port: number;
  /** Requests so far, in order of arrival. */
  readonly exchanges: Http2Exchange[] = [];
  /** Connections so far. */
  connections = 0;
  private readonly server: http2.Http2Server;
  private readonly sessions = new Set<http2.ServerHttp2Session>();

  private constructor(server: http2.Http2Server, script: Http2Script) {
    this.server = server;
    this.port = (server.address() as AddressInfo).port;
    server.on('session', (session) => {
      const connection = this.connections++;
      this.sessions.add(session);
      session.on('close', () => this.sessions.delete(session));
      session.on('error', () => {});
      session.on('stream', (stream, headers) => {
        stream.on('error', () => {});
        const exchange = { stream, session, headers, connection, index: this.exchanges.length };
        this.exchanges.push(exchange);
        void script(exchange);
      });
    });
  }

  static async start(script: Http2Script, settings: http2.Settings = {}): Promise<Http2Peer> {
    const server = http2.createServer({ settings });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new Http2Peer(server, script);
  }

  /** Node keeps a connection on which it has sent GOAWAY until this, even when the client has closed it. */
  async stop(): Promise<void> {
    for (const session of this.sessions) session.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
