import type { Host, HostListUpdate, LoadBalancerContext, RoutingPriority } from '@dragoman/core';
import { ExtensionRegistry } from '@dragoman/core';
import { turnPicker } from '@dragoman/load-balancing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PredictiveConnect } from '../src/pool/connect-ahead.ts';
import {
  endpoint,
  fakeTls,
  hostList,
  httpOptions,
  inOrder,
  localityOf,
  TLS,
  type World,
  world,
} from './support/clusters.ts';
import { FakeRequest, settleCloses } from './support/fake-upstream.ts';

/** Hosts in turn, from the first, and it can be told whose turn it will be. */
const inTurn = { ...inOrder, create: () => ({ foreseeable: true, createPicker }) };

function createPicker(hosts: readonly Host[], previous: Parameters<typeof turnPicker>[3]) {
  return turnPicker(hosts, 0, undefined, previous);
}

const HOSTS = ['10.0.0.1:80', '10.0.0.2:80', '10.0.0.3:80', '10.0.0.4:80', '10.0.0.5:80'] as const;
const [A, B, C, D, E] = HOSTS;
const HTTP2 = (streams: number) =>
  httpOptions({ explicit_http_config: { http2_protocol_options: { max_concurrent_streams: streams } } });
const registry = new ExtensionRegistry([inTurn, fakeTls]);

function predicting(ratio: number, config: object = {}, hosts: HostListUpdate = hostList(...HOSTS)): World {
  return world({ preconnect_policy: { predictive_preconnect_ratio: ratio }, ...config }, { registry, hosts });
}

interface Sent extends FakeRequest {
  readonly to: string | undefined;
}

function send(
  from: World,
  priority: RoutingPriority = 'default',
  context: LoadBalancerContext | undefined = undefined,
): Sent {
  const request = new FakeRequest();
  const host = from.cluster.chooseHost(context) as Host;
  from.cluster.httpPool(host, priority).newStream(request, request);
  return Object.assign(request, { to: host.address.text });
}

/** Where connections went, in their order. */
const opened = (here: World) => here.connector.connections.map(({ options }) => options.address.text);

function acceptAll(here: World): void {
  for (const connection of here.connector.connections) if (!connection.accepted) connection.accept();
}

describe('the arithmetic', () => {
  // Envoy: (pending + active + 1) × ratio > capacity + active, in single precision.
  it.each<[ratio: number, pending: number, active: number, capacity: number, wanted: boolean]>([
    [1.1, 0, 0, 0, true],
    [1.1, 0, 0, 1, true],
    [1.1, 0, 0, 2, false],
    [2, 0, 0, 1, true],
    [2, 0, 0, 2, false],
    [2, 1, 3, 6, true],
    [2, 1, 3, 7, false],
    [3, 0, 0, 2, true],
    [1.1, 0, 99, 11, false],
  ])('ratio %d: %d waiting, %d under way, room for %d', (ratio, pending, active, capacity, wanted) => {
    const rule = new PredictiveConnect(ratio);
    Object.assign(rule, { pending, active, capacity });
    expect(rule.wanted).toBe(wanted);
    expect(rule.wantedBy(pending, active, capacity)).toBe(wanted);
  });
});

describe('HTTP/1', () => {
  it.each<[ratio: number, opened: string[]]>([
    [1, [A]],
    // As in Envoy, the stream that is about to come has no connection yet when the others are opened.
    [1.1, [B, C, A]],
    [2, [B, C, A]],
    [3, [B, C, D, A]],
  ])('a ratio of %d connects before the first stream to those that come next', (ratio, expected) => {
    const here = predicting(ratio);
    send(here);
    expect(opened(here)).toEqual(expected);
  });

  it('picks those that it has connected to, which serve at once', () => {
    const here = predicting(2);
    send(here);
    acceptAll(here);
    const next = [send(here), send(here)];
    expect(next.map(({ to, events }) => [to, ...events])).toEqual([
      [B, 'ready'],
      [C, 'ready'],
    ]);
    // Meanwhile those behind them have been connected to.
    expect(opened(here)).toEqual([B, C, A, D, E, A]);
    acceptAll(here);
    expect([send(here), send(here), send(here)].map(({ to }) => to)).toEqual([D, E, A]);
  });

  it('opens none while there are enough', () => {
    const here = predicting(2);
    send(here);
    acceptAll(here);
    here.connector.last.receive('done');
    for (let turn = 0; turn < 20; turn++) {
      const { to } = send(here);
      acceptAll(here);
      here.connector.connections.find(({ options }) => options.address.text === to)?.receive('done');
    }
    // One stream at a time wants two connections; but each turn comes to a host that needs its own.
    expect(new Set(opened(here))).toEqual(new Set(HOSTS));
    expect(here.connector.connections.length).toBe(5);
  });

  it('looks no further ahead than there are healthy hosts', () => {
    const here = predicting(3, {}, hostList(A, B));
    send(here);
    // The second pick ahead is the host of the stream that is about to come.
    expect(opened(here)).toEqual([B, A]);
    expect([send(here).to, send(here).to]).toEqual([B, A]);
  });

  it('opens in the pool of the stream’s priority', () => {
    const here = predicting(2, { circuit_breakers: { thresholds: [{ max_connections: 0 }] } });
    send(here, 'high');
    expect(opened(here)).toEqual([B, C, A]);
    expect(here.counts()['upstream_cx_overflow']).toBeUndefined();
  });

  it('goes never above max_connections, and counts the overflow', () => {
    const here = predicting(3, { circuit_breakers: { thresholds: [{ max_connections: 1 }] } });
    send(here);
    // The stream gets its connection all the same.
    expect(opened(here)).toEqual([B, A]);
    expect(here.counts()).toMatchObject({ upstream_cx_overflow: 2, upstream_cx_active: 2 });
  });

  it('stops where no further pool may be', () => {
    const here = predicting(3, { circuit_breakers: { thresholds: [{ max_connection_pools: 1 }] } });
    const request = send(here);
    acceptAll(here);
    expect([opened(here), request.events]).toEqual([[A], ['ready']]);
    expect(here.counts()).toMatchObject({ upstream_cx_pool_overflow: 1 });
  });

  it('spares hosts that are not healthy', () => {
    const ill = [A, B, C].map((address) => endpoint(address, { health: 'unhealthy' }));
    const here = predicting(3, {}, hostList(...ill, D));
    const sent = [send(here), send(here), send(here), send(here)];
    // In panic: everyone has a turn.
    expect(sent.map(({ to }) => to)).toEqual([A, B, C, D]);
    // D is connected to before its stream comes.
    expect(opened(here)).toEqual([A, B, D, C]);
  });

  it('opens none in place of those that fail until a stream comes', () => {
    const here = predicting(2);
    send(here);
    here.connector.connections[0]?.lose('refused');
    expect(opened(here)).toEqual([B, C, A]);
    send(here);
    expect(opened(here).slice(3)).toEqual([D, E, B]);
  });
});

it('connects in the way that the stream asks for', () => {
  const here = predicting(
    2,
    httpOptions({
      use_downstream_protocol_config: { http_protocol_options: {}, http2_protocol_options: {} },
    }),
  );
  const host = here.cluster.chooseHost(undefined) as Host;
  const request = new FakeRequest();
  here.cluster.httpPool(host, 'default', { downstreamProtocol: 'HTTP/2' }).newStream(request, request);
  expect(opened(here)).toEqual([B, A]);
  for (const { options } of here.connector.connections)
    expect(options.transport?.applicationProtocolsFallback).toEqual(['h2']);
});

it('takes it into account that an HTTP/2 connection carries several', () => {
  const here = predicting(2, HTTP2(100));
  send(here);
  expect(opened(here)).toEqual([B, A]);
  const few = predicting(2, HTTP2(1));
  send(few);
  expect(opened(few)).toEqual([B, C, A]);
});

describe('picks that were made ahead', () => {
  it('stay when the hosts change, but for those that are gone or ill', () => {
    const here = predicting(3);
    send(here);
    expect(opened(here)).toEqual([B, C, D, A]);
    here.manager.updateHosts('web', hostList(A, endpoint(B, { health: 'unhealthy' }), D, E));
    expect(send(here).to).toBe(D);
    const next = Array.from({ length: 6 }, () => send(here).to);
    expect(new Set(next)).toEqual(new Set([A, D, E]));
  });

  it('are made anew when priorities take other shares', () => {
    const both = (health: 'healthy' | 'unhealthy'): HostListUpdate => ({
      localities: [localityOf(0, endpoint(A, { health }), endpoint(B, { health })), localityOf(1, C, D, E)],
    });
    const here = predicting(3, {}, both('unhealthy'));
    send(here);
    expect(opened(here)).toEqual([D, E, C]);
    here.manager.updateHosts('web', both('healthy'));
    expect([send(here).to, send(here).to].sort()).toEqual([A, B]);
  });

  it('are not for one that spreads itself over the priorities in its own way', () => {
    const here = predicting(3, {}, { localities: [localityOf(0, A, B), localityOf(1, C, D)] });
    send(here);
    const context: LoadBalancerContext = {
      hash: undefined,
      requestHeaders: undefined,
      info: undefined,
      metadataMatch: undefined,
      priorityShares: () => ({ healthy: [0, 100], degraded: [0, 0] }),
    };
    expect(send(here, 'default', context).to).toBe(C);
    expect(send(here).to).toBe(B);
  });

  it('are passed over where a retry wants another host', () => {
    const here = predicting(3);
    send(here);
    const context: LoadBalancerContext = {
      hash: undefined,
      requestHeaders: undefined,
      info: undefined,
      metadataMatch: undefined,
      shouldSkip: ({ address }) => address.text === B,
    };
    expect(send(here, 'default', context).to).toBe(C);
  });
});

it('warns where the policy cannot tell whose turn it will be, and goes on without', () => {
  const here = world(
    { preconnect_policy: { predictive_preconnect_ratio: 2 } },
    { hosts: hostList(...HOSTS) },
  );
  expect(here.warnings).toEqual([
    expect.stringMatching(/^cluster web: preconnect_policy\.predictive_preconnect_ratio: has no effect/),
  ]);
  send(here);
  expect(opened(here)).toEqual([A]);
  expect(predicting(2).warnings).toEqual([]);
});

it('keeps the figures of the cluster', () => {
  const protocols = [
    {},
    HTTP2(1),
    HTTP2(3),
    { ...httpOptions({ auto_config: {} }), transport_socket: TLS },
    httpOptions({
      explicit_http_config: { http_protocol_options: {} },
      common_http_protocol_options: { max_requests_per_connection: 2 },
    }),
  ];
  const STEPS = [
    'send',
    'accept',
    'h1',
    'done',
    'settings:2',
    'lose',
    'goaway',
    'lessHosts',
    'allHosts',
    'time',
  ];
  interface Inner {
    readonly predictive: PredictiveConnect;
    readonly draining: ReadonlySet<Pool>;
  }
  interface Pool {
    readonly connectingCapacity: number;
    readonly readyCapacity: number;
    readonly pending: { readonly size: number };
    readonly ahead: { readonly active: number };
  }
  fc.assert(
    fc.property(
      fc.constantFrom(1.1, 2, 3),
      fc.constantFrom(...protocols),
      fc.array(fc.tuple(fc.constantFrom(...STEPS), fc.nat(9)), { maxLength: 60, size: 'max' }),
      (ratio, protocol, steps) => {
        const here = predicting(ratio, {
          ...protocol,
          circuit_breakers: { thresholds: [{ max_connections: 9 }] },
        });
        const { predictive, draining } = here.cluster as unknown as Inner;
        const known = new Set<Pool>();
        for (const [step, at] of steps) {
          const { connections } = here.connector;
          const connection = connections[at % Math.max(1, connections.length)];
          if (step === 'send') send(here, at > 6 ? 'high' : 'default');
          else if (step === 'lessHosts') here.manager.updateHosts('web', hostList(A, C));
          else if (step === 'allHosts') here.manager.updateHosts('web', hostList(...HOSTS));
          else if (step === 'time') here.clock.advance(at * 1000);
          else if (connection === undefined || !connection.open) continue;
          else if (step === 'lose') connection.lose('reset');
          else if (step === 'accept' || step === 'h1') {
            if (connection.accepted) continue;
            connection.accept(step === 'h1' ? 'http/1.1' : 'h2');
          } else if (connection.accepted) connection.receive(step);
          settleCloses();
          for (const { hosts } of here.cluster.hostSets)
            for (const host of hosts as readonly (Host & Record<string, unknown>)[])
              for (const pool of [host['defaultPool'], host['highPool']])
                if (pool !== undefined) known.add(pool as Pool);
          for (const pool of draining) known.add(pool);
          const sum = (of: (pool: Pool) => number) => [...known].reduce((all, pool) => all + of(pool), 0);
          expect(predictive.pending).toBe(sum(({ pending }) => pending.size));
          expect(predictive.active).toBe(here.counts()['upstream_rq_active'] ?? 0);
          expect(predictive.active).toBe(sum(({ ahead }) => ahead.active));
          expect(predictive.capacity).toBe(
            sum(({ connectingCapacity, readyCapacity }) => connectingCapacity + readyCapacity),
          );
        }
      },
    ),
    { numRuns: 300 },
  );
});
