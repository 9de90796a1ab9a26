import { ExtensionRegistry, type Host, type HttpPool } from '@dragoman/core';
import { describe, expect, it } from 'vitest';
import { changingRuntime } from './support/changing-runtime.ts';
import { fakeTls, hostList, httpOptions, inOrder, TLS, type World, world } from './support/clusters.ts';
import { FakeRequest, settleCloses } from './support/fake-upstream.ts';

const HTTP2 = httpOptions({ explicit_http_config: { http2_protocol_options: {} } });

function http2World(config: object = {}, options: object = {}, common: object = {}): World {
  return world({
    ...httpOptions({
      explicit_http_config: { http2_protocol_options: options },
      common_http_protocol_options: common,
    }),
    ...config,
  });
}

function poolOf(from: World): HttpPool {
  return from.cluster.httpPool(from.cluster.chooseHost(undefined) as Host, 'default');
}

function send(from: World) {
  const request = new FakeRequest();
  const waiting = poolOf(from).newStream(request, request);
  return Object.assign(request, { cancel: () => waiting?.cancel() });
}

/** A connection that is up, for `limit` streams. */
function up(from: World, limit = 100) {
  const { last } = from.connector;
  last.accept();
  last.receive(`settings:${limit}`);
  return last;
}

describe('a connection', () => {
  it('carries those that waited, and others, at a time', () => {
    const here = http2World();
    const waited = [send(here), send(here), send(here)];
    expect(here.connector.connections.length).toBe(1);
    expect(here.connector.last.options.transport?.applicationProtocolsFallback).toEqual(['h2']);
    here.connector.last.accept();
    expect(waited.map(({ events }) => events)).toEqual([[], [], []]);
    here.connector.last.receive('settings:100');
    const later = send(here);
    expect([...waited, later].map(({ events }) => events)).toEqual(new Array(4).fill(['ready']));
    expect(here.counts()).toMatchObject({
      upstream_cx_active: 1,
      upstream_cx_http2_total: 1,
      upstream_rq_active: 4,
      upstream_rq_total: 4,
      upstream_rq_pending_total: 3,
    });
    here.connector.last.receive('done done');
    expect(waited[0]?.events).toEqual(['ready', 'body:done']);
    expect(here.counts()['upstream_rq_active']).toBe(2);
  });

  it('tells times to those that waited only, and each stream its own bytes', () => {
    const here = http2World();
    const waited = [send(here), send(here)];
    here.clock.advance(20);
    up(here);
    const later = send(here);
    expect(waited.map(({ connection }) => [connection?.protocol, connection?.connectComplete])).toEqual([
      ['HTTP/2', here.clock.now()],
      ['HTTP/2', here.clock.now()],
    ]);
    expect(later.connection?.connectStart).toBe(0);
    expect(here.stats.recorded('cluster.web.upstream_cx_connect_ms')).toEqual([20]);
  });

  it('that is full leaves the rest to another', () => {
    const here = http2World();
    const requests = [send(here), send(here), send(here)];
    const first = up(here, 2);
    expect(requests.map(({ events }) => events.length)).toEqual([1, 1, 0]);
    expect(here.connector.connections.length).toBe(2);
    first.receive('done');
    expect(requests[2]?.events).toEqual(['ready']);
    up(here, 2);
    expect(here.counts()).toMatchObject({ upstream_cx_active: 2, upstream_rq_active: 2 });
  });

  it('is expected to take what the last one did', () => {
    const here = http2World();
    const requests = Array.from({ length: 7 }, () => send(here));
    up(here, 2);
    // Five are left, two for each.
    expect(here.connector.connections.length).toBe(4);
    for (const connection of here.connector.connections.slice(1)) {
      connection.accept();
      connection.receive('settings:2');
    }
    expect(requests.map(({ events }) => events)).toEqual(new Array(7).fill(['ready']));
  });

  it('takes no more than ours allows', () => {
    const here = http2World({}, { max_concurrent_streams: 2 });
    const requests = [send(here), send(here), send(here)];
    expect(here.connector.connections.length).toBe(2);
    up(here, 1000);
    expect(requests.map(({ events }) => events.length)).toEqual([1, 1, 0]);
  });

  it('of a peer that lowers its limit, and raises it', () => {
    const here = http2World();
    send(here);
    const connection = up(here, 5);
    connection.receive('settings:1');
    const waits = send(here);
    expect(waits.events).toEqual([]);
    connection.receive('settings:2');
    expect(waits.events).toEqual(['ready']);
  });

  it('that takes nothing at all is waited for, and no other opened', () => {
    const here = http2World();
    const requests = [send(here), send(here)];
    const connection = up(here, 0);
    send(here);
    expect(here.connector.connections.length).toBe(1);
    connection.receive('settings:10');
    expect(requests.map(({ events }) => events)).toEqual([['ready'], ['ready']]);
  });

  it('ends when it has been idle', () => {
    const here = http2World({}, {}, { idle_timeout: '3s' });
    send(here);
    const connection = up(here);
    here.clock.advance(4000);
    connection.receive('done');
    here.clock.advance(2999);
    expect(connection.open).toBe(true);
    here.clock.advance(1);
    settleCloses();
    expect(here.counts()).toMatchObject({ upstream_cx_idle_timeout: 1, upstream_cx_destroy_local: 1 });
    expect(here.counts()['upstream_cx_active']).toBeUndefined();
  });

  it('ends after as many requests as it may carry', () => {
    const here = http2World({}, {}, { max_requests_per_connection: 2 });
    const requests = [send(here), send(here), send(here)];
    const [first, second] = here.connector.connections;
    first?.accept();
    first?.receive('settings:10');
    expect(requests.map(({ events }) => events.length)).toEqual([1, 1, 0]);
    expect(here.counts()['upstream_cx_max_requests']).toBe(1);
    second?.accept();
    second?.receive('settings:10');
    expect(requests[2]?.events).toEqual(['ready']);
    first?.receive('done');
    expect(first?.open).toBe(true);
    first?.receive('done');
    expect([first?.closeMode, second?.open]).toEqual(['now', true]);
  });

  it('ends when it is too old and carries nothing', () => {
    const here = http2World({}, {}, { max_connection_duration: '5s' });
    send(here);
    const connection = up(here);
    here.clock.advance(5000);
    expect([connection.open, here.counts()['upstream_cx_max_duration_reached']]).toEqual([true, 1]);
    send(here);
    expect(here.connector.connections.length).toBe(2);
    connection.receive('done');
    expect(connection.open).toBe(false);
  });
});

describe('GOAWAY', () => {
  it('lets streams go on, and sends the next ones elsewhere', () => {
    const here = http2World();
    const first = send(here);
    const connection = up(here);
    connection.receive('goaway');
    const second = send(here);
    expect([here.connector.connections.length, connection.open]).toEqual([2, true]);
    connection.receive('done');
    expect([first.events.at(-1), connection.open]).toEqual(['body:done', false]);
    settleCloses();
    up(here);
    expect(second.events).toEqual(['ready']);
    expect(here.counts()).toMatchObject({ upstream_cx_close_notify: 1, upstream_cx_active: 1 });
  });

  it('closes a connection without streams', () => {
    const here = http2World();
    send(here);
    const connection = up(here);
    connection.receive('done goaway');
    expect(connection.open).toBe(false);
  });

  it('resets what the peer has not dealt with as refused', () => {
    const here = http2World();
    const request = send(here);
    up(here).receive('goaway refuse');
    expect(request.events).toEqual(['ready', 'reset:max-requests']);
    settleCloses();
    expect(here.counts()['upstream_rq_active']).toBeUndefined();
  });
});

describe('a connection that fails', () => {
  it.each([
    [
      'refused',
      (here: World) => here.connector.last.lose('Connection refused'),
      'remote-connection-failure:Connection refused',
    ],
    ['too slow', (here: World) => here.clock.advance(5000), 'timeout'],
  ])('%s: those that wait fail', (_name, fail, text) => {
    const here = http2World();
    const requests = [send(here), send(here)];
    fail(here);
    settleCloses();
    expect(requests.map(({ events }) => events)).toEqual(new Array(2).fill([`failed:${text}`]));
    expect(here.counts()).toMatchObject({
      upstream_cx_connect_fail: 1,
      upstream_rq_pending_failure_eject: 2,
    });
  });

  it('before the peer’s SETTINGS: a peer that never sends them', () => {
    const here = http2World();
    const request = send(here);
    here.connector.last.accept();
    here.clock.advance(5000);
    settleCloses();
    expect(request.events).toEqual(['failed:timeout']);
    expect(here.counts()).toMatchObject({ upstream_cx_connect_timeout: 1, upstream_cx_connect_fail: 1 });
  });

  it.each([
    ['garbage', (here: World) => here.connector.last.receive('garbage'), 'reset:protocol-error'],
    ['the end', (here: World) => here.connector.last.lose('', 'remote'), 'reset:connection-termination'],
  ])('before the peer’s SETTINGS: %s is what streams on it hear', (_name, fail, event) => {
    const here = http2World();
    const requests = [send(here), send(here)];
    here.connector.last.accept();
    fail(here);
    settleCloses();
    expect(requests.map(({ events }) => events)).toEqual(new Array(2).fill(['ready', event]));
    expect(requests[0]?.connection?.protocol).toBe('HTTP/2');
    expect(here.counts()).toMatchObject({ upstream_rq_total: 2 });
    expect(here.counts()).not.toHaveProperty('upstream_cx_connect_fail');
    expect(here.counts()).not.toHaveProperty('upstream_rq_active');
  });

  it('while it carries streams: all of them are reset', () => {
    const here = http2World();
    const requests = [send(here), send(here)];
    up(here).lose('Connection reset by peer');
    expect(requests.map(({ events }) => events.at(-1))).toEqual(
      new Array(2).fill('reset:connection-termination'),
    );
    expect(here.counts()).toMatchObject({
      upstream_cx_destroy_remote_with_active_rq: 1,
      upstream_cx_destroy_remote: 1,
    });
    expect(here.counts()).not.toHaveProperty('upstream_rq_active');
  });

  it('by breaking the protocol is not used for a retry', () => {
    const here = http2World();
    const request = send(here);
    let retry: FakeRequest | undefined;
    request.onReset = () => {
      retry = send(here);
    };
    up(here).receive('garbage');
    expect(here.counts()['upstream_cx_protocol_error']).toBe(1);
    expect([retry?.events, here.connector.connections.length]).toEqual([[], 2]);
    settleCloses();
    up(here);
    expect(retry?.events).toEqual(['ready']);
  });
});

describe('limits', () => {
  it('of requests refuse streams, also those that waited', () => {
    const here = http2World({ circuit_breakers: { thresholds: [{ max_requests: 1 }] } });
    const waited = [send(here), send(here)];
    up(here);
    const later = send(here);
    expect([...waited, later].map(({ events }) => events)).toEqual([
      ['ready'],
      ['failed:overflow'],
      ['failed:overflow'],
    ]);
    expect(here.counts()['upstream_rq_pending_overflow']).toBe(2);
  });

  it('of connections let requests wait for room on the one there is', () => {
    const here = http2World({ circuit_breakers: { thresholds: [{ max_connections: 1 }] } });
    send(here);
    const connection = up(here, 1);
    const second = send(here);
    expect([here.connector.connections.length, here.counts()['upstream_cx_overflow']]).toEqual([1, 1]);
    connection.receive('done');
    expect(second.events).toEqual(['ready']);
  });

  it('give up those that are cancelled', () => {
    const here = http2World();
    const request = send(here);
    request.cancel();
    expect(here.counts()).toMatchObject({ upstream_rq_cancelled: 1 });
    const connection = up(here);
    expect([request.events, connection.open]).toEqual([[], true]);
  });
});

describe('a host that was removed', () => {
  it('keeps its streams, and gets no others', () => {
    const here = http2World();
    const request = send(here);
    const connection = up(here);
    here.manager.updateHosts('web', hostList());
    expect(connection.open).toBe(true);
    connection.receive('done');
    settleCloses();
    expect([request.events.at(-1), connection.open]).toEqual(['body:done', false]);
    expect(here.cluster.info.resources('default').connectionPools.used).toBe(0);
  });

  it('serves those that waited', () => {
    const here = http2World();
    const request = send(here);
    here.manager.updateHosts('web', hostList());
    const connection = up(here);
    expect(request.events).toEqual(['ready']);
    connection.receive('done');
    settleCloses();
    expect(here.counts()).not.toHaveProperty('upstream_cx_active');
  });
});

it('fails one that another gave up while it failed, without a word', () => {
  const here = world(HTTP2);
  const first = send(here);
  const second = send(here);
  first.onFailed = () => second.cancel();
  here.connector.last.lose('Connection refused');
  expect(second.events).toEqual([]);
  expect(here.counts()).not.toHaveProperty('upstream_rq_pending_active');
  expect(here.cluster.info.resources('default').pendingRequests.used).toBe(0);
  const third = send(here);
  up(here);
  expect(third.events).toEqual(['ready']);
});

describe('the runtime key upstream.use_http2', () => {
  const protocols = (here: World) =>
    here.connector.connections.map(({ options }) => options.transport?.applicationProtocolsFallback);

  it('makes new pools speak HTTP/1.1', () => {
    const runtime = changingRuntime();
    const here = world(HTTP2, { runtime, hosts: hostList('10.0.0.1:80', '10.0.0.2:80') });
    send(here);
    runtime.set('upstream.use_http2', '0');
    const other = send(here);
    // The pool that was there stays.
    send(here);
    expect(protocols(here)).toEqual([['h2'], ['http/1.1']]);
    here.connector.last.accept();
    expect(other.connection?.protocol).toBe('HTTP/1.1');
    here.connector.last.receive('done');
    expect(other.events).toEqual(['ready', 'body:done']);
  });

  it('does nothing to those whose protocol ALPN chooses', () => {
    const auto = { ...httpOptions({ auto_config: {} }), transport_socket: TLS };
    const here = world(auto, {
      runtime: changingRuntime({ 'upstream.use_http2': '0' }),
      registry: new ExtensionRegistry([inOrder, fakeTls]),
    });
    send(here);
    expect(protocols(here)).toEqual([['h2', 'http/1.1']]);
  });
});
