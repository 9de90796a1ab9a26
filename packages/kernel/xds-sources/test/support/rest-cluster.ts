import {
  type Cluster,
  type ClusterInfo,
  type ClusterManager,
  type ClusterTrafficStats,
  type Host,
  type HttpPool,
  type HttpPoolCallbacks,
  type PoolFailureReason,
  type PoolWishes,
  type RequestEncoder,
  type RequestHeaders,
  type ResponseDecoder,
  ResponseHeaders,
  type StreamResetReason,
  type UpstreamConnectionInfo,
} from '@dragoman/core';
import { type MemoryStats, testHosts } from '@dragoman/testing';

/** A cluster whose only host is played by the test. */
export class RestCluster implements Cluster {
  readonly exchanges: RestExchange[] = [];
  readonly wishes: (PoolWishes | undefined)[] = [];
  readonly info: ClusterInfo;
  hosts: Host[] = testHosts(1);
  /** A connection is there at once; else the test says when. */
  ready = true;
  readonly hostSets = [];

  constructor(name: string, stats: MemoryStats, over: Partial<ClusterInfo> = {}) {
    const scope = stats.scope(`cluster.${name}`);
    const traffic = new Proxy({} as ClusterTrafficStats, {
      get: (_, key) =>
        scope.counter(String(key).replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)),
    });
    this.info = {
      name,
      statName: name,
      stats: traffic,
      secure: false,
      maintenanceMode: false,
      maxStreamDurationMs: 0,
      chargeResponse: (status: number, internal: boolean) =>
        scope.counter(`${internal ? 'internal.' : ''}upstream_rq_${status}`).inc(),
      chargeResponseTime: (ms: number) => scope.histogram('upstream_rq_time').record(ms),
      ...over,
    } as unknown as ClusterInfo;
  }

  get last(): RestExchange {
    const last = this.exchanges.at(-1);
    if (last === undefined) throw new Error('nothing was asked');
    return last;
  }

  chooseHost(): Host | undefined {
    return this.hosts[0];
  }

  httpPool(host: Host, _priority: string, wishes?: PoolWishes): HttpPool {
    this.wishes.push(wishes);
    return {
      newStream: (decoder, callbacks) => {
        const exchange = new RestExchange(host, decoder, callbacks);
        this.exchanges.push(exchange);
        if (this.ready) exchange.connect();
        return this.ready ? undefined : exchange;
      },
    };
  }

  newTcpConnection(): undefined {
    return undefined;
  }
}

export function clustersOf(
  ...all: RestCluster[]
): ClusterManager & { readonly byName: Map<string, Cluster> } {
  const byName = new Map<string, Cluster>(all.map((cluster) => [cluster.info.name, cluster]));
  return { byName, get: (name) => byName.get(name), clusterNames: byName.keys() };
}

/** One request, from the server's side. */
export class RestExchange implements RequestEncoder {
  readonly responseHeadBytes = 0;
  headersSent: RequestHeaders | undefined = undefined;
  bodySent = '';
  resetReason: StreamResetReason | undefined = undefined;
  cancelled = false;
  private readonly host: Host;
  private readonly decoder: ResponseDecoder;
  private readonly callbacks: HttpPoolCallbacks;

  constructor(host: Host, decoder: ResponseDecoder, callbacks: HttpPoolCallbacks) {
    this.host = host;
    this.decoder = decoder;
    this.callbacks = callbacks;
  }

  connect(): void {
    this.callbacks.onPoolReady(this, this.host, {} as UpstreamConnectionInfo);
  }

  fail(reason: PoolFailureReason, details = ''): void {
    this.callbacks.onPoolFailure(reason, details, reason === 'overflow' ? undefined : this.host);
  }

  cancel(): void {
    this.cancelled = true;
  }

  headers(headers: RequestHeaders): void {
    this.headersSent = headers;
  }

  body(chunk: Buffer): boolean {
    this.bodySent += chunk.toString();
    return true;
  }

  trailers(): void {}
  pauseBody(): void {}
  resumeBody(): void {}

  reset(reason: StreamResetReason): void {
    this.resetReason = reason;
  }

  /** The request as JSON. */
  get json(): { [name: string]: unknown } {
    return JSON.parse(this.bodySent);
  }

  head(status: number, endStream: boolean, fields: Record<string, string> = {}): void {
    const headers = new ResponseHeaders();
    headers.status = status;
    for (const [name, value] of Object.entries(fields)) headers.append(name, value);
    this.decoder.onHeaders(headers, endStream);
  }

  /** In memory that is used again when the call returns. */
  chunk(text: string | Buffer, endStream: boolean): void {
    const lent = Buffer.from(text);
    this.decoder.onBody(lent, endStream, false);
    lent.fill(0);
  }

  answer(body: unknown, status = 200): void {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    this.head(status, text === '');
    if (text === '') return;
    // In two parts.
    this.chunk(text.slice(0, 10), false);
    this.chunk(text.slice(10), true);
  }

  lose(reason: StreamResetReason): void {
    this.decoder.onReset(reason, '');
  }
}
