/** One thing to measure. */
export interface Case {
  readonly name: string;
  readonly title: string;
  readonly kind: 'http' | 'tcp';
  readonly connections: number;
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** Bytes of a request's body. */
  readonly bodyBytes: number;
  /** Every request on a connection of its own. */
  readonly close: boolean;
  /** Virtual hosts in the config, of {@link ROUTES_PER_HOST} routes each; requests go to all of them by turns. 0: one catch-all route. */
  readonly virtualHosts: number;
  /** What the client speaks. */
  readonly downstream: 'http1' | 'http2';
  /** What the upstream speaks. */
  readonly upstream: 'http1' | 'http2';
  /** Requests under way on one HTTP/2 connection. */
  readonly streams: number;
  /** Answers end with trailers; the request is a message. */
  readonly grpc: boolean;
}

export const ROUTES_PER_HOST = 10;

/** Bytes of the large response. */
export const LARGE_BYTES = 1 << 20;
/** Bytes of one response in the TCP case, requested again and again on each connection. */
export const BULK_BYTES = 64 << 20;

const BASE = {
  kind: 'http',
  connections: 32,
  method: 'GET',
  path: '/small',
  bodyBytes: 0,
  close: false,
  virtualHosts: 0,
  downstream: 'http1',
  upstream: 'http1',
  streams: 1,
  grpc: false,
} as const;

const HTTP2 = { ...BASE, connections: 16, downstream: 'http2', streams: 8 } as const;
const GRPC = { ...HTTP2, method: 'POST', upstream: 'http2', grpc: true, bodyBytes: 69 } as const;

export const CASES: readonly Case[] = [
  { ...BASE, name: 'small-32', title: 'small GET, keep-alive, 32 connections' },
  { ...BASE, name: 'small-256', title: 'small GET, keep-alive, 256 connections', connections: 256 },
  {
    ...BASE,
    name: 'post-16k',
    title: '16 KiB POST, echoed',
    method: 'POST',
    path: '/echo',
    bodyBytes: 16 * 1024,
  },
  { ...BASE, name: 'get-1m', title: '1 MiB response', path: '/large', connections: 16 },
  { ...BASE, name: 'new-connection', title: 'small GET, a connection for each request', close: true },
  { ...BASE, name: 'routes-10', title: '1 virtual host × 10 routes', virtualHosts: 1 },
  { ...BASE, name: 'routes-10000', title: '1,000 virtual hosts × 10 routes', virtualHosts: 1000 },
  { ...HTTP2, name: 'h2-h1', title: 'small GET, HTTP/2 → HTTP/1.1, 16 × 8 streams' },
  { ...HTTP2, name: 'h2-h2', title: 'small GET, HTTP/2 → HTTP/2, 16 × 8 streams', upstream: 'http2' },
  { ...BASE, name: 'h1-h2', title: 'small GET, HTTP/1.1 → HTTP/2, 32 connections', upstream: 'http2' },
  { ...GRPC, name: 'grpc-unary', title: 'gRPC, unary, 16 × 8 streams', path: '/bench.Echo/Unary' },
  {
    ...GRPC,
    name: 'grpc-stream',
    title: 'gRPC, 64 messages of 16 KiB back, 8 × 4 streams',
    path: '/bench.Echo/Stream',
    connections: 8,
    streams: 4,
  },
  { ...BASE, name: 'tcp-bulk', title: 'TCP proxy, 4 connections of bulk bytes', kind: 'tcp', connections: 4 },
];

/** The name of virtual host `index`. */
export function hostName(index: number): string {
  return `h${index}.bench.test`;
}

/** The prefix of route `index` of a virtual host. */
export function routePrefix(index: number): string {
  return `/service${index}/`;
}
