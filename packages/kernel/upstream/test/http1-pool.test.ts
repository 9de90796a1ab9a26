import {
  type Cancellable,
  emptyRuntime,
  type Host,
  type HttpPool,
  type RoutingPriority,
  type Runtime,
} from '@dragoman/core';
import { describe, expect, it } from 'vitest';
import { hostList, type World, world } from './support/clusters.ts';
import { FakeRequest, settleCloses } from './support/fake-upstream.ts';

interface Sent {
  readonly request: FakeRequest;
  readonly waiting: Cancellable | undefined;
}

function poolOf(from: World, priority: RoutingPriority = 'default'): HttpPool {
  return from.cluster.httpPool(from.cluster.chooseHost(undefined) as Host, priority);
}

function send(from: World, priority?: RoutingPriority): Sent {
  const request = new FakeRequest();
  return { request, waiting: poolOf(from, priority).newStream(request, request) };
}

const breakers = (limits: object) => ({ circuit_breakers: { thresholds: [limits] } });

describe('a request and its connection', () => {
  it('waits for the connection that it causes, then gets it with the times of connecting', () => {
    const here = world();
    const { request, waiting } = send(here);
    expect(waiting).toBeDefined();
    expect(here.counts()).toMatchObject({ upstream_rq_pending_active: 1, upstream_cx_active: 1 });
    here.clock.advance(3);
    here.connector.last.accept();
    expect(request.events).toEqual(['ready']);
    expect(request.connection).toMatchObject({
      connectStart: 1000,
      connectComplete: 1003,
      protocol: 'HTTP/1.1',
    });
    expect(here.stats.recorded('cluster.web.upstream_cx_connect_ms')).toEqual([3]);
    here.connector.last.receive('done');
    expect(here.counts()).toEqual({
      upstream_cx_total: 1,
      upstream_cx_active: 1,
      upstream_cx_http1_total: 1,
      upstream_rq_total: 1,
      upstream_rq_pending_total: 1,
    });
  });

  it('uses the connection that became idle last, without times of connecting', () => {
    const here = world();
    const first = send(here);
    const second = send(here);
    for (const connection of here.connector.connections) connection.accept();
    here.connector.connections[0].receive('done');
    here.connector.connections[1].receive('done');
    expect([first.request.events, second.request.events]).toEqual([
      ['ready', 'body:done'],
      ['ready', 'body:done'],
    ]);
    const third = send(here);
    expect(third.waiting).toBeUndefined();
    expect(third.request.connection?.id).toBe(here.connector.connections[1].info.id);
    expect(third.request.connection?.connectStart).toBe(0);
    expect(here.connector.connections).toHaveLength(2);
  });

  it('serves those that wait in the order in which they came', () => {
    const here = world(breakers({ max_connections: 1 }));
    const sent = [send(here), send(here), send(here)];
    expect(here.connector.connections).toHaveLength(1);
    here.connector.last.accept();
    expect(sent.map(({ request }) => request.events.length)).toEqual([1, 0, 0]);
    here.connector.last.receive('done');
    expect(sent.map(({ request }) => request.events.length)).toEqual([2, 1, 0]);
    here.connector.last.receive('done');
    expect(sent.map(({ request }) => request.events.length)).toEqual([2, 2, 1]);
  });

  it('does not give a connection on before it has looked at all bytes in hand', () => {
    const here = world(breakers({ max_connections: 1 }));
    const first = send(here);
    const second = send(here);
    here.connector.last.accept();
    here.connector.last.receive('done HTTP/1.1 200 smuggled');
    expect(first.request.events).toEqual(['ready', 'body:done']);
    expect(second.request.events).toEqual([]);
    expect(here.connector.last.open).toBe(false);
    settleCloses();
    expect(here.connector.connections).toHaveLength(2);
    here.connector.last.accept();
    expect(second.request.events).toEqual(['ready']);
    expect(here.counts()).toMatchObject({ upstream_cx_protocol_error: 1 });
  });

  it('keeps the connection of a request that gave up, for the next one', () => {
    const here = world();
    const { request, waiting } = send(here);
    waiting?.cancel();
    waiting?.cancel();
    here.connector.last.accept();
    expect(request.events).toEqual([]);
    expect(here.counts()).toMatchObject({ upstream_rq_cancelled: 1, upstream_cx_active: 1 });
    expect(send(here).request.events).toEqual(['ready']);
  });
});

describe('a connection that ends', () => {
  it('fails all that wait when it does not come up', () => {
    const here = world();
    const sent = [send(here), send(here)];
    here.connector.connections[0].lose('Connection refused');
    for (const { request } of sent) {
      expect(request.events).toEqual(['failed:remote-connection-failure:Connection refused']);
      expect(request.failedHost?.address.text).toBe('10.0.0.1:80');
    }
    expect(here.counts()).toMatchObject({
      upstream_cx_connect_fail: 1,
      upstream_rq_pending_failure_eject: 2,
      upstream_cx_destroy_remote: 1,
    });
    expect(here.cluster.chooseHost(undefined)?.stats.cxConnectFail.value()).toBe(1);
    here.connector.connections[1].lose('Connection refused');
    expect(here.counts()['upstream_rq_pending_active']).toBeUndefined();
  });

  it('does not fail a retry that is sent while the others are told', () => {
    const here = world();
    const { request } = send(here);
    let retry: Sent | undefined;
    request.onFailed = () => {
      retry = send(here);
    };
    here.connector.last.lose('Connection refused');
    expect(retry?.request.events).toEqual([]);
    here.connector.last.accept();
    expect(retry?.request.events).toEqual(['ready']);
  });

  it('times out while connecting after connect_timeout', () => {
    const here = world({ connect_timeout: '0.25s' });
    const { request } = send(here);
    here.clock.advance(249);
    expect(here.connector.last.open).toBe(true);
    here.clock.advance(1);
    settleCloses();
    expect(request.events).toEqual(['failed:timeout']);
    expect(here.counts()).toMatchObject({
      upstream_cx_connect_timeout: 1,
      upstream_cx_connect_fail: 1,
      upstream_cx_destroy_local: 1,
    });
    expect(here.clock.pendingTimers).toBe(0);
  });

  it('waits 5 s to connect when the config does not say', () => {
    const here = world();
    send(here);
    expect(here.clock.nextTimerInMs).toBe(5000);
  });

  it('resets the request that it carries when the peer closes', () => {
    const here = world();
    const { request } = send(here);
    here.connector.last.accept();
    here.connector.last.lose('Connection reset by peer');
    expect(request.events).toEqual(['ready', 'reset:connection-termination']);
    expect(here.counts()).toEqual({
      upstream_cx_total: 1,
      upstream_cx_http1_total: 1,
      upstream_cx_destroy: 1,
      upstream_cx_destroy_remote: 1,
      upstream_cx_destroy_with_active_rq: 1,
      upstream_cx_destroy_remote_with_active_rq: 1,
      upstream_rq_total: 1,
      upstream_rq_pending_total: 1,
    });
  });

  it('is taken out when the peer ends it while idle', () => {
    const here = world();
    send(here);
    const first = here.connector.last;
    first.accept();
    first.receive('done');
    first.end_();
    expect(send(here).request.events).toEqual([]);
    expect(here.connector.connections).toHaveLength(2);
    settleCloses();
    expect(here.counts()).toMatchObject({ upstream_cx_destroy_remote: 1, upstream_cx_active: 1 });
  });

  it('is closed when the response says so, and those that wait get another', () => {
    const here = world(breakers({ max_connections: 1 }));
    send(here);
    const second = send(here);
    here.connector.last.accept();
    here.connector.last.receive('close');
    expect(here.connector.last.open).toBe(false);
    settleCloses();
    expect(here.connector.connections).toHaveLength(2);
    here.connector.last.accept();
    expect(second.request.events).toEqual(['ready']);
    expect(here.counts()).toMatchObject({ upstream_cx_close_notify: 1, upstream_cx_destroy_local: 1 });
  });

  it('ends with the stream that the router gives up', () => {
    const here = world();
    const { request } = send(here);
    here.connector.last.accept();
    request.encoder?.reset('local-reset');
    settleCloses();
    expect(request.events).toEqual(['ready']);
    expect(here.counts()).toMatchObject({ upstream_cx_destroy_local_with_active_rq: 1 });
    expect(here.counts()['upstream_rq_active']).toBeUndefined();
  });

  it('is closed on bytes that nobody asked for', () => {
    const here = world();
    send(here);
    here.connector.last.accept();
    here.connector.last.receive('done');
    here.connector.last.receive('more');
    settleCloses();
    expect(here.counts()).toMatchObject({ upstream_cx_protocol_error: 1, upstream_cx_destroy: 1 });
    expect(here.clock.pendingTimers).toBe(0);
  });
});

describe('limits of a connection', () => {
  const options = (common: object) => ({
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
        common_http_protocol_options: common,
        explicit_http_config: { http_protocol_options: {} },
      },
    },
  });

  function idleConnection(config: object): World {
    const here = world(config);
    send(here);
    here.connector.last.accept();
    here.connector.last.receive('done');
    return here;
  }

  it('closes after idle_timeout, 1 h by default', () => {
    expect(idleConnection({}).clock.nextTimerInMs).toBe(3_600_000);
    const here = idleConnection(options({ idle_timeout: '2s' }));
    here.clock.advance(1999);
    expect(here.connector.last.open).toBe(true);
    here.clock.advance(1);
    settleCloses();
    expect(here.counts()).toMatchObject({ upstream_cx_idle_timeout: 1, upstream_cx_destroy_local: 1 });
  });

  it('never closes idle connections with idle_timeout 0, and none while a request runs', () => {
    expect(idleConnection(options({ idle_timeout: '0s' })).clock.pendingTimers).toBe(0);
    const here = idleConnection(options({ idle_timeout: '2s' }));
    send(here);
    here.clock.advance(10_000);
    expect(here.connector.last.open).toBe(true);
  });

  it('closes after max_requests_per_connection', () => {
    const here = idleConnection(options({ max_requests_per_connection: 2 }));
    send(here);
    expect(here.counts()).toMatchObject({ upstream_cx_max_requests: 1 });
    here.connector.last.receive('done');
    expect(here.connector.last.open).toBe(false);
    expect(here.counts()['upstream_cx_close_notify']).toBeUndefined();
  });

  it('closes at max_connection_duration when idle, else after the request', () => {
    const idle = idleConnection(options({ max_connection_duration: '5s' }));
    idle.clock.advance(5000);
    expect(idle.connector.last.open).toBe(false);
    const busy = idleConnection(options({ max_connection_duration: '5s' }));
    send(busy);
    busy.clock.advance(5000);
    expect(busy.connector.last.open).toBe(true);
    busy.connector.last.receive('done');
    expect(busy.connector.last.open).toBe(false);
    settleCloses();
    expect(busy.counts()).toMatchObject({ upstream_cx_max_duration_reached: 1 });
  });
});

describe('circuit breakers', () => {
  it('queue at max_connections, though a host without any connection gets one', () => {
    const here = world(breakers({ max_connections: 1, track_remaining: true }), {
      hosts: hostList('10.0.0.1:80', '10.0.0.2:80'),
    });
    send(here);
    expect(here.counts()).toMatchObject({ 'circuit_breakers.default.cx_open': 1 });
    send(here);
    send(here);
    expect(here.connector.connections.map(({ options }) => options.address.text)).toEqual([
      '10.0.0.1:80',
      '10.0.0.2:80',
    ]);
    expect(here.counts()).toMatchObject({ upstream_cx_overflow: 2, upstream_rq_pending_active: 3 });
    for (const connection of here.connector.connections) connection.lose('gone');
    settleCloses();
    expect(here.stats.value('cluster.web.circuit_breakers.default.cx_open')).toBe(0);
    expect(here.stats.value('cluster.web.circuit_breakers.default.remaining_cx')).toBe(1);
  });

  it('refuse above max_pending_requests', () => {
    const here = world(breakers({ max_pending_requests: 1 }));
    send(here);
    expect(here.counts()).toMatchObject({ 'circuit_breakers.default.rq_pending_open': 1 });
    const second = send(here);
    expect(second.waiting).toBeUndefined();
    expect(second.request.events).toEqual(['failed:overflow']);
    expect(second.request.failedHost).toBeUndefined();
    expect(here.counts()).toMatchObject({ upstream_rq_pending_overflow: 1, upstream_rq_pending_total: 1 });
    expect(send(here, 'high').request.events).toEqual([]);
  });

  it('refuse above max_requests, with an idle connection and without', () => {
    const here = world(breakers({ max_requests: 1 }));
    const first = send(here);
    const second = send(here);
    here.connector.connections[0].accept();
    here.connector.connections[1].accept();
    expect(first.request.events).toEqual(['ready']);
    expect(second.request.events).toEqual(['failed:overflow']);
    expect(second.request.failedHost).toBeUndefined();
    expect(here.counts()).toMatchObject({ 'circuit_breakers.default.rq_open': 1 });
    expect(send(here).request.events).toEqual(['failed:overflow']);
    here.connector.connections[0].receive('done');
    expect(here.stats.value('cluster.web.circuit_breakers.default.rq_open')).toBe(0);
    expect(send(here).request.events).toEqual(['ready']);
  });

  it('have budgets of their own for each priority', () => {
    const here = world({
      circuit_breakers: {
        thresholds: [{ max_requests: 1 }, { priority: 'HIGH', max_requests: 2, max_retries: 9 }],
      },
    });
    expect(here.cluster.info.resources('default').requests.max).toBe(1);
    expect(here.cluster.info.resources('default').retries.max).toBe(3);
    expect(here.cluster.info.resources('high').requests.max).toBe(2);
    expect(here.cluster.info.resources('high').retries.max).toBe(9);
    expect(here.cluster.info.resources('high').connections.max).toBe(1024);
  });

  it('limit the pools, and take one from a host where nothing happens', () => {
    const here = world(breakers({ max_connection_pools: 1 }), {
      hosts: hostList('10.0.0.1:80', '10.0.0.2:80'),
    });
    const first = send(here);
    const refused = send(here);
    expect(refused.request.events).toEqual(['failed:overflow']);
    expect(refused.request.failedHost).toBeUndefined();
    expect(here.counts()).toMatchObject({ upstream_cx_pool_overflow: 1 });
    first.waiting?.cancel();
    here.connector.last.lose('gone');
    here.cluster.chooseHost(undefined);
    expect(send(here).request.events).toEqual([]);
    expect(here.connector.last.options.address.text).toBe('10.0.0.2:80');
  });

  it('turn a retry budget into a share of what is under way', () => {
    const here = world(
      breakers({ retry_budget: { budget_percent: { value: 50 }, min_retry_concurrency: 1 } }),
    );
    const { retries } = here.cluster.info.resources('default');
    expect(retries.max).toBe(1);
    for (let i = 0; i < 6; i++) send(here);
    expect(retries.max).toBe(3);
    retries.take();
    retries.take();
    expect(retries.canTake()).toBe(true);
    retries.take();
    expect(retries.canTake()).toBe(false);
    expect(here.counts()).toMatchObject({ 'circuit_breakers.default.rq_retry_open': 1 });
  });
});

describe('the limit of retries by runtime', () => {
  const KEY = 'circuit_breakers.web.default.';
  const limits = (config: object, values: Record<string, string>) => {
    const runtime: Runtime = {
      ...emptyRuntime,
      get: (key) => values[key],
      getInteger: (key, fallback) => Number(values[key] ?? fallback),
      getNumber: (key, fallback) => Number(values[key] ?? fallback),
    };
    const here = world(breakers({ track_remaining: true, ...config }), { runtime });
    const { retries } = here.cluster.info.resources('default');
    const alone = retries.max;
    for (let i = 0; i < 20; i++) send(here);
    retries.take();
    return [alone, retries.max, here.counts()['circuit_breakers.default.remaining_retries'] ?? 0];
  };

  it.each<[name: string, config: object, values: Record<string, string>, limits: number[]]>([
    ['none: max_retries', {}, {}, [3, 3, 2]],
    ['of the config', { max_retries: 7 }, {}, [7, 7, 6]],
    ['max_retries', { max_retries: 7 }, { max_retries: '9' }, [9, 9, 8]],
    ['a percentage brings a budget in', {}, { 'retry_budget.budget_percent': '50' }, [3, 10, 0]],
    ['a minimum brings one in too', {}, { 'retry_budget.min_retry_concurrency': '1' }, [1, 4, 0]],
    [
      'both go before the config’s',
      { retry_budget: { budget_percent: { value: 10 }, min_retry_concurrency: 2 } },
      { 'retry_budget.budget_percent': '25', 'retry_budget.min_retry_concurrency': '4' },
      [4, 5, 0],
    ],
    ['max_retries does nothing beside a budget', { retry_budget: {} }, { max_retries: '9' }, [3, 4, 0]],
  ])('%s', (_name, config, values, expected) => {
    const keyed = Object.fromEntries(Object.entries(values).map(([key, value]) => [KEY + key, value]));
    expect(limits(config, keyed)).toEqual(expected);
  });
});

describe('a host that is removed', () => {
  it('closes idle connections and lets requests finish', () => {
    const here = world({}, { hosts: hostList('10.0.0.1:80') });
    send(here);
    send(here);
    const [busy, idle] = here.connector.connections;
    busy.accept();
    idle.accept();
    idle.receive('done');
    here.manager.updateHosts('web', hostList('10.0.0.2:80'));
    expect([busy.open, idle.open]).toEqual([true, false]);
    busy.receive('done');
    expect(busy.open).toBe(false);
    settleCloses();
    expect(here.counts()).toMatchObject({ upstream_cx_destroy_local: 2 });
    expect(here.counts()['upstream_cx_active']).toBeUndefined();
    expect(here.clock.pendingTimers).toBe(0);
  });

  it('still serves requests that wait for it', () => {
    const here = world();
    const { request } = send(here);
    here.manager.updateHosts('web', hostList());
    here.connector.last.accept();
    expect(request.events).toEqual(['ready']);
    here.connector.last.receive('done');
    settleCloses();
    expect(here.counts()['upstream_cx_active']).toBeUndefined();
    expect(here.cluster.chooseHost(undefined)).toBeUndefined();
    expect(here.counts()).toMatchObject({ upstream_cx_none_healthy: 1 });
  });

  it('does not finish connecting for nobody', () => {
    const here = world();
    send(here).waiting?.cancel();
    here.manager.updateHosts('web', hostList());
    expect(here.connector.last.open).toBe(false);
  });
});

describe('close', () => {
  it('ends all connections, also those that drain, and fails what waits', () => {
    const here = world(breakers({ max_connections: 1 }));
    const first = send(here);
    const second = send(here);
    here.connector.last.accept();
    here.manager.drain();
    expect(here.connector.last.open).toBe(true);
    here.manager.close();
    settleCloses();
    expect(first.request.events).toEqual(['ready', 'reset:connection-termination']);
    expect(second.request.events).toEqual(['failed:local-connection-failure:pool closed']);
    expect(here.counts()['upstream_cx_active']).toBeUndefined();
    expect(here.clock.pendingTimers).toBe(0);
  });
});
