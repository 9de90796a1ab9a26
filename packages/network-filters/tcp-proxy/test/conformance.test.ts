import { create, TcpProxySchema } from '@dragoman/api';
import {
  type ConnectionPair,
  connectionPair,
  filteredPair,
  MemoryStats,
  networkFilterConformance,
  type TestContext,
  testContext,
} from '@dragoman/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { tcpProxy } from '../src/index.ts';
import { FakeCluster } from './fakes.ts';

const upstreams: ConnectionPair[] = [];
afterEach(() => {
  upstreams.length = 0;
});

/** A context with one cluster, to which every connection succeeds, and whose hosts send back what they get. */
function echoingContext(): TestContext {
  const stats = new MemoryStats();
  const cluster = new FakeCluster('service', stats);
  const context = testContext({ stats, clusters: { get: () => cluster, clusterNames: ['service'] } });
  cluster.immediately = ({ callbacks, host }) => {
    const pair = connectionPair({ clock: context.clock, chunkBytes: 8 });
    const { server } = pair;
    server.setHandler({
      onData: (data) => server.writeBody(data, false),
      onEnd: () => server.close('flush'),
      onWritable: () => {},
      onClose: () => {},
    });
    upstreams.push(pair);
    callbacks.onPoolReady(pair.client, host);
  };
  return context;
}

const config = (statPrefix: string) =>
  create(TcpProxySchema, { statPrefix, clusterSpecifier: { case: 'cluster', value: 'service' } });

networkFilterConformance(
  { describe, it },
  {
    extension: tcpProxy,
    config: config('ingress'),
    context: echoingContext,
    alongside: upstreams,
    invalid: [
      { name: 'no stat prefix', config: config(''), path: 'stat_prefix' },
      { name: 'no cluster', config: create(TcpProxySchema, { statPrefix: 'ingress' }) },
    ],
  },
);

it('brings back what the upstream of these tests sends', () => {
  const create = tcpProxy.create(config('ingress') as never, echoingContext());
  const pair = filteredPair(create, { alongside: upstreams, highWatermarkBytes: 16 });
  pair.client.writeText('there and back again');
  pair.client.end();
  pair.run();
  expect(pair.received().toString()).toBe('there and back again');
  expect(pair.clientClosed()).toBeDefined();
});
