import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { TestCertificate } from './pki.ts';
import { within } from './wait.ts';

/** A request that waits for what the test answers. */
export class HeldRequest {
  /** Path and query. */
  readonly url: URL;
  /** The connection that it came on, counted from 1. */
  readonly connection: number;
  private readonly message: IncomingMessage;
  private readonly response: ServerResponse;

  constructor(message: IncomingMessage, response: ServerResponse, connection: number) {
    this.message = message;
    this.response = response;
    this.connection = connection;
    this.url = new URL(message.url ?? '/', 'http://api');
    message.resume();
  }

  get path(): string {
    return this.url.pathname;
  }

  /** A parameter of the query; undefined when it is not there. */
  query(name: string): string | undefined {
    return this.url.searchParams.get(name) ?? undefined;
  }

  header(name: string): string | undefined {
    const value = this.message.headers[name.toLowerCase()];
    return Array.isArray(value) ? value.join(', ') : value;
  }

  /** Answers with the whole of a body: a text as it is, anything else as JSON. */
  answer(body: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): void {
    this.response.writeHead(status, headers);
    this.response.end(typeof body === 'string' ? body : JSON.stringify(body));
  }

  /** Begins an answer of which the parts follow. */
  begin(headers: Readonly<Record<string, string>> = {}): void {
    this.response.writeHead(200, headers);
    this.response.flushHeaders();
  }

  /** Sends a part. */
  write(part: string | Buffer): void {
    this.response.write(part);
  }

  /** Ends the answer in good order. */
  end(): void {
    this.response.end();
  }

  /** Lets go of the connection in the middle of the answer; what was written has gone out. */
  cut(): void {
    this.message.socket.destroySoon();
  }

  /** Settles once the other side has gone away, or the answer is over. */
  async gone(): Promise<void> {
    if (!this.response.closed) await within(once(this.response, 'close'), 'the end of a held request');
  }
}

/**
 * An HTTP API that a test plays: it takes each request when it wants, and answers it piece by piece.
 *
 *     await using api = await ManualApi.start();
 *     const request = await api.next();
 *     request.begin();
 *     request.write('{"type":"ADD');
 *     request.cut();
 */
export class ManualApi implements AsyncDisposable {
  readonly port: number;
  private readonly server: Server;
  private readonly secure: boolean;
  private readonly sockets = new Set<Socket>();
  private readonly arrived: HeldRequest[] = [];
  private readonly waiting: ((request: HeldRequest) => void)[] = [];
  private readonly numbers = new WeakMap<Socket, number>();
  private connections = 0;

  private constructor(server: Server, secure: boolean) {
    this.server = server;
    this.secure = secure;
    this.port = (server.address() as AddressInfo).port;
    server.on('connection', (socket: Socket) => {
      this.sockets.add(socket);
      socket.on('error', () => {});
      socket.once('close', () => this.sockets.delete(socket));
    });
    server.on('request', (message: IncomingMessage, response: ServerResponse) => {
      if (!this.numbers.has(message.socket)) this.numbers.set(message.socket, ++this.connections);
      const request = new HeldRequest(message, response, this.numbers.get(message.socket) as number);
      const waiter = this.waiting.shift();
      if (waiter === undefined) this.arrived.push(request);
      else waiter(request);
    });
  }

  /** On 127.0.0.1; with TLS when there is a certificate. */
  static async start(certificate?: TestCertificate): Promise<ManualApi> {
    const limits = { requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 0 };
    const server =
      certificate === undefined
        ? createServer(limits)
        : createTlsServer({ ...limits, ...identity(certificate) });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new ManualApi(server, certificate !== undefined);
  }

  get url(): string {
    return `${this.secure ? 'https' : 'http'}://127.0.0.1:${this.port}`;
  }

  /** The next request that no one has taken. */
  next(): Promise<HeldRequest> {
    const ready = this.arrived.shift();
    if (ready !== undefined) return Promise.resolve(ready);
    return within(new Promise((resolve) => this.waiting.push(resolve)), 'a request to the API');
  }

  /** Requests that wait to be taken. */
  get untaken(): number {
    return this.arrived.length;
  }

  /** New connections are shown another certificate. */
  setCertificate(certificate: TestCertificate): void {
    (this.server as unknown as import('node:tls').Server).setSecureContext(identity(certificate));
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

function identity(certificate: TestCertificate): { key: string; cert: string } {
  return { key: certificate.keyPem, cert: certificate.chainPem };
}
