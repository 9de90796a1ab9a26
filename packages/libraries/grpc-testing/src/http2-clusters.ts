import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
} from 'node:http2';
import {
  type Cluster,
  type ClusterInfo,
  type ClusterManager,
  type Host,
  type HttpPool,
  type HttpPoolCallbacks,
  type RequestEncoder,
  type RequestHeaders,
  type ResourceBudget,
  type ResponseDecoder,
  ResponseHeaders,
  Trailers,
} from '@dragoman/core';
import { type MemoryStats, testHosts } from '@dragoman/testing';

/** Clusters of one server each, by port, over real connections: no more than a stream of gRPC needs. */
export class Http2Clusters implements ClusterManager {
  private readonly clusters = new Map<string, Http2Cluster>();

  add(name: string, port: number, stats: MemoryStats): void {
    this.clusters.set(name, new Http2Cluster(name, port, stats));
  }

  get(name: string): Cluster | undefined {
    return this.clusters.get(name) as unknown as Cluster | undefined;
  }

  get clusterNames(): Iterable<string> {
    return this.clusters.keys();
  }

  close(): void {
    for (const cluster of this.clusters.values()) cluster.close();
  }
}

const UNLIMITED: ResourceBudget = { max: 1000, canTake: () => true, take() {}, give() {} } as never;

class Http2Cluster {
  readonly info: ClusterInfo;
  readonly hostSets = [];
  private readonly port: number;
  private readonly hosts = testHosts(1);
  private session: ClientHttp2Session | undefined = undefined;

  constructor(name: string, port: number, stats: MemoryStats) {
    this.port = port;
    const scope = stats.scope(`cluster.${name}`);
    this.info = {
      name,
      statName: name,
      observabilityName: name,
      connectTimeoutMs: 5000,
      perConnectionBufferLimitBytes: 1024 * 1024,
      maxResponseHeadersBytes: 60 * 1024,
      metadata: new Map(),
      maxStreamDurationMs: 0,
      secure: false,
      maintenanceMode: false,
      statsScope: scope,
      stats: new Proxy({}, { get: (_, property) => scope.counter(String(property)) }),
      resources: () => ({ retries: UNLIMITED, requests: UNLIMITED }),
      chargeResponse() {},
      chargeResponseTime() {},
      chargeRetriedResponse() {},
    } as unknown as ClusterInfo;
  }

  chooseHost(): Host {
    return this.hosts[0];
  }

  httpPool(host: Host): HttpPool {
    return {
      host,
      newStream: (decoder: ResponseDecoder, callbacks: HttpPoolCallbacks) => {
        if (this.session === undefined || this.session.closed || this.session.destroyed)
          this.session = this.connect();
        callbacks.onPoolReady(new Http2Request(this.session, decoder), host, {
          id: 1,
          protocol: 'HTTP/2',
          localAddress: undefined,
          remoteAddress: host.address,
          tls: undefined,
          connectStart: 0,
          connectComplete: 0,
          handshakeComplete: 0,
          bytesRead: 0,
          bytesWritten: 0,
        });
        return undefined;
      },
    } as unknown as HttpPool;
  }

  close(): void {
    this.session?.destroy();
  }

  private connect(): ClientHttp2Session {
    const session = connect(`http://127.0.0.1:${this.port}`);
    session.on('error', () => {});
    return session;
  }
}

class Http2Request implements RequestEncoder {
  readonly responseHeadBytes = 0;
  private readonly session: ClientHttp2Session;
  private readonly decoder: ResponseDecoder;
  private stream: ClientHttp2Stream | undefined = undefined;
  private over = false;

  constructor(session: ClientHttp2Session, decoder: ResponseDecoder) {
    this.session = session;
    this.decoder = decoder;
  }

  headers(headers: RequestHeaders, endStream: boolean): void {
    const { decoder } = this;
    const stream = this.session.request(Object.fromEntries(headers.entries()), { endStream });
    this.stream = stream;
    stream.on('response', (fields) => decoder.onHeaders(copied(fields, new ResponseHeaders()), false));
    stream.on('data', (chunk: Buffer) => {
      if (!this.over) decoder.onBody(chunk, false, false);
    });
    stream.on('trailers', (fields) => this.end(() => decoder.onTrailers(copied(fields, new Trailers()))));
    stream.on('drain', () => decoder.onWritable());
    stream.on('error', () => {});
    stream.on('close', () => this.end(() => decoder.onReset('remote-reset', '')));
  }

  body(chunk: Buffer, endStream: boolean): boolean {
    const { stream } = this;
    if (stream === undefined || stream.destroyed) return true;
    if (endStream) {
      stream.end(chunk);
      return true;
    }
    return stream.write(chunk);
  }

  trailers(): void {}

  reset(): void {
    this.over = true;
    this.stream?.close(constants.NGHTTP2_CANCEL);
  }

  pauseBody(): void {
    this.stream?.pause();
  }

  resumeBody(): void {
    this.stream?.resume();
  }

  private end(tell: () => void): void {
    if (this.over) return;
    this.over = true;
    tell();
  }
}

function copied<T extends ResponseHeaders | Trailers>(fields: IncomingHttpHeaders, target: T): T {
  for (const [name, value] of Object.entries(fields))
    if (value !== undefined) for (const one of [value].flat()) target.append(name, String(one));
  return target;
}
