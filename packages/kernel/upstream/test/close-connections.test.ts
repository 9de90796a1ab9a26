import {
  type ConnectionHandler,
  type EndpointData,
  HealthFlag,
  type Host,
  type HostListUpdate,
  type TcpPoolCallbacks,
} from '@dragoman/core';
import { describe, expect, it } from 'vitest';
import { endpoint, hostList, httpOptions, type World, world } from './support/clusters.ts';
import { FakeRequest, settleCloses } from './support/fake-upstream.ts';

const [ONE, OTHER, THIRD] = ['10.0.0.1:80', '10.0.0.2:80', '10.0.0.3:80'];
const HTTP2 = httpOptions({ explicit_http_config: { http2_protocol_options: {} } });

function hostOf(from: World, address: string): Host {
  const found = from.cluster.hostSets
    .flatMap(({ hosts }) => hosts)
    .find((host) => host.address.text === address);
  if (found === undefined) throw new Error(`no host ${address}`);
  return found;
}

function send(from: World, address: string): FakeRequest {
  const request = new FakeRequest();
  from.cluster.httpPool(hostOf(from, address), 'default').newStream(request, request);
  return request;
}

/** An idle and a busy connection to a host of HTTP/1. */
function idleAndBusy(here: World, address: string) {
  const requests = [send(here, address), send(here, address)];
  const [idle, busy] = here.connector.connections.slice(-2);
  idle?.accept();
  busy?.accept();
  idle?.receive('done');
  return { idle, busy, request: requests[1] };
}

function openTcp(from: World, address: string) {
  const events: string[] = [];
  const handler: ConnectionHandler = {
    onData: () => {},
    onEnd: () => {},
    onWritable: () => {},
    onClose: (kind) => events.push(`close:${kind}`),
  };
  const callbacks: TcpPoolCallbacks = {
    onPoolReady: (connection) => {
      connection.setHandler(handler);
      events.push('ready');
    },
    onPoolFailure: (reason) => events.push(reason),
  };
  from.cluster.newTcpConnection(hostOf(from, address), 'default', callbacks);
  return { events, socket: from.connector.last };
}

describe('close_connections_on_host_set_change', () => {
  const ON = { common_lb_config: { close_connections_on_host_set_change: true } };

  it.each<[name: string, config: object, update: HostListUpdate, closed: boolean]>([
    ['a host more', ON, hostList(ONE, OTHER, THIRD), true],
    ['a host less', ON, hostList(ONE), true],
    ['one for another', ON, hostList(ONE, THIRD), true],
    ['the same address once more', ON, hostList(ONE, ONE, OTHER), true],
    ['the same hosts', ON, hostList(ONE, OTHER), false],
    ['another order', ON, hostList(OTHER, ONE), false],
    ['another weight', ON, hostList(endpoint(ONE, { weight: 7 }), OTHER), false],
    ['another health', ON, hostList(endpoint(ONE, { health: 'degraded' }), OTHER), false],
    ['without the field', {}, hostList(ONE, OTHER, THIRD), false],
  ])('%s', (_name, config, update, closed) => {
    const here = world(config, { hosts: hostList(ONE, OTHER) });
    const { idle, busy, request } = idleAndBusy(here, ONE);
    here.manager.updateHosts('web', update);
    expect([idle?.open, busy?.open]).toEqual([!closed, true]);
    settleCloses();
    busy?.receive('done');
    // What it carried has been served; it takes nothing more.
    expect(request?.events).toEqual(['ready', 'body:done']);
    expect(busy?.open).toBe(!closed);
    settleCloses();
    const next = send(here, ONE);
    expect(next.events).toEqual(closed ? [] : ['ready']);
    expect(here.counts()['upstream_cx_total']).toBe(closed ? 3 : 2);
  });

  it('gives back the pools of hosts under max_connection_pools', () => {
    const here = world({
      ...ON,
      circuit_breakers: { thresholds: [{ max_connection_pools: 1, track_remaining: true }] },
    });
    const { busy } = idleAndBusy(here, ONE);
    here.manager.updateHosts('web', hostList(ONE, OTHER));
    settleCloses();
    busy?.receive('done');
    settleCloses();
    expect(here.stats.value('cluster.web.circuit_breakers.default.remaining_cx_pools')).toBe(1);
  });
});

describe('a host that fails', () => {
  const failed = (flag: number, address = ONE): EndpointData => endpoint(address, { checked: flag });

  it.each<[name: string, host: EndpointData, closed: boolean]>([
    ['an active check', failed(HealthFlag.failed_active_hc), true],
    ['by outlier detection', failed(HealthFlag.failed_outlier_check), true],
    ['by its source’s word', endpoint(ONE, { health: 'unhealthy' }), false],
    ['only to be degraded', failed(HealthFlag.degraded_active_hc), false],
  ])('%s: idle connections close, others when their requests end', (_name, host, closed) => {
    const here = world({}, { hosts: hostList(ONE, OTHER) });
    const { idle, busy, request } = idleAndBusy(here, ONE);
    const other = idleAndBusy(here, OTHER);
    here.manager.updateHosts('web', hostList(host, OTHER));
    settleCloses();
    expect([idle?.open, busy?.open, other.idle?.open]).toEqual([!closed, true, true]);
    busy?.receive('done');
    settleCloses();
    expect([busy?.open, request?.events]).toEqual([!closed, ['ready', 'body:done']]);
  });

  it('loses its connections once: those of panic stay', () => {
    const here = world();
    const list = hostList(failed(HealthFlag.failed_active_hc));
    here.manager.updateHosts('web', list);
    const { idle } = idleAndBusy(here, ONE);
    here.manager.updateHosts('web', hostList(failed(HealthFlag.failed_active_hc), OTHER));
    expect(idle?.open).toBe(true);
    // Another failure is another matter.
    here.manager.updateHosts(
      'web',
      hostList(failed(HealthFlag.failed_active_hc | HealthFlag.failed_outlier_check), OTHER),
    );
    expect(idle?.open).toBe(false);
    settleCloses();
    here.manager.updateHosts('web', hostList(ONE, OTHER));
    const again = idleAndBusy(here, ONE);
    here.manager.updateHosts('web', hostList(failed(HealthFlag.failed_active_hc), OTHER));
    expect(again.idle?.open).toBe(false);
  });

  it('lets HTTP/2 streams end', () => {
    const here = world(HTTP2);
    const first = send(here, ONE);
    const session = here.connector.last;
    session.accept();
    session.receive('settings:10');
    here.manager.updateHosts('web', hostList(failed(HealthFlag.failed_active_hc)));
    expect(session.open).toBe(true);
    const next = send(here, ONE);
    expect(here.connector.connections.length).toBe(2);
    session.receive('done');
    settleCloses();
    expect([session.open, first.events, next.events]).toEqual([false, ['ready', 'body:done'], []]);
  });

  it.each([true, false])('close_connections_on_host_health_failure: %s, for TCP', (on) => {
    const here = world({ close_connections_on_host_health_failure: on }, { hosts: hostList(ONE, OTHER) });
    const [up, onItsWay, gone, elsewhere] = [ONE, ONE, ONE, OTHER].map((address) => openTcp(here, address));
    for (const { socket } of [up, gone, elsewhere]) socket.accept();
    gone?.socket.lose();
    here.manager.updateHosts('web', hostList(failed(HealthFlag.failed_active_hc), OTHER));
    settleCloses();
    expect([up, onItsWay, gone, elsewhere].map(({ events }) => events)).toEqual([
      on ? ['ready', 'close:local'] : ['ready'],
      on ? ['local-connection-failure'] : [],
      ['ready', 'close:remote'],
      ['ready'],
    ]);
    expect(here.counts()).toMatchObject({ upstream_cx_active: on ? 1 : 3 });
    // Of a host without connections there is nothing to close.
    here.manager.updateHosts('web', hostList(ONE, OTHER));
    here.manager.updateHosts('web', hostList(failed(HealthFlag.failed_active_hc), OTHER));
    settleCloses();
    expect(elsewhere?.socket.open).toBe(true);
  });
});
