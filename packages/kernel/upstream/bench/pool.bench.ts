// node --conditions dragoman-source packages/kernel/upstream/bench/pool.bench.ts

import type {
  ClientCodec,
  ClientCodecHandler,
  Connection,
  Host,
  HttpPoolCallbacks,
  PoolWishes,
  RequestEncoder,
  ResponseDecoder,
} from '@dragoman/core';
import { ExtensionRegistry, systemClock } from '@dragoman/core';
import type { Http2ClientCodec, Http2ClientHandler, Http2Sessions } from '@dragoman/http2';
import { createClusterManager } from '../src/index.ts';
import {
  clusterMessage,
  endpoint,
  hostList,
  httpOptions,
  inOrder,
  testContext,
} from '../test/support/clusters.ts';
import { FakeConnector } from '../test/support/fake-upstream.ts';
import { MemoryStats } from '../test/support/memory-stats.ts';

/** Prints the best of five rounds: the others were disturbed. */
function measure(name: string, operations: number, round: () => void): void {
  let best = Number.POSITIVE_INFINITY;
  for (let index = 0; index < 5; index++) {
    const start = performance.now();
    round();
    best = Math.min(best, performance.now() - start);
  }
  console.log(`${name}: ${((best * 1e6) / operations).toFixed(0)} ns`);
}

/** Does nothing but end the exchange when bytes come. */
class NullCodec implements ClientCodec, RequestEncoder {
  readonly protocol = 'HTTP/1.1';
  readonly responseHeadBytes = 0;
  activeStreams = 0;
  private readonly handler: ClientCodecHandler;

  constructor(_connection: Connection, handler: ClientCodecHandler) {
    this.handler = handler;
  }

  newStream(): RequestEncoder {
    return this;
  }

  dispatch(): void {
    this.handler.onStreamComplete(true);
  }

  onPeerEnd(): void {}
  onWritable(): void {}
  onConnectionClosed(): void {}
  headers(): void {}
  body(): boolean {
    return true;
  }
  trailers(): void {}
  reset(): void {}
  pauseBody(): void {}
  resumeBody(): void {}
}

/** The same for HTTP/2: many streams, and each byte ends one. */
class NullHttp2Codec implements Http2ClientCodec {
  readonly protocol = 'HTTP/2';
  activeStreams = 0;
  private readonly handler: Http2ClientHandler;
  private readonly encoder = Object.assign(new NullCodec(undefined as never, undefined as never), {
    headBytesSent: 0,
    wireBytesReceived: 0,
    wireBytesSent: 0,
  });

  constructor(_connection: Connection, handler: Http2ClientHandler) {
    this.handler = handler;
  }

  newStream(): NullHttp2Codec['encoder'] {
    return this.encoder;
  }

  dispatch(data: Buffer): void {
    if (data.length > 1) this.handler.onPeerLimit(100);
    else this.handler.onStreamComplete(true);
  }

  onPeerEnd(): void {}
  onWritable(): void {}
  onConnectionClosed(): void {}
}

const connector = new FakeConnector();
const { context } = testContext(undefined as never, new MemoryStats());
const manager = createClusterManager({
  clusters: [
    clusterMessage({}),
    clusterMessage({
      name: 'http2',
      ...httpOptions({ explicit_http_config: { http2_protocol_options: {} } }),
    }),
    clusterMessage({
      name: 'wishes',
      ...httpOptions({
        use_downstream_protocol_config: { http_protocol_options: {}, http2_protocol_options: {} },
      }),
    }),
  ],
  registry: new ExtensionRegistry([inOrder]),
  context: { ...context, clock: systemClock },
  connector,
  createCodec: (connection, handler) => new NullCodec(connection, handler),
  http2: {
    createCodec: (connection, handler) => new NullHttp2Codec(connection, handler),
    createSessions: () => ({}) as Http2Sessions,
  },
});

const nobody = { onPoolReady() {}, onPoolFailure() {} } as HttpPoolCallbacks;
const decoder = {} as ResponseDecoder;
const byte = Buffer.from('x');
const REQUESTS = 1_000_000;

/** A request on an idle connection: cluster, host, pool, completion. */
function measureRequests(name: string, clusterName: string, wishes?: PoolWishes): void {
  manager.updateHosts(clusterName, hostList('10.0.0.1:80'));
  const request = (): void => {
    const cluster = manager.get(clusterName);
    if (cluster === undefined) throw new Error('no cluster');
    const host = cluster.chooseHost(undefined) as Host;
    cluster.httpPool(host, 'default', wishes).newStream(decoder, nobody);
  };
  request();
  connector.last.accept();
  const { handler } = connector.last as unknown as { handler: { onData(data: Buffer): void } };
  handler.onData(Buffer.from('up'));
  if (clusterName !== 'web') handler.onData(byte);
  measure(name, REQUESTS, () => {
    for (let i = 0; i < REQUESTS; i++) {
      request();
      handler.onData(byte);
    }
  });
}

measureRequests('a request on an idle HTTP/1.1 connection', 'web');
measureRequests('a request on an HTTP/2 connection', 'http2');
measureRequests('a request on an HTTP/2 connection, by wish', 'wishes', { downstreamProtocol: 'HTTP/2' });

const list = Array.from({ length: 10_000 }, (_, index) => endpoint(`10.1.${index >> 8}.${index & 255}:80`));
const lists = [hostList(...list), hostList(...list.slice(1))];
measure('an update of 10,000 hosts, one added or removed', 10, () => {
  for (let i = 0; i < 10; i++) manager.updateHosts('web', lists[i & 1]);
});
