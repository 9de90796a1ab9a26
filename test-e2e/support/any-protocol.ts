import { once } from 'node:events';
import * as http from 'node:http';
import * as http2 from 'node:http2';
import * as https from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** What one side of the proxy speaks. */
export interface Side {
  readonly http: 1 | 2;
  readonly tls: boolean;
}

export const SIDES: readonly Side[] = [
  { http: 1, tls: false },
  { http: 2, tls: false },
  { http: 1, tls: true },
  { http: 2, tls: true },
];

export const nameOf = ({ http: version, tls }: Side): string => `HTTP/${version}${tls ? ' over TLS' : ''}`;

export interface Pems {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  /** The certificate's name. */
  readonly name: string;
}

export interface Exchange {
  readonly method?: string;
  readonly path: string;
  readonly headers?: http.OutgoingHttpHeaders;
  readonly body?: Buffer;
  readonly trailers?: Readonly<Record<string, string>>;
}

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
  readonly trailers: Readonly<Record<string, unknown>>;
  /** Statuses of interim responses. */
  readonly interim: readonly number[];
}

/** A client of one protocol, with one connection. */
export interface Client extends AsyncDisposable {
  /** Rejects when the answer is cut off, or none comes. */
  send(exchange: Exchange): Promise<Answer>;
  /** Begins an upload that the test goes on with, or cuts. */
  begin(exchange: Exchange): { write(chunk: Buffer): void; cut(): void; readonly answer: Promise<Answer> };
  /** Asks for a WebSocket; the tunnel's bytes are the test's own. Rejects with the status of a refusal. */
  upgrade(path: string): Promise<Duplex>;
  /** Asks for a WebSocket, and sends `early` before anybody has said yes. Resolves when the refusal is there. */
  impatientUpgrade(path: string, early: string): Promise<void>;
  /** A tunnel to `authority` (CONNECT). */
  connect(authority: string): Promise<Duplex>;
  /** Lets go of tunnels that were given out. */
  abandon(): void;
}

export function openClient(side: Side, port: number, pems: Pems): Client {
  return side.http === 1 ? new Http1Client(side, port, pems) : new Http2Client(side, port, pems);
}

class Http1Client implements Client {
  private readonly agent: http.Agent;
  private readonly tunnels: Duplex[] = [];
  private readonly options: https.RequestOptions;
  private readonly request: typeof http.request;

  constructor({ tls }: Side, port: number, { ca, name }: Pems) {
    this.agent = tls ? new https.Agent({ keepAlive: true }) : new http.Agent({ keepAlive: true });
    this.request = (tls ? https.request : http.request) as typeof http.request;
    this.options = { host: '127.0.0.1', port, agent: this.agent, ca, servername: name };
  }

  send(exchange: Exchange): Promise<Answer> {
    const { request, answer } = this.open(exchange);
    if (exchange.trailers !== undefined) request.addTrailers(exchange.trailers);
    request.end(exchange.body);
    return answer;
  }

  begin(exchange: Exchange) {
    const { request, answer } = this.open(exchange);
    request.flushHeaders();
    return {
      write: (chunk: Buffer) => void request.write(chunk),
      cut: () => void request.destroy(),
      answer,
    };
  }

  private open({ method = 'GET', path, headers = {}, trailers }: Exchange) {
    const names = trailers === undefined ? {} : { trailer: Object.keys(trailers).join(', ') };
    const request = this.request({
      ...this.options,
      method,
      path,
      headers: { host: 'any.test', ...headers, ...names },
    });
    const interim: number[] = [];
    request.on('information', ({ statusCode }) => interim.push(statusCode));
    const answer = new Promise<Answer>((resolve, reject) => {
      request.on('error', reject);
      request.on('response', (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () =>
          resolve({
            status: response.statusCode as number,
            headers: response.headers,
            body: Buffer.concat(chunks),
            trailers: response.trailers,
            interim,
          }),
        );
      });
    });
    answer.catch(() => {});
    return { request, answer };
  }

  upgrade(path: string): Promise<Duplex> {
    const request = this.request({
      ...this.options,
      agent: false,
      path,
      headers: { host: 'any.test', connection: 'upgrade', upgrade: 'websocket' },
    });
    request.end();
    return new Promise((resolve, reject) => {
      request.on('upgrade', (_response, socket: Socket, head) => {
        if (head.length > 0) socket.unshift(head);
        this.tunnels.push(socket);
        resolve(socket);
      });
      request.on('response', (response) => {
        response.resume();
        reject(new Error(`answered ${response.statusCode}`));
      });
      request.on('error', reject);
    });
  }

  impatientUpgrade(path: string, early: string): Promise<void> {
    const request = this.request({
      ...this.options,
      agent: false,
      path,
      headers: { host: 'any.test', connection: 'upgrade', upgrade: 'websocket' },
    });
    request.end();
    request.on('socket', (socket: Socket) => socket.write(early));
    return this.refused(request);
  }

  private refused(request: http.ClientRequest): Promise<void> {
    return new Promise((resolve, reject) => {
      request.on('response', (response) => {
        response.resume();
        response.on('close', () => resolve());
      });
      request.on('upgrade', () => reject(new Error('was upgraded')));
      request.on('error', () => resolve());
    });
  }

  connect(authority: string): Promise<Duplex> {
    const request = this.request({ ...this.options, agent: false, method: 'CONNECT', path: authority });
    request.end();
    return new Promise((resolve, reject) => {
      request.on('connect', (response, socket: Socket, head) => {
        if (response.statusCode !== 200) {
          socket.destroy();
          reject(new Error(`answered ${response.statusCode}`));
          return;
        }
        if (head.length > 0) socket.unshift(head);
        this.tunnels.push(socket);
        resolve(socket);
      });
      request.on('error', reject);
    });
  }

  abandon(): void {
    for (const tunnel of this.tunnels) tunnel.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.agent.destroy();
  }
}

class Http2Client implements Client {
  private readonly session: http2.ClientHttp2Session;

  constructor({ tls }: Side, port: number, { ca, name }: Pems) {
    this.session = tls
      ? http2.connect(`https://127.0.0.1:${port}`, { ca, servername: name })
      : http2.connect(`http://127.0.0.1:${port}`);
    this.session.on('error', () => {});
  }

  send(exchange: Exchange): Promise<Answer> {
    const { stream, answer } = this.open(exchange);
    stream.end(exchange.body);
    return answer;
  }

  begin(exchange: Exchange) {
    const { stream, answer } = this.open(exchange);
    return {
      write: (chunk: Buffer) => void stream.write(chunk),
      // `close` would end the request properly before it resets the stream.
      cut: () => void stream.destroy(),
      answer,
    };
  }

  private open({ method = 'GET', path, headers = {}, body, trailers }: Exchange) {
    const stream = this.session.request(
      { ':method': method, ':path': path, ':authority': 'any.test', ...headers },
      {
        endStream: body === undefined && trailers === undefined && method === 'GET',
        waitForTrailers: trailers !== undefined,
      },
    );
    if (trailers !== undefined) stream.on('wantTrailers', () => stream.sendTrailers(trailers));
    const interim: number[] = [];
    stream.on('headers', (fields) => interim.push(fields[':status'] as number));
    const answer = new Promise<Answer>((resolve, reject) => {
      const chunks: Buffer[] = [];
      let head: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader = {};
      let tail: object = {};
      let ended = false;
      stream.on('error', reject);
      stream.on('response', (fields) => {
        head = fields;
      });
      stream.on('trailers', (fields) => {
        tail = fields;
      });
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        ended = true;
      });
      stream.on('close', () => {
        const status = head[':status'];
        if (!ended || status === undefined) {
          reject(new Error(`reset with ${stream.rstCode}`));
          return;
        }
        resolve({
          status,
          headers: head,
          body: Buffer.concat(chunks),
          trailers: Object.fromEntries(Object.entries(tail)),
          interim,
        });
      });
    });
    answer.catch(() => {});
    return { stream, answer };
  }

  private async requestUpgrade(path: string): Promise<http2.ClientHttp2Stream> {
    if (!this.session.remoteSettings.enableConnectProtocol) await once(this.session, 'remoteSettings');
    const stream = this.session.request(
      {
        ':method': 'CONNECT',
        ':protocol': 'websocket',
        ':scheme': 'http',
        ':path': path,
        ':authority': 'any.test',
      },
      { endStream: false },
    );
    stream.on('error', () => {});
    return stream;
  }

  async upgrade(path: string): Promise<Duplex> {
    const stream = await this.requestUpgrade(path);
    const [fields] = (await once(stream, 'response')) as [http2.IncomingHttpStatusHeader];
    if (fields[':status'] !== 200) {
      stream.resume();
      throw new Error(`answered ${fields[':status']}`);
    }
    return stream;
  }

  async impatientUpgrade(path: string, early: string): Promise<void> {
    const stream = await this.requestUpgrade(path);
    stream.write(early);
    const [fields] = (await once(stream, 'response')) as [http2.IncomingHttpStatusHeader];
    stream.resume();
    if (fields[':status'] === 200) throw new Error('was upgraded');
    stream.destroy();
  }

  async connect(authority: string): Promise<Duplex> {
    const stream = this.session.request(
      { ':method': 'CONNECT', ':authority': authority },
      { endStream: false },
    );
    stream.on('error', () => {});
    const [fields] = (await once(stream, 'response')) as [http2.IncomingHttpStatusHeader];
    if (fields[':status'] !== 200) throw new Error(`answered ${fields[':status']}`);
    return stream;
  }

  abandon(): void {}

  async [Symbol.asyncDispose](): Promise<void> {
    this.session.destroy();
  }
}

/** A request as the upstream has it. */
export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly trailers: Readonly<Record<string, unknown>>;
  readonly bytes: number;
}

/**
 * An upstream of one protocol. By path: `/echo` sends the body back, with a trailer; `/status/N` answers N; `/reset` cuts its answer off;
 * `/early` answers before the body is there; `/slow` never answers; anything else says OK. WebSocket tunnels echo; `/refuse` refuses them.
 */
export class AnyUpstream {
  /** Requests that are complete. */
  readonly seen: Seen[] = [];
  /** Requests that were cut off. */
  cut = 0;
  /** Bytes that came for an upgrade before it was answered, or though it was refused. */
  earlyBytes = 0;
  private readonly onTunnel: (tunnel: Duplex) => void;
  private readonly server: http.Server | http2.Http2Server;
  private readonly open = new Set<{ destroy(): void }>();

  private constructor(server: http.Server | http2.Http2Server, onTunnel: (tunnel: Duplex) => void) {
    this.server = server;
    this.onTunnel = onTunnel;
    server.on('request', (request: http.IncomingMessage, response: http.ServerResponse) =>
      this.serve(request, response),
    );
    server.on('connection', (socket: Socket) => this.keep(socket));
    server.on('session', (session: http2.ServerHttp2Session) => this.keep(session));
    server.on('upgrade', (request: http.IncomingMessage, socket: Socket, head: Buffer) => {
      socket.on('error', () => {});
      this.earlyBytes += head.length;
      if (request.url === '/refuse') {
        socket.on('data', (data: Buffer) => {
          this.earlyBytes += data.length;
        });
        socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno');
        return;
      }
      socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
      this.onTunnel(socket);
    });
    server.on('connect', (request: http2.Http2ServerRequest, response: http2.Http2ServerResponse) => {
      const { stream } = request;
      stream.on('error', () => {});
      if (request.headers[':path'] === '/refuse') {
        stream.on('data', (data: Buffer) => {
          this.earlyBytes += data.length;
        });
        response.writeHead(403).end('no');
      } else {
        stream.respond({ ':status': 200 });
        this.onTunnel(stream);
      }
    });
  }

  /** @param onTunnel gets WebSocket tunnels; default: they echo */
  static async start(
    { http: version, tls }: Side,
    { cert, key }: Pems,
    onTunnel: (tunnel: Duplex) => void = (tunnel) => tunnel.pipe(tunnel),
  ): Promise<AnyUpstream> {
    const settings = { enableConnectProtocol: true };
    const server =
      version === 1
        ? tls
          ? https.createServer({ cert, key })
          : http.createServer()
        : tls
          ? http2.createSecureServer({ cert, key, settings })
          : http2.createServer({ settings });
    const upstream = new AnyUpstream(server as http.Server, onTunnel);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return upstream;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    for (const item of this.open) item.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private keep(item: { destroy(): void; once(event: 'close', listener: () => void): unknown }): void {
    this.open.add(item);
    item.once('close', () => this.open.delete(item));
  }

  private serve(request: http.IncomingMessage, response: http.ServerResponse): void {
    const path = request.url as string;
    const chunks: Buffer[] = [];
    let ended = false;
    request.on('error', () => {});
    response.on('error', () => {});
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('close', () => {
      if (!ended) this.cut++;
    });
    if (path === '/early') response.end('early');
    if (path === '/slow') response.write('begun');
    request.on('end', () => {
      ended = true;
      const body = Buffer.concat(chunks);
      this.seen.push({
        method: request.method as string,
        path,
        headers: request.headers,
        trailers: Object.fromEntries(Object.entries(request.trailers)),
        bytes: body.length,
      });
      this.answer(path, body, response);
    });
  }

  private answer(path: string, body: Buffer, response: http.ServerResponse): void {
    if (path === '/early' || path === '/slow') return;
    if (path === '/echo') {
      response.setHeader('trailer', 'x-bytes');
      response.write(body);
      response.addTrailers({ 'x-bytes': String(body.length) });
      response.end();
    } else if (path === '/reset') {
      response.write('part of it');
      setImmediate(() => {
        const { stream } = response as unknown as { stream?: http2.ServerHttp2Stream };
        if (stream !== undefined) stream.destroy(new Error('cut off'));
        else response.destroy();
      });
    } else if (path.startsWith('/status/')) {
      response.statusCode = Number(path.slice('/status/'.length));
      response.end();
    } else {
      response.setHeader('set-cookie', ['a=1', 'b=2']);
      response.setHeader('content-length', 2);
      response.end('OK');
    }
  }
}
