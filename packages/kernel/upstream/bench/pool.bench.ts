// node --conditions dragoman-source packages/kernel/upstream/bench/pool.bench.ts

import type {
  ClientCodec,
  ClientCodecHandler,
  Connection,
  Host,
  HttpPoolCallbacks,
  RequestEncoder,
  ResponseDecoder,
} from '@dragoman/core';
import { ExtensionRegistry, systemClock } from '@dragoman/core';
import { createClusterManager } from '../src/index.ts';
import { clusterMessage, endpoint, hostList, inOrder, testContext } from '../test/support/clusters.ts';
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

const connector = new FakeConnector();
const { context } = testContext(undefined as never, new MemoryStats());
const manager = createClusterManager({
  clusters: [clusterMessage({})],
  registry: new ExtensionRegistry([inOrder]),
  context: { ...context, clock: systemClock },
  connector,
  createCodec: (connection, handler) => new NullCodec(connection, handler),
});
manager.updateHosts('web', hostList('10.0.0.1:80'));

const nobody = { onPoolReady() {}, onPoolFailure() {} } as HttpPoolCallbacks;
const decoder = {} as ResponseDecoder;
const request = (): void => {
  const cluster = manager.get('web');
  if (cluster === undefined) throw new Error('no cluster');
  const host = cluster.chooseHost(undefined) as Host;
  cluster.httpPool(host, 'default').newStream(decoder, nobody);
};

request();
connector.last.accept();
const bytes = Buffer.from('x');
const socket = connector.last as unknown as { handler: { onData(data: Buffer): void } };
const { handler } = socket;
handler.onData(bytes);

const REQUESTS = 1_000_000;
measure('a request on an idle connection: cluster, host, pool, completion', REQUESTS, () => {
  for (let i = 0; i < REQUESTS; i++) {
    request();
    handler.onData(bytes);
  }
});

const list = Array.from({ length: 10_000 }, (_, index) => endpoint(`10.1.${index >> 8}.${index & 255}:80`));
const lists = [hostList(...list), hostList(...list.slice(1))];
measure('an update of 10,000 hosts, one added or removed', 10, () => {
  for (let i = 0; i < 10; i++) manager.updateHosts('web', lists[i & 1]);
});
