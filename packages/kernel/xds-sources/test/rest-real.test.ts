import {
  ApiConfigSource_ApiType,
  ApiConfigSourceSchema,
  ClusterSchema,
  create,
  durationFromMs,
  NodeSchema,
  readLoose,
} from '@dragoman/api';
import { ExtensionRegistry, silentLogger, systemClock, systemRandom } from '@dragoman/core';
import { createClientCodec } from '@dragoman/http1';
import { roundRobin } from '@dragoman/load-balancer-round-robin';
import { Dispatcher, ReadBuffers, SocketConnector } from '@dragoman/network';
import { eventually, HttpUpstream, inTurn, reply, testContext } from '@dragoman/testing';
import { createClusterManager } from '@dragoman/upstream';
import { expect, it } from 'vitest';
import { createRestSubscription } from '../src/index.ts';
import { Subscriber } from './support/subscriber.ts';

const answer = (version: string, name: string) =>
  reply({
    body: JSON.stringify({
      version_info: version,
      resources: [{ '@type': 'type.googleapis.com/envoy.config.cluster.v3.Cluster', name }],
    }),
  });

it('asks a real server through the pools of a cluster, on one connection', async () => {
  await using upstream = await HttpUpstream.start(
    inTurn(answer('1', 'a'), reply({ status: 304 }), answer('2', 'b'), reply({ status: 500, body: 'no' })),
  );
  const context = testContext();
  const clusters = createClusterManager({
    clusters: [readLoose(ClusterSchema, { name: 'control', type: 'STATIC' })],
    registry: new ExtensionRegistry([roundRobin]),
    context: { ...context, clock: systemClock },
    connector: new SocketConnector({
      clock: systemClock,
      logger: silentLogger,
      dispatcher: new Dispatcher(systemClock),
      buffers: new ReadBuffers(),
    }),
    createCodec: createClientCodec,
  });
  clusters.updateHosts('control', {
    localities: [
      {
        locality: { region: '', zone: '', subZone: '' },
        weight: 0,
        priority: 0,
        endpoints: [{ address: upstream.address, hostname: '', weight: 1 }],
      },
    ],
  });
  const subscriber = new Subscriber(ClusterSchema);
  const source = create(ApiConfigSourceSchema, {
    apiType: ApiConfigSource_ApiType.REST,
    clusterNames: ['control'],
    refreshDelay: durationFromMs(1),
  });
  const subscription = createRestSubscription(subscriber.options(), source, {
    ...context,
    clock: systemClock,
    random: systemRandom,
    clusters,
    node: create(NodeSchema, { id: 'n' }),
  });
  await eventually(() => subscriber.failures.length > 0);
  subscription.stop();
  clusters.close();
  expect(subscriber.seen).toEqual(['1: a', '2: b']);
  expect(subscriber.failures[0]).toBe(
    'connection: control/v3/discovery:clusters: it answered with status 500',
  );
  expect(upstream.connectionCount).toBe(1);
  const bodies = await Promise.all(
    upstream.requests.map(async ({ body }) => JSON.parse((await body).toString())),
  );
  expect(bodies.slice(0, 4).map((body) => body.version_info ?? '')).toEqual(['', '1', '1', '2']);
  expect(context.stats.value('cluster.control.internal.upstream_rq_200')).toBe(2);
});
