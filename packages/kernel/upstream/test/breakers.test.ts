import {
  type Host,
  type Logger,
  type RoutingPriority,
  type Runtime,
  silentLogger,
  type TcpPoolCallbacks,
} from '@dragoman/core';
import { describe, expect, it } from 'vitest';
import { hostList, httpOptions, type World, world } from './support/clusters.ts';
import { changingRuntime } from './support/changing-runtime.ts';
import { FakeRequest, settleCloses } from './support/fake-upstream.ts';

const [ONE, OTHER] = ['10.0.0.1:80', '10.0.0.2:80'];
const breakers = (...thresholds: object[]) => ({ circuit_breakers: { thresholds } });
const perHost = (...limits: object[]) => ({ circuit_breakers: { per_host_thresholds: limits } });
const HTTP2 = httpOptions({
  explicit_http_config: { http2_protocol_options: { max_concurrent_streams: 1 } },
});

function hostOf(from: World, address = ONE): Host {
  const found = from.cluster.hostSets[0]?.hosts.find((host) => host.address.text === address);
  if (found === undefined) throw new Error(`no host ${address}`);
  return found;
}

function send(from: World, address = ONE, priority: RoutingPriority = 'default'): FakeRequest {
  const request = new FakeRequest();
  from.cluster.httpPool(hostOf(from, address), priority).newStream(request, request);
  return request;
}

/** Opens a TCP connection. @returns what its caller is told */
function openTcp(from: World, priority: RoutingPriority = 'default'): string[] {
  const events: string[] = [];
  const callbacks: TcpPoolCallbacks = {
    onPoolReady: () => events.push('ready'),
    onPoolFailure: (reason, details) => events.push(`${reason}: ${details}`),
  };
  from.cluster.newTcpConnection(hostOf(from), priority, callbacks);
  return events;
}

const addresses = (here: World) => here.connector.connections.map(({ options }) => options.address.text);

describe('per_host_thresholds', () => {
  it.each([
    ['HTTP/1', {}, ''],
    ['HTTP/2', HTTP2, 'settings:1'],
  ])('hold connections to one host, of %s', (_name, protocol, hello) => {
    const here = world({ ...perHost({ max_connections: 2 }), ...protocol }, { hosts: hostList(ONE, OTHER) });
    const requests = [send(here), send(here), send(here), send(here, OTHER)];
    expect(addresses(here)).toEqual([ONE, ONE, OTHER]);
    expect(here.counts()).toMatchObject({ upstream_cx_overflow: 1, upstream_rq_pending_active: 4 });
    for (const connection of here.connector.connections) {
      connection.accept();
      if (hello !== '') connection.receive(hello);
    }
    // The third waits until one of the two is free.
    expect(requests.map(({ events }) => events.length)).toEqual([1, 1, 0, 1]);
    here.connector.connections[0]?.receive('done');
    expect(requests[2]?.events).toEqual(['ready']);
    expect(addresses(here).length).toBe(3);
    // The budget of the cluster is another matter.
    expect(here.stats.value('cluster.web.circuit_breakers.default.cx_open')).toBe(0);
  });

  it('let another be opened when one has gone', () => {
    const here = world(perHost({ max_connections: 1 }));
    send(here);
    const second = send(here);
    here.connector.last.accept();
    expect(here.connector.connections.length).toBe(1);
    here.connector.last.lose('reset');
    expect(here.connector.connections.length).toBe(2);
    here.connector.last.accept();
    expect(second.events).toEqual(['ready']);
  });

  it('count the connections of all priorities, and limit that of their entry', () => {
    const here = world(perHost({ priority: 'HIGH', max_connections: 2 }));
    send(here);
    send(here);
    // A pool without connections may always open one.
    send(here, ONE, 'high');
    send(here, ONE, 'high');
    send(here);
    expect(here.connector.connections.length).toBe(4);
    expect(here.counts()).toMatchObject({ upstream_cx_overflow: 2 });
  });

  it('hold what would be opened ahead', () => {
    const here = world({
      ...perHost({ max_connections: 2 }),
      preconnect_policy: { per_upstream_preconnect_ratio: 3 },
    });
    send(here);
    expect(here.connector.connections.length).toBe(2);
  });

  it('refuse TCP connections', () => {
    const here = world(perHost({ max_connections: 1 }));
    expect(openTcp(here)).toEqual([]);
    expect(openTcp(here)).toEqual([
      'overflow: circuit_breakers.per_host_thresholds[DEFAULT].max_connections of cluster web is reached: 1',
    ]);
    expect(openTcp(here, 'high')).toEqual([]);
    here.connector.connections[0]?.lose('refused');
    expect(openTcp(here)).toEqual([
      'overflow: circuit_breakers.per_host_thresholds[DEFAULT].max_connections of cluster web is reached: 1',
    ]);
    here.connector.connections[1]?.lose('refused');
    expect(openTcp(here)).toEqual([]);
    expect(here.counts()).toMatchObject({ upstream_cx_overflow: 2 });
  });
});

describe('what is told of an overflow', () => {
  const debug = (lines: string[]): Logger => ({
    ...silentLogger,
    enabled: (level) => level === 'debug',
    debug: (line) => lines.push(line),
  });

  it.each<[limits: object, priority: RoutingPriority, requests: number, place: string, use: string]>([
    [
      { max_pending_requests: 1 },
      'default',
      2,
      '[DEFAULT].max_pending_requests',
      'upstream_rq_pending_active',
    ],
    [
      { priority: 'HIGH', max_pending_requests: 1 },
      'high',
      2,
      '[HIGH].max_pending_requests',
      'upstream_rq_pending_active',
    ],
    [{ max_requests: 1 }, 'default', 2, '[DEFAULT].max_requests', 'upstream_rq_active'],
  ])('%j', (limits, priority, requests, place, use) => {
    const lines: string[] = [];
    const here = world(breakers(limits), { logger: debug(lines) });
    let last = new FakeRequest();
    for (let i = 0; i < requests; i++) last = send(here, ONE, priority);
    for (const connection of here.connector.connections) connection.accept();
    const text = `circuit_breakers.thresholds${place} of cluster web is reached: 1`;
    expect([last.failure, last.details, last.failedHost]).toEqual(['overflow', text, undefined]);
    expect(lines).toEqual([
      `refused a request (503, UO): ${text}; raise it there, or see what holds them (${use})`,
    ]);
  });

  it('names max_connection_pools', () => {
    const lines: string[] = [];
    const here = world(breakers({ max_connection_pools: 1 }), {
      hosts: hostList(ONE, OTHER),
      logger: debug(lines),
    });
    send(here);
    const text = 'circuit_breakers.thresholds[DEFAULT].max_connection_pools of cluster web is reached: 1';
    expect(send(here, OTHER).details).toBe(text);
    expect(lines[0]).toContain(text);
  });

  it.each<[config: object, place: string]>([
    [breakers({ max_connections: 1 }), 'thresholds[DEFAULT].max_connections'],
    [perHost({ max_connections: 1 }), 'per_host_thresholds[DEFAULT].max_connections'],
  ])('%j: why requests wait', (config, place) => {
    const lines: string[] = [];
    const here = world(config, { logger: debug(lines) });
    send(here);
    expect(lines).toEqual([]);
    expect(send(here).events).toEqual([]);
    expect(lines.length).toBe(1);
    expect(lines[0]).toContain(
      `opened no further connection: circuit_breakers.${place} of cluster web is reached: 1;`,
    );
  });

  it('builds no line that nobody reads', () => {
    const here = world(breakers({ max_pending_requests: 0 }), {
      logger: {
        ...silentLogger,
        debug: () => {
          throw new Error('written');
        },
      },
    });
    expect(send(here).events).toEqual(['failed:overflow']);
  });
});

describe('the gauges, by traffic', () => {
  const PRIORITIES: readonly RoutingPriority[] = ['default', 'high'];
  const KINDS: readonly [
    field: string,
    open: string,
    remaining: string,
    fill: (here: World, priority: RoutingPriority) => void,
    empty: (here: World, priority: RoutingPriority) => void,
  ][] = [
    [
      'max_connections',
      'cx_open',
      'remaining_cx',
      (here, priority) => send(here, ONE, priority),
      (here) => here.connector.last.lose('gone'),
    ],
    [
      'max_pending_requests',
      'rq_pending_open',
      'remaining_pending',
      (here, priority) => send(here, ONE, priority),
      (here) => here.connector.last.accept(),
    ],
    [
      'max_requests',
      'rq_open',
      'remaining_rq',
      (here, priority) => {
        send(here, ONE, priority);
        here.connector.last.accept();
      },
      (here) => here.connector.last.receive('done'),
    ],
    [
      'max_retries',
      'rq_retry_open',
      'remaining_retries',
      (here, priority) => here.cluster.info.resources(priority).retries.take(),
      (here, priority) => here.cluster.info.resources(priority).retries.give(),
    ],
    [
      'max_connection_pools',
      'cx_pool_open',
      'remaining_cx_pools',
      (here, priority) => send(here, ONE, priority),
      (here) => {
        here.connector.last.lose('gone');
        here.manager.updateHosts('web', hostList());
        settleCloses();
      },
    ],
  ];
  const cases = PRIORITIES.flatMap((priority) => KINDS.map((kind) => [priority, ...kind] as const));
  it.each(cases)('%s: %s', (priority, field, open, remaining, fill, empty) => {
    const here = world(
      breakers(
        ...PRIORITIES.map((one) => ({ priority: one.toUpperCase(), track_remaining: true, [field]: 1 })),
      ),
    );
    const gauges = (of: RoutingPriority) =>
      [open, remaining].map((name) => here.stats.value(`cluster.web.circuit_breakers.${of}.${name}`));
    const other = priority === 'high' ? 'default' : 'high';
    expect(gauges(priority)).toEqual([0, 1]);
    fill(here, priority);
    expect([gauges(priority), gauges(other)]).toEqual([
      [1, 0],
      [0, 1],
    ]);
    empty(here, priority);
    expect(gauges(priority)).toEqual([0, 1]);
  });

  it('stay open while a pool without connections goes above max_connections', () => {
    const here = world(breakers({ max_connections: 1, track_remaining: true }), {
      hosts: hostList(ONE, OTHER),
    });
    const gauges = () =>
      ['cx_open', 'remaining_cx'].map((name) =>
        here.stats.value(`cluster.web.circuit_breakers.default.${name}`),
      );
    send(here);
    send(here, OTHER);
    expect(gauges()).toEqual([1, 0]);
    here.connector.connections[0]?.lose('gone');
    expect(gauges()).toEqual([1, 0]);
    here.connector.connections[1]?.lose('gone');
    expect(gauges()).toEqual([0, 1]);
  });
});

describe('runtime moves the thresholds while the proxy runs', () => {
  const KINDS = [
    ['connections', 'max_connections', 'remaining_cx', 'cx_open'],
    ['pendingRequests', 'max_pending_requests', 'remaining_pending', 'rq_pending_open'],
    ['requests', 'max_requests', 'remaining_rq', 'rq_open'],
    ['retries', 'max_retries', 'remaining_retries', 'rq_retry_open'],
    ['connectionPools', 'max_connection_pools', 'remaining_cx_pools', 'cx_pool_open'],
  ] as const;
  const cases = (['default', 'high'] as const).flatMap((priority) =>
    KINDS.map((kind) => [priority, ...kind] as const),
  );

  it.each(cases)('%s: %s by %s', (priority, kind, field, remaining, open) => {
    const runtime = changingRuntime();
    const entry = { priority: priority.toUpperCase(), track_remaining: true, [field]: 2 };
    const here = world(breakers(entry), { runtime });
    const budget = here.cluster.info.resources(priority)[kind];
    const gauges = () =>
      [open, remaining].map((name) => here.stats.value(`cluster.web.circuit_breakers.${priority}.${name}`));
    const key = `circuit_breakers.web.${priority}.${field}`;
    budget.take();
    budget.take();
    expect([budget.max, budget.canTake(), ...gauges()]).toEqual([2, false, 1, 0]);
    runtime.set(key, '5');
    expect([budget.max, budget.canTake()]).toEqual([5, true]);
    budget.take();
    expect(gauges()).toEqual([0, 2]);
    // Below what is in use: nothing more fits until enough was given back.
    runtime.set(key, '1');
    expect([budget.max, budget.canTake()]).toEqual([1, false]);
    budget.give();
    expect(gauges()).toEqual([1, 0]);
    budget.give();
    budget.give();
    expect([budget.canTake(), ...gauges()]).toEqual([true, 0, 1]);
    runtime.set(key, undefined);
    expect([budget.max, budget.canTake()]).toEqual([2, true]);
    // Nonsense is no limit.
    runtime.set(key, '-3');
    expect(budget.max).toBe(2);
  });

  it('has gauges that follow when the budget is asked', () => {
    const runtime = changingRuntime();
    const here = world(breakers({ track_remaining: true, max_requests: 1 }), { runtime });
    const gauges = () =>
      ['rq_open', 'remaining_rq'].map((name) =>
        here.stats.value(`cluster.web.circuit_breakers.default.${name}`),
      );
    send(here);
    here.connector.last.accept();
    expect(gauges()).toEqual([1, 0]);
    runtime.set('circuit_breakers.web.default.max_requests', '4');
    expect(here.cluster.info.resources('default').requests.canTake()).toBe(true);
    expect(gauges()).toEqual([0, 3]);
  });

  it('looks keys up once for each change', () => {
    const runtime = changingRuntime({ 'circuit_breakers.web.default.max_requests': '7' });
    let reads = 0;
    const counted =
      <Given extends unknown[], Result>(read: (...given: Given) => Result) =>
      (...given: Given): Result => {
        reads++;
        return read(...given);
      };
    const counting: Runtime = {
      ...runtime,
      get version() {
        return runtime.version;
      },
      get: counted(runtime.get),
      getInteger: counted(runtime.getInteger),
      getNumber: counted(runtime.getNumber),
    };
    const here = world({}, { runtime: counting });
    const { requests, retries } = here.cluster.info.resources('default');
    const ask = () => [requests.canTake(), requests.max, retries.canTake(), retries.max];
    ask();
    const before = reads;
    for (let i = 0; i < 100; i++) ask();
    expect(reads).toBe(before);
    runtime.set('circuit_breakers.web.default.max_requests', '8');
    expect(ask()).toEqual([true, 8, true, 3]);
    expect(reads).toBeGreaterThan(before);
  });

  it('tells of the limit in force, and of the key that set it', () => {
    const runtime = changingRuntime();
    const here = world(breakers({ max_pending_requests: 1 }), { runtime });
    const place = 'circuit_breakers.thresholds[DEFAULT].max_pending_requests of cluster web is reached:';
    const key = 'circuit_breakers.web.default.max_pending_requests';
    send(here);
    expect(send(here).details).toBe(`${place} 1`);
    runtime.set(key, '2');
    expect(send(here).details).toBeUndefined();
    expect(send(here).details).toBe(`${place} 2, set by the runtime key ${key}`);
    runtime.set(key, '0');
    expect(send(here).details).toBe(`${place} 0, set by the runtime key ${key}`);
    runtime.set(key, '1');
    expect(send(here).details).toBe(`${place} 1, set by the runtime key ${key}`);
    runtime.set(key, undefined);
    expect(send(here).details).toBe(`${place} 1`);
  });
});
