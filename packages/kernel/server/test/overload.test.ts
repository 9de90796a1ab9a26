import { LoadShedPointName, OverloadActionName } from '@dragoman/core';
import {
  eventually,
  HttpUpstream,
  httpBootstrap,
  type JsonObject,
  rawClient,
  requestText,
  startProxy,
  type TestProxy,
  text,
  trackLeaks,
} from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { validateBootstrap } from '../src/index.ts';
import { chainOf, EXTENSIONS, networkFilter } from './extensions.ts';
import { Pressure } from './support/pressure.ts';

const THREADS = { extensions: new URL('./thread-extensions.ts', import.meta.url) };
const STOP = OverloadActionName.stopAcceptingRequests;
const LISTENER = 'listener.127.0.0.1_0';

type Parts = Parameters<Pressure['manager']>[0];

/** A proxy before an upstream that says hello. */
async function start(
  pressure: Pressure,
  parts: Parts,
  { workers, upstream }: { workers?: number | undefined; upstream?: HttpUpstream } = {},
): Promise<TestProxy> {
  const bootstrap = httpBootstrap(upstream === undefined ? {} : { clusters: { web: upstream.port } });
  return await startProxy(
    { ...bootstrap, ...pressure.manager(parts) },
    workers === undefined
      ? { extensions: EXTENSIONS }
      : { extensions: EXTENSIONS, threads: THREADS, flags: { concurrency: workers } },
  );
}

const scale = (proxy: TestProxy, name: string, percent: number): Promise<void> =>
  proxy.untilStat(`overload.${name}.scale_percent`, percent);

describe.each([undefined, 1, 2])('with %s threads of workers', (workers) => {
  test('requests are refused while the pressure is high, on every worker', async () => {
    using pressure = new Pressure();
    await using upstream = await HttpUpstream.start(text('hello'));
    await using proxy = await start(pressure, { actions: [{ name: STOP }] }, { workers, upstream });
    expect((await proxy.get('/')).status).toBe(200);
    pressure.set(0.95);
    await scale(proxy, STOP, 100);
    for (let i = 0; i < 8; i++) {
      const { status, body } = await proxy.get('/');
      expect([status, body.toString()]).toEqual([503, 'envoy overloaded']);
    }
    expect(proxy.stat('overload.envoy.resource_monitors.injected_resource.pressure')).toBe(95);
    pressure.set(0.5);
    await scale(proxy, STOP, 0);
    for (let i = 0; i < 8; i++) expect((await proxy.get('/')).status).toBe(200);
    await proxy.untilStat('http.ingress.downstream_rq_overload_close', 8);
  });

  test('connections wait while none is accepted, and are served afterwards', async () => {
    using pressure = new Pressure();
    await using upstream = await HttpUpstream.start(text('hello'));
    const name = OverloadActionName.stopAcceptingConnections;
    await using proxy = await start(pressure, { actions: [{ name }] }, { workers, upstream });
    await using before = await proxy.connect();
    await before.write(requestText('GET', '/'));
    expect((await before.readResponse()).status).toBe(200);
    pressure.set(1);
    await scale(proxy, name, 100);
    // A worker hears of it a moment later than main decides: until then connections are accepted.
    const waiting = await connectionThatWaits(proxy);
    await before.write(requestText('GET', '/'));
    expect((await before.readResponse()).status).toBe(200);
    expect(waiting.peerEnded).toBe(false);
    // On one thread there is no moment in between.
    if (workers === undefined) expect(proxy.stat(`${LISTENER}.downstream_cx_total`)).toBe(1);
    pressure.set(0);
    expect((await waiting.readResponse()).status).toBe(200);
    await waiting[Symbol.asyncDispose]();
  });
});

test('a worker that takes the place of another knows the state', async () => {
  using pressure = new Pressure();
  const listener = (name: string, filters: readonly JsonObject[]): JsonObject => ({
    name,
    address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
    filter_chains: [{ filters }],
  });
  const { listeners } = httpBootstrap().static_resources as { listeners: readonly JsonObject[] };
  await using proxy = await startProxy(
    {
      static_resources: { listeners: [...listeners, listener('crash', [{ name: 'crash' }])] },
      ...pressure.manager({ actions: [{ name: STOP }] }),
    },
    { extensions: EXTENSIONS, threads: THREADS, flags: { concurrency: 1 } },
  );
  pressure.set(1);
  await scale(proxy, STOP, 100);
  await using bad = await proxy.connect({ port: proxy.portOf('crash') });
  await bad.readUntilClose().catch(() => '');
  await proxy.untilStat('server.worker_deaths', 1);
  await eventually(() => proxy.log.find('is there again').length === 1);
  expect((await proxy.get('/')).status).toBe(503);
  pressure.set(0);
  await scale(proxy, STOP, 0);
  expect((await proxy.get('/')).status).not.toBe(503);
});

/** One that has sent a request, and is not among those that were accepted. */
async function connectionThatWaits(proxy: TestProxy) {
  for (let attempt = 0; attempt < 100; attempt++) {
    const accepted = proxy.stat(`${LISTENER}.downstream_cx_total`);
    const client = await proxy.connect();
    await client.write(requestText('GET', '/'));
    // Long enough for a worker that accepts to have answered.
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    if (proxy.stat(`${LISTENER}.downstream_cx_total`) === accepted) return client;
    await client[Symbol.asyncDispose]();
  }
  throw new Error('100 connections were accepted');
}

describe('connections', () => {
  test.each<[string, Parts]>([
    [
      OverloadActionName.rejectIncomingConnections,
      { actions: [{ name: OverloadActionName.rejectIncomingConnections }] },
    ],
    [LoadShedPointName.tcpListenerAccept, { points: [LoadShedPointName.tcpListenerAccept] }],
  ])('%s: they are closed', async (name, parts) => {
    using pressure = new Pressure();
    await using upstream = await HttpUpstream.start(text('hello'));
    await using proxy = await start(pressure, parts, { upstream });
    await using open = await proxy.connect();
    await open.write(requestText('GET', '/'));
    await open.readResponse();
    pressure.set(1);
    await scale(proxy, name, 100);
    await using refused = await proxy.connect();
    expect(await refused.readUntilClose()).toBe('');
    expect(proxy.stat(`${LISTENER}.downstream_cx_overload_reject`)).toBe(1);
    // One that is there goes on.
    await open.write(requestText('GET', '/'));
    expect((await open.readResponse()).status).toBe(200);
    pressure.set(0);
    await scale(proxy, name, 0);
    expect((await proxy.get('/')).status).toBe(200);
  });

  test('bypass_overload_manager: a listener is not concerned', async () => {
    using pressure = new Pressure();
    const name = OverloadActionName.rejectIncomingConnections;
    const listener = (stat: string, bypass: boolean): JsonObject => ({
      name: stat,
      stat_prefix: stat,
      address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
      filter_chains: [chainOf('envoy.filters.network.echo')],
      bypass_overload_manager: bypass,
    });
    await using proxy = await startProxy(
      {
        static_resources: { listeners: [listener('one', false), listener('two', true)] },
        ...pressure.manager({ actions: [{ name }] }),
      },
      { extensions: EXTENSIONS },
    );
    pressure.set(1);
    await scale(proxy, name, 100);
    await using one = await proxy.connect({ port: proxy.portOf('one') });
    expect(await one.readUntilClose()).toBe('');
    await using two = await proxy.connect({ port: proxy.portOf('two') });
    await two.write('x');
    expect((await two.read(1)).toString()).toBe('x');
  });

  test('those that wait are let go of when the proxy closes', async () => {
    const leaks = trackLeaks();
    {
      using pressure = new Pressure();
      const name = OverloadActionName.stopAcceptingConnections;
      const proxy = await start(pressure, { actions: [{ name }] });
      pressure.set(1);
      await scale(proxy, name, 100);
      const waiting = await connectionThatWaits(proxy);
      await proxy.close();
      await waiting.readUntilClose().catch(() => '');
      await waiting[Symbol.asyncDispose]();
    }
    await leaks.expectNone();
  });

  test('no more than the backlog wait', async () => {
    using pressure = new Pressure();
    const name = OverloadActionName.stopAcceptingConnections;
    await using proxy = await startProxy(
      {
        static_resources: {
          listeners: [
            {
              stat_prefix: 'one',
              address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
              filter_chains: [chainOf('envoy.filters.network.echo')],
              tcp_backlog_size: 2,
            },
          ],
        },
        ...pressure.manager({ actions: [{ name }] }),
      },
      { extensions: EXTENSIONS },
    );
    pressure.set(1);
    await scale(proxy, name, 100);
    const clients = [];
    for (let i = 0; i < 4; i++) clients.push(await proxy.connect());
    await proxy.untilStat('listener.one.downstream_cx_overload_reject', 2);
    expect(proxy.stat('listener.one.downstream_cx_total')).toBe(0);
    pressure.set(0);
    await proxy.untilStat('listener.one.downstream_cx_total', 2);
    const served = clients.filter(({ peerEnded }) => !peerEnded);
    expect(served.length).toBe(2);
    for (const client of served) {
      await client.write('x');
      expect((await client.read(1)).toString()).toBe('x');
    }
    for (const client of clients) await client[Symbol.asyncDispose]();
  });

  test('global_downstream_max_connections: a limit, and a resource', async () => {
    const hold = networkFilter('hold', true, () => ({}));
    const monitor = 'envoy.resource_monitors.global_downstream_max_connections';
    const listener = (stat: string, ignores: boolean): JsonObject => ({
      name: stat,
      stat_prefix: stat,
      address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
      filter_chains: [chainOf('hold')],
      ignore_global_conn_limit: ignores,
    });
    await using proxy = await startProxy(
      {
        static_resources: { listeners: [listener('one', false), listener('two', true)] },
        layered_runtime: {
          layers: [{ name: 's', static_layer: { 'overload.global_downstream_max_connections': 1 } }],
        },
        overload_manager: {
          refresh_interval: '0.005s',
          resource_monitors: [
            {
              name: monitor,
              typed_config: {
                '@type':
                  'type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig',
                max_active_downstream_connections: 2,
              },
            },
          ],
          actions: [
            {
              name: STOP,
              triggers: [{ name: monitor, scaled: { scaling_threshold: 0, saturation_threshold: 1 } }],
            },
          ],
        },
      },
      { extensions: [...EXTENSIONS, hold] },
    );
    expect(
      proxy.log.find('in the runtime key overload.global_downstream_max_connections, which has no effect'),
    ).toHaveLength(1);
    const port = proxy.portOf('one');
    await using _first = await rawClient({ port });
    await scale(proxy, STOP, 50);
    await using _second = await rawClient({ port });
    await scale(proxy, STOP, 100);
    await using third = await rawClient({ port });
    await third.readUntilClose();
    expect(proxy.stat('listener.one.downstream_global_cx_overflow')).toBe(1);
    await using fourth = await rawClient({ port: proxy.portOf('two') });
    await proxy.untilStat('listener.two.downstream_cx_active', 1);
    expect(fourth.peerEnded).toBe(false);
    expect(proxy.stat('overload.envoy.resource_monitors.global_downstream_max_connections.pressure')).toBe(
      100,
    );
  });
});

describe('upstream', () => {
  test('http_downstream_filter_check: the router answers', async () => {
    using pressure = new Pressure();
    await using upstream = await HttpUpstream.start(text('hello'));
    const name = LoadShedPointName.httpDownstreamFilterCheck;
    await using proxy = await start(pressure, { points: [name] }, { upstream });
    expect((await proxy.get('/')).status).toBe(200);
    pressure.set(1);
    await scale(proxy, name, 100);
    const { status, body } = await proxy.get('/');
    expect([status, body.toString()]).toEqual([503, 'envoy overloaded']);
    expect(proxy.stat('http.ingress.rq_overload_local_reply')).toBe(1);
    expect(proxy.stat('http.ingress.downstream_rq_overload_close')).toBe(0);
    expect(proxy.stat(`overload.${name}.shed_load_count`)).toBe(1);
    expect(upstream.requests.length).toBe(1);
  });

  test('connection_pool_new_connection: what there is goes on, and nothing is opened', async () => {
    using pressure = new Pressure();
    await using upstream = await HttpUpstream.start(text('hello'));
    const name = LoadShedPointName.connectionPoolNewConnection;
    await using proxy = await start(pressure, { points: [name] }, { upstream });
    pressure.set(1);
    await scale(proxy, name, 100);
    const refused = await proxy.get('/');
    expect([refused.status, refused.header('x-envoy-overloaded')]).toEqual([503, 'true']);
    expect(proxy.stat('cluster.web.upstream_rq_pending_overflow')).toBe(1);
    expect(proxy.stat('cluster.web.upstream_rq_pending_active')).toBe(0);
    expect(proxy.stat('cluster.web.upstream_cx_total')).toBe(0);
    pressure.set(0);
    await scale(proxy, name, 0);
    expect((await proxy.get('/')).status).toBe(200);
    pressure.set(1);
    await scale(proxy, name, 100);
    expect((await proxy.get('/')).status).toBe(200);
    expect(proxy.stat('cluster.web.upstream_cx_total')).toBe(1);
  });
});

test('shrink_heap: on main, and on threads of workers', async () => {
  using pressure = new Pressure();
  const name = OverloadActionName.shrinkHeap;
  const typed_config = {
    '@type': 'type.googleapis.com/envoy.config.overload.v3.ShrinkHeapConfig',
    timer_interval: '1s',
  };
  const parts = { actions: [{ name, typed_config }] };
  await using inline = await start(pressure, parts);
  await using threads = await start(pressure, parts, { workers: 2 });
  pressure.set(1);
  for (const proxy of [inline, threads])
    await eventually(() => proxy.stat(`overload.${name}.shrink_count`) > 0);
  expect(threads.stat('server.worker_deaths')).toBe(0);
});

test('a config that is wrong is refused, with its place', async () => {
  using pressure = new Pressure();
  const check = (parts: Parts) =>
    validateBootstrap({
      bootstrap: JSON.stringify({ ...httpBootstrap(), ...pressure.manager(parts) }),
      extensions: EXTENSIONS,
    });
  await expect(
    check({ actions: [{ name: 'envoy.overload_actions.close_idle_http_connections' }] }),
  ).rejects.toThrow(
    'overload_manager.actions[0].name: "envoy.overload_actions.close_idle_http_connections" is not supported',
  );
  const reset = [{ name: OverloadActionName.resetHighMemoryStream }];
  await expect(check({ actions: reset })).rejects.toThrow(
    'overload_manager.actions[0]: envoy.overload_actions.reset_high_memory_stream needs to know which streams are large',
  );
  for (const power of [9, 57]) {
    const fields = { buffer_factory_config: { minimum_account_to_track_power_of_two: power } };
    await expect(check({ actions: reset, fields })).rejects.toThrow(
      'overload_manager.buffer_factory_config.minimum_account_to_track_power_of_two',
    );
  }
});
