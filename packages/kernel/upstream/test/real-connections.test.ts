import { ExtensionRegistry, type Host, silentLogger, systemClock } from '@dragoman/core';
import { createClientCodec } from '@dragoman/http1';
import { Dispatcher, ReadBuffers, SocketConnector } from '@dragoman/network';
import {
  type Answer,
  breakOff,
  HttpUpstream,
  refusedPort,
  reply,
  reset,
  text,
  within,
} from '@dragoman/testing';
import { expect, it } from 'vitest';
import { createClusterManager } from '../src/index.ts';
import { clusterMessage, hostList, inOrder, testContext } from './support/clusters.ts';
import { Get } from './support/get.ts';
import { MemoryStats } from './support/memory-stats.ts';

function setUp(address: string, config: object = {}) {
  const stats = new MemoryStats();
  const { context } = testContext(undefined as never, stats);
  const clock = systemClock;
  const manager = createClusterManager({
    clusters: [clusterMessage(config)],
    registry: new ExtensionRegistry([inOrder]),
    context: { ...context, clock },
    connector: new SocketConnector({
      clock,
      logger: silentLogger,
      dispatcher: new Dispatcher(systemClock),
      buffers: new ReadBuffers(),
    }),
    createCodec: createClientCodec,
  });
  manager.updateHosts('web', hostList(address));
  const cluster = manager.get('web');
  if (cluster === undefined) throw new Error('no cluster');
  const start = (): Get => {
    const get = new Get();
    cluster.httpPool(cluster.chooseHost(undefined) as Host, 'default').newStream(get, get);
    return get;
  };
  return {
    manager,
    start,
    get: async () => {
      const get = start();
      await within(get.over, 'the answer');
      return get;
    },
    count: (name: string) => stats.value(`cluster.web.${name}`),
  };
}

it('answers many requests on one connection, and counts bytes', async () => {
  await using upstream = await HttpUpstream.start(text('hello'));
  const { get, count, manager } = setUp(upstream.address);
  for (let i = 0; i < 5; i++) expect((await get()).text).toBe('hello');
  expect(upstream.connectionCount).toBe(1);
  expect(count('upstream_rq_total')).toBe(5);
  expect(count('upstream_rq_active')).toBe(0);
  expect(count('upstream_cx_rx_bytes_total')).toBeGreaterThan(5 * 'hello'.length);
  expect(count('upstream_cx_tx_bytes_total')).toBeGreaterThan(5 * 'GET / HTTP/1.1'.length);
  manager.close();
});

it('opens as many connections as requests run at once', async () => {
  await using upstream = await HttpUpstream.start(text('hello'));
  const { start, count, manager } = setUp(upstream.address);
  const gets = Array.from({ length: 8 }, start);
  for (const get of gets) await within(get.over, 'the answer');
  expect(gets.map((get) => get.text)).toEqual(new Array(8).fill('hello'));
  expect(count('upstream_cx_total')).toBe(8);
  manager.close();
});

it('does not use a connection again that the upstream wants closed', async () => {
  await using upstream = await HttpUpstream.start(reply({ headers: { connection: 'close' }, body: 'bye' }));
  const { get, count } = setUp(upstream.address);
  await get();
  expect((await get()).text).toBe('bye');
  expect(upstream.connectionCount).toBe(2);
  expect(count('upstream_cx_close_notify')).toBe(2);
});

it.each<[string, Answer]>([
  ['before the answer', reset()],
  ['in the middle of the body', breakOff('part', 100)],
])('resets the stream when the connection breaks %s', async (_name, answer) => {
  await using upstream = await HttpUpstream.start(answer);
  const { get, count } = setUp(upstream.address);
  const { events } = await get();
  expect(events.at(-1)).toBe('reset:connection-termination');
  expect(count('upstream_cx_destroy_remote_with_active_rq')).toBe(1);
  expect([count('upstream_rq_active'), count('upstream_cx_active')]).toEqual([0, 0]);
});

it('fails with the words of the C library when nobody listens', async () => {
  const { get, count } = setUp(`127.0.0.1:${await refusedPort()}`);
  expect((await get()).events).toEqual(['failed:remote-connection-failure:Connection refused']);
  expect(count('upstream_cx_connect_fail')).toBe(1);
  expect(count('upstream_cx_active')).toBe(0);
});

it('counts a source address that is not this machine’s', async () => {
  await using upstream = await HttpUpstream.start();
  const { get, count } = setUp(upstream.address, {
    upstream_bind_config: { source_address: { address: '192.0.2.77', port_value: 0 } },
  });
  expect((await get()).failure).toBeDefined();
  expect(count('bind_errors')).toBe(1);
});
