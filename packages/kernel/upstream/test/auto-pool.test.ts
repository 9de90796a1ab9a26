import { ExtensionRegistry, type Host } from '@dragoman/core';
import { describe, expect, it } from 'vitest';
import { fakeTls, hostList, httpOptions, inOrder, TLS, type World, world } from './support/clusters.ts';
import { FakeRequest, settleCloses } from './support/fake-upstream.ts';

const registry = new ExtensionRegistry([inOrder, fakeTls]);

function autoWorld(config: object = {}): World {
  return world({ transport_socket: TLS, ...httpOptions({ auto_config: {} }), ...config }, { registry });
}

function send(from: World) {
  const request = new FakeRequest();
  const host = from.cluster.chooseHost(undefined) as Host;
  from.cluster.httpPool(host, 'default').newStream(request, request);
  return request;
}

it('offers both protocols', () => {
  const here = autoWorld();
  send(here);
  expect(here.connector.last.options.transport?.applicationProtocolsFallback).toEqual(['h2', 'http/1.1']);
});

describe('a host that chooses HTTP/2', () => {
  it('serves all that wait on the first connection', () => {
    const here = autoWorld();
    const requests = [send(here), send(here), send(here)];
    expect(here.connector.connections.length).toBe(3);
    here.connector.last.accept('h2');
    here.connector.last.receive('settings:100');
    expect(requests.map(({ events, connection }) => [events[0], connection?.protocol])).toEqual(
      new Array(3).fill(['ready', 'HTTP/2']),
    );
    expect(here.counts()).toMatchObject({ upstream_cx_http2_total: 1, upstream_cx_active: 3 });
    expect(here.counts()).not.toHaveProperty('upstream_cx_http1_total');
  });

  it('is expected to do so again', () => {
    const here = autoWorld();
    send(here);
    here.connector.last.accept('h2');
    here.connector.last.receive('settings:100 goaway done');
    settleCloses();
    const requests = [send(here), send(here)];
    expect(here.connector.connections.length).toBe(2);
    // But now it does not.
    here.connector.last.accept('http/1.1');
    expect(requests.map(({ events }) => events.length)).toEqual([1, 0]);
    expect(here.connector.connections.length).toBe(3);
    here.connector.last.accept('http/1.1');
    expect(requests[1]?.connection?.protocol).toBe('HTTP/1.1');
  });

  it('and breaks the protocol at once: what waited hears that', () => {
    const here = autoWorld();
    const request = send(here);
    here.connector.last.accept('h2');
    here.connector.last.receive('garbage');
    settleCloses();
    expect(request.events).toEqual(['ready', 'reset:protocol-error']);
  });
});

describe('a host that chooses HTTP/1.1, or nothing', () => {
  it.each(['http/1.1', ''])('%j', (protocol) => {
    const here = autoWorld();
    const requests = [send(here), send(here)];
    for (const connection of here.connector.connections) connection.accept(protocol);
    expect(requests.map(({ events }) => events)).toEqual([['ready'], ['ready']]);
    here.connector.last.receive('done');
    const third = send(here);
    expect([third.events, third.connection?.protocol]).toEqual([['ready'], 'HTTP/1.1']);
    expect(here.counts()).toMatchObject({ upstream_cx_http1_total: 2, upstream_cx_active: 2 });
  });
});

describe('failures', () => {
  it('of connecting fail what waits', () => {
    const here = autoWorld();
    const requests = [send(here), send(here)];
    here.connector.last.lose('Connection refused');
    expect(requests.map(({ failure }) => failure)).toEqual(new Array(2).fill('remote-connection-failure'));
    expect(here.counts()).toMatchObject({ upstream_cx_connect_fail: 1, upstream_cx_active: 1 });
  });

  it('by time are counted', () => {
    const here = autoWorld();
    const request = send(here);
    here.clock.advance(5000);
    settleCloses();
    expect([request.failure, here.counts()['upstream_cx_connect_timeout']]).toEqual(['timeout', 1]);
  });

  it('after a slow handshake leave the rest of the time to SETTINGS', () => {
    const here = autoWorld();
    const request = send(here);
    here.clock.advance(3000);
    here.connector.last.accept('h2');
    here.clock.advance(1999);
    expect(request.failure).toBeUndefined();
    here.clock.advance(1);
    settleCloses();
    expect(request.failure).toBe('timeout');
  });
});

it('drains connections of both kinds', () => {
  const here = autoWorld();
  send(here);
  send(here);
  const [first, second] = here.connector.connections;
  first?.accept('http/1.1');
  second?.accept('h2');
  second?.receive('settings:5');
  first?.receive('done');
  here.manager.updateHosts('web', hostList());
  expect([first?.open, second?.open]).toEqual([false, true]);
  second?.receive('done');
  settleCloses();
  expect(here.cluster.info.resources('default').connectionPools.used).toBe(0);
});
