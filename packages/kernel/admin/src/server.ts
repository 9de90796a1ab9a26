import { lstatSync, unlinkSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { Address, type Clock, type Logger, silentLogger, type StatsScope, systemClock } from '@dragoman/core';
import type { AdminRequest, AdminResponse } from './request.ts';
import { text } from './request.ts';
import { type AdminServerStats, createServerStats } from './server-stats.ts';

/** Bytes of a request's body. A form is a few hundred. */
const MAX_BODY_BYTES = 64 * 1024;
/** Bytes of a request's line and headers; Envoy's default for requests is 60 KiB. */
const MAX_HEADER_BYTES = 60 * 1024;
/** The whole of a request must have come within this time, its headers within half of it. */
const REQUEST_TIMEOUT_MS = 20_000;
const KEEP_ALIVE_TIMEOUT_MS = 60_000;
/** An operator, a scraper, a few scripts: more than this is an attack or a mistake. */
const MAX_CONNECTIONS = 256;

export interface AdminServerOptions {
  /** Where to listen; port 0 takes a free one. */
  readonly address: Address;
  handle(request: AdminRequest): Promise<AdminResponse>;
  /** Bytes of a body that a path takes. Default, and where it is undefined: 64 KiB. */
  bodyLimit?(path: string): number | undefined;
  /** The root scope: `listener.admin.*` and `http.admin.*` are counted in it. */
  readonly stats: StatsScope;
  /** Default: the machine's. */
  readonly clock?: Clock;
  /** Default: writes nothing. */
  readonly logger?: Logger;
  /** Told of each answered request, for the admin access log. `durationMs` is up to the last byte. */
  readonly onRequest?: (entry: AdminLogEntry) => void;
}

/** What is known of an answered request. */
export interface AdminLogEntry {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly responseBytes: number;
  readonly durationMs: number;
  readonly remoteAddress: string;
}

export interface AdminServer {
  /** With the port that was taken. */
  readonly address: Address;
  /** Stops listening and closes every connection, at once. */
  close(): Promise<void>;
}

/**
 * Serves the admin interface over HTTP/1.1. Plain `node:http`: it is not on any request's way.
 * @throws Error (with Node's `code`) when the address cannot be listened on
 */
export async function startAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const clock = options.clock ?? systemClock;
  const stats = createServerStats(options.stats);
  const server = createServer({
    maxHeaderSize: MAX_HEADER_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    headersTimeout: REQUEST_TIMEOUT_MS / 2,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    requireHostHeader: true,
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.on('connection', (socket: Socket) => countConnection(socket, stats, clock));
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    stats.protocolErrors.inc();
    if (error.code === 'ECONNRESET' || !socket.writable) socket.destroy();
    else socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
  });
  // Neither tunnels nor protocol changes here: Node hands over the bare socket of both.
  server.on('connect', (_request: IncomingMessage, socket: Socket) => socket.destroy());
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    serve(request, response, options, stats, clock).catch((error: unknown) => {
      (options.logger ?? silentLogger).error(`admin request failed: ${String(error)}`);
      response.destroy();
    });
  });
  await listen(server, options.address);
  return { address: boundAddress(server, options.address), close: () => close(server, options.address) };
}

async function listen(server: Server, address: Address): Promise<void> {
  if (address.family === 'pipe') removeStaleSocket(address.path);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(
      address.family === 'pipe'
        ? { path: address.path.replace(/^@/, '\0') }
        : { host: address.ip, port: address.port },
      () => {
        server.off('error', reject);
        // Running out of descriptors makes accepting fail: that must not end the process.
        server.on('error', () => {});
        resolve();
      },
    );
  });
}

/** A socket file that an earlier process left behind, as Envoy does; anything but a socket stays. */
function removeStaleSocket(path: string): void {
  if (path.startsWith('@')) return;
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true) unlinkSync(path);
}

function boundAddress(server: Server, wanted: Address): Address {
  return wanted.family === 'pipe' ? wanted : Address.ip(wanted.ip, (server.address() as AddressInfo).port);
}

function close(server: Server, address: Address): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => {
      if (address.family === 'pipe') removeStaleSocket(address.path);
      resolve();
    });
    server.closeAllConnections();
  });
}

function countConnection(socket: Socket, stats: AdminServerStats, clock: Clock): void {
  const start = clock.now();
  let remote = false;
  stats.listenerConnections.inc();
  stats.listenerActive.inc();
  stats.connections.inc();
  stats.http1Connections.inc();
  stats.active.inc();
  stats.http1Active.inc();
  socket.on('error', () => {
    remote = true;
  });
  socket.on('end', () => {
    remote = true;
  });
  socket.on('close', () => {
    stats.listenerActive.dec();
    stats.listenerDestroyed.inc();
    stats.active.dec();
    stats.http1Active.dec();
    stats.destroyed.inc();
    (remote ? stats.destroyedRemote : stats.destroyedLocal).inc();
    stats.rxBytes.add(socket.bytesRead);
    stats.txBytes.add(socket.bytesWritten);
    const length = clock.now() - start;
    stats.listenerLength.record(length);
    stats.length.record(length);
  });
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  options: AdminServerOptions,
  stats: AdminServerStats,
  clock: Clock,
): Promise<void> {
  const start = clock.now();
  stats.requests.inc();
  stats.http1Requests.inc();
  stats.activeRequests.inc();
  const remoteAddress = remoteOf(request.socket);
  const closed = new Promise<void>((resolve) => response.once('close', resolve));
  // Without a listener an error on the way out would end the process.
  response.on('error', () => {});
  request.on('error', () => {});
  let answer: AdminResponse | undefined;
  try {
    answer = await answerTo(request, response, options);
    if (answer !== undefined && !response.destroyed) send(request, response, answer);
    await closed;
  } catch {
    response.destroy();
  }
  stats.activeRequests.dec();
  if (response.headersSent) {
    stats.completed.inc();
    stats.statusClasses[Math.floor(response.statusCode / 100)].inc();
    stats.requestTime.record(clock.now() - start);
  }
  options.onRequest?.({
    method: request.method ?? '',
    path: request.url ?? '',
    status: response.headersSent ? response.statusCode : 0,
    responseBytes: answer === undefined ? 0 : Buffer.byteLength(answer.body),
    durationMs: clock.now() - start,
    remoteAddress,
  });
  answer?.afterwards?.();
}

/** Undefined when the client is gone before its request was complete. */
async function answerTo(
  request: IncomingMessage,
  response: ServerResponse,
  options: AdminServerOptions,
): Promise<AdminResponse | undefined> {
  // A page of another site must not make an operator's browser change things here. Only browsers send this header.
  if (request.method === 'POST' && request.headers['sec-fetch-site'] === 'cross-site') {
    response.setHeader('connection', 'close');
    return text('cross-site request refused\n', 403);
  }
  const limit = options.bodyLimit?.(request.url ?? '/') ?? MAX_BODY_BYTES;
  const body = await readBody(request, request.method === 'POST' ? limit : MAX_BODY_BYTES);
  if (body === undefined) return undefined;
  if (body === 'too large') {
    response.setHeader('connection', 'close');
    return text('request body too large\n', 413);
  }
  return options.handle({
    method: request.method === 'HEAD' ? 'GET' : (request.method ?? ''),
    path: request.url ?? '/',
    body: body.toString('utf8'),
    contentType: request.headers['content-type'],
  });
}

function readBody(request: IncomingMessage, limit: number): Promise<Buffer | 'too large' | undefined> {
  return new Promise((resolve) => {
    const parts: Buffer[] = [];
    let size = 0;
    request.on('data', (part: Buffer) => {
      size += part.length;
      if (size > limit) {
        request.pause();
        resolve('too large');
      } else parts.push(part);
    });
    request.on('end', () => resolve(Buffer.concat(parts)));
    request.on('close', () => resolve(undefined));
  });
}

function send(request: IncomingMessage, response: ServerResponse, answer: AdminResponse): void {
  response.writeHead(answer.status, {
    ...answer.headers,
    'content-length': Buffer.byteLength(answer.body),
    server: 'envoy',
  });
  response.end(request.method === 'HEAD' ? undefined : answer.body);
}

/** `127.0.0.1:1234`; `@` for a Unix socket. */
function remoteOf(socket: Socket): string {
  const { remoteAddress, remotePort } = socket;
  return remoteAddress === undefined ? '@' : Address.ip(remoteAddress, remotePort ?? 0).text;
}
