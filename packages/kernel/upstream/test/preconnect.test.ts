import type { Host } from '@dragoman/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConnectAhead } from '../src/pool/connect-ahead.ts';
import {
  endpoint,
  fakeTls,
  hostList,
  httpOptions,
  inOrder,
  TLS,
  type World,
  world,
} from './support/clusters.ts';
import { FakeRequest, settleCloses } from './support/fake-upstream.ts';
import { ExtensionRegistry } from '@dragoman/core';

const ahead = (ratio: number) => ({ preconnect_policy: { per_upstream_preconnect_ratio: ratio } });
const HTTP2 = (streams: number) =>
  httpOptions({ explicit_http_config: { http2_protocol_options: { max_concurrent_streams: streams } } });

function send(from: World): FakeRequest {
  const request = new FakeRequest();
  from.cluster.httpPool(from.cluster.chooseHost(undefined) as Host, 'default').newStream(request, request);
  return request;
}

/** How many connections have been asked for after each of `requests` that come and wait. */
function opened(here: World, requests: number): number[] {
  return Array.from({ length: requests }, () => {
    send(here);
    return here.connector.connections.length;
  });
}

function acceptAll(here: World): void {
  for (const connection of here.connector.connections) connection.accept();
}

describe('the arithmetic', () => {
  // Envoy: (pending + active) × ratio > capacity + active, in single precision.
  it.each<[ratio: number, pending: number, active: number, capacity: number, wanted: boolean]>([
    [1.5, 1, 0, 0, true],
    [1.5, 1, 0, 1, true],
    [1.5, 1, 0, 2, false],
    [1.5, 0, 1, 0, true],
    [1.5, 0, 1, 1, false],
    [1.5, 0, 100, 49, true],
    [1.5, 0, 100, 50, false],
    [2, 0, 0, 0, false],
    [3, 1, 0, 2, true],
    [3, 1, 0, 3, false],
    [1.05, 0, 20, 1, false],
    // In double precision 110.00000000000001.
    [1.1, 0, 100, 10, false],
  ])('ratio %d: %d waiting, %d under way, room for %d', (ratio, pending, active, capacity, wanted) => {
    const rule = new ConnectAhead(ratio);
    rule.active = active;
    expect(rule.wants(pending, capacity)).toBe(wanted);
  });
});

describe('HTTP/1', () => {
  it.each<[ratio: number, opened: number[]]>([
    [1, [1, 2, 3, 4]],
    [1.05, [2, 3, 4, 5]],
    [1.5, [2, 3, 5, 6]],
    [2, [2, 4, 6, 8]],
    [3, [3, 6, 9, 12]],
  ])('a ratio of %d opens for requests that wait', (ratio, expected) => {
    expect(opened(world(ahead(ratio)), 4)).toEqual(expected);
  });

  it('opens none while the idle ones are enough, and keeps ahead of those in use', () => {
    const here = world(ahead(1.5));
    send(here);
    acceptAll(here);
    expect(here.connector.connections.length).toBe(2);
    // Two under way want three connections.
    send(here);
    expect(here.connector.connections.length).toBe(3);
    here.connector.connections[2]?.accept();
    for (const connection of here.connector.connections.slice(0, 2)) connection.receive('done');
    for (let turn = 0; turn < 20; turn++) {
      send(here);
      // The one that became idle last is used.
      here.connector.connections[1]?.receive('done');
    }
    expect(here.connector.connections.length).toBe(3);
    expect(here.counts()).toMatchObject({ upstream_rq_total: 22 });
    expect(here.counts()['upstream_rq_active']).toBeUndefined();
  });

  it('opens three at a time', () => {
    const unhealthy = hostList(endpoint('10.0.0.1:80', { health: 'unhealthy' }));
    const here = world(ahead(3), { hosts: unhealthy });
    // Spared while it is unhealthy: as many as wait.
    expect(opened(here, 4)).toEqual([1, 2, 3, 4]);
    here.manager.updateHosts('web', hostList('10.0.0.1:80'));
    // 15 are wanted now.
    expect(opened(here, 3)).toEqual([7, 10, 13]);
  });

  it('stops at max_connections, and counts the overflow', () => {
    const here = world({ ...ahead(3), circuit_breakers: { thresholds: [{ max_connections: 2 }] } });
    expect(opened(here, 2)).toEqual([2, 2]);
    expect(here.counts()).toMatchObject({ upstream_cx_overflow: 2, upstream_cx_active: 2 });
  });

  it('opens none in place of those that fail until a request comes', () => {
    const here = world(ahead(2));
    send(here);
    here.connector.connections[0]?.accept();
    here.connector.connections[1]?.lose('refused');
    expect(here.connector.connections.length).toBe(2);
    send(here);
    // Two under way or waiting want four: the busy one and three on their way.
    expect(here.connector.connections.length).toBe(5);
  });

  it('opens none in a pool that ends', () => {
    const here = world(ahead(3));
    const host = here.cluster.chooseHost(undefined) as Host;
    const pool = here.cluster.httpPool(host, 'default');
    here.manager.updateHosts('web', hostList());
    const late = new FakeRequest();
    pool.newStream(late, late);
    expect(here.connector.connections.length).toBe(1);
  });

  it('lets connections that nobody came for time out', () => {
    const here = world({
      ...ahead(2),
      ...httpOptions({
        explicit_http_config: { http_protocol_options: {} },
        common_http_protocol_options: { idle_timeout: '5s' },
      }),
    });
    send(here);
    acceptAll(here);
    here.clock.advance(5000);
    settleCloses();
    expect(here.counts()).toMatchObject({ upstream_cx_idle_timeout: 1, upstream_cx_active: 1 });
  });
});

describe('HTTP/2', () => {
  it.each<[ratio: number, streams: number, opened: number[]]>([
    // One connection carries this stream and the presumed next one.
    [2, 100, [1, 1, 1, 1]],
    [2, 2, [1, 2, 3, 4]],
    [1.5, 4, [1, 1, 2, 2]],
    [3, 1, [3, 6, 9, 12]],
  ])('a ratio of %d with %d streams a connection opens for streams that wait', (ratio, streams, expected) => {
    expect(opened(world({ ...ahead(ratio), ...HTTP2(streams) }), 4)).toEqual(expected);
  });

  it('counts what open connections could take', () => {
    const here = world({ ...ahead(1.5), ...HTTP2(4) });
    send(here);
    here.connector.last.accept();
    here.connector.last.receive('settings:4');
    // 2 × 1.5 = 3 ≤ 4; 3 × 1.5 = 4.5 > 4.
    expect(opened(here, 2)).toEqual([1, 2]);
    here.connector.last.accept();
    here.connector.last.receive('settings:4');
    expect(opened(here, 2)).toEqual([2, 2]);
    here.connector.connections[0]?.receive('done done done');
    expect(opened(here, 1)).toEqual([2]);
  });
});

it('connects ahead where ALPN chooses', () => {
  const here = world(
    { ...ahead(2), ...httpOptions({ auto_config: {} }), transport_socket: TLS },
    { registry: new ExtensionRegistry([inOrder, fakeTls]) },
  );
  send(here);
  expect(here.connector.connections.length).toBe(2);
  here.connector.connections[0]?.accept('h2');
  here.connector.connections[0]?.receive('settings:100');
  here.connector.connections[1]?.accept('http/1.1');
  expect(opened(here, 3)).toEqual([2, 2, 2]);
});

it('has given every stream back when all is over', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(1.05, 1.5, 2, 3),
      fc.constantFrom({}, HTTP2(1), HTTP2(3)),
      fc.array(fc.tuple(fc.constantFrom('send', 'accept', 'done', 'lose', 'garbage'), fc.nat(9)), {
        maxLength: 40,
      }),
      (ratio, protocol, steps) => {
        const here = world({
          ...ahead(ratio),
          ...protocol,
          circuit_breakers: { thresholds: [{ max_connections: 9 }] },
        });
        const host = here.cluster.chooseHost(undefined) as Host;
        const pool = here.cluster.httpPool(host, 'default') as unknown as { ahead: ConnectAhead };
        for (const [step, at] of steps) {
          const { connections } = here.connector;
          const connection = connections[at % Math.max(1, connections.length)];
          if (step === 'send') send(here);
          else if (connection === undefined || !connection.open) continue;
          else if (step === 'lose') connection.lose('reset');
          else if (step === 'accept') {
            if (connection.accepted) continue;
            connection.accept();
            if (protocol !== undefined && 'typed_extension_protocol_options' in protocol)
              connection.receive('settings:3');
          } else if (connection.accepted) connection.receive(step);
          settleCloses();
          expect(pool.ahead.active).toBe(here.counts()['upstream_rq_active'] ?? 0);
          expect(here.counts()['upstream_cx_active'] ?? 0).toBeLessThanOrEqual(9);
        }
      },
    ),
    { numRuns: 150 },
  );
});
