import { ExtensionRegistry, type Host } from '@dragoman/core';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { fakeTls, hostList, httpOptions, inOrder, TLS, type World, world } from './support/clusters.ts';
import { type FakeConnection, FakeRequest, settleCloses } from './support/fake-upstream.ts';

/** What may happen to a pool, in any order; numbers choose a connection or request. */
const step = fc.oneof(
  fc.record({ kind: fc.constant('send' as const), which: fc.nat(1) }),
  fc.record({
    kind: fc.constantFrom(
      'accept' as const,
      'done' as const,
      'close' as const,
      'garbage' as const,
      'lose' as const,
      'end' as const,
      'cancel' as const,
      'reset' as const,
      'goaway' as const,
      'refuse' as const,
      'settings' as const,
    ),
    which: fc.nat(9),
  }),
  fc.record({ kind: fc.constantFrom('hosts' as const, 'time' as const), which: fc.nat(3) }),
);

const LISTS = [
  hostList('10.0.0.1:80', '10.0.0.2:80'),
  hostList('10.0.0.1:80'),
  hostList('10.0.0.2:80', '10.0.0.3:80'),
  hostList(),
];

const registry = new ExtensionRegistry([inOrder, fakeTls]);

/** What the pools are of; the last one's peers choose by turns. */
const KINDS = {
  'HTTP/1.1': { explicit_http_config: { http_protocol_options: {} } },
  'HTTP/2': { explicit_http_config: { http2_protocol_options: {} } },
  ALPN: { auto_config: {} },
} as const;

class Play {
  readonly here: World;
  /** Of those which are accepted. */
  private readonly protocols = new Map<object, 'http1' | 'http2'>();
  private readonly kind: keyof typeof KINDS;
  private readonly requests: { request: FakeRequest; cancel: () => void }[] = [];

  constructor(kind: keyof typeof KINDS) {
    this.kind = kind;
    this.here = world(
      {
        circuit_breakers: { thresholds: [{ max_connections: 3, max_pending_requests: 4, max_requests: 3 }] },
        ...httpOptions({
          ...KINDS[kind],
          common_http_protocol_options: {
            idle_timeout: '3s',
            max_requests_per_connection: 3,
            max_connection_duration: '9s',
          },
        }),
        transport_socket: TLS,
        connect_timeout: '2s',
      },
      { hosts: LISTS[0], registry },
    );
  }

  perform(kind: string, which: number): void {
    const { here, requests } = this;
    const live = here.connector.connections.filter((connection) => connection.open);
    const connection = live[which % Math.max(1, live.length)];
    const chosen = requests[which % Math.max(1, requests.length)];
    switch (kind) {
      case 'send':
        this.send();
        break;
      case 'hosts':
        here.manager.updateHosts('web', LISTS[which]);
        break;
      case 'time':
        here.clock.advance(1000);
        break;
      case 'cancel':
        chosen?.cancel();
        break;
      case 'reset':
        if (chosen !== undefined && active(chosen.request)) chosen.request.encoder?.reset('local-reset');
        break;
      case 'lose':
        connection?.lose('lost');
        break;
      case 'accept':
        if (connection === undefined || this.protocols.has(connection)) break;
        this.accept(connection, which);
        break;
      default:
        if (connection !== undefined) this.receive(connection, kind, which);
    }
    settleCloses();
  }

  private accept(connection: FakeConnection, which: number): void {
    const http2 = this.kind === 'HTTP/2' || (this.kind === 'ALPN' && which % 2 === 0);
    this.protocols.set(connection, http2 ? 'http2' : 'http1');
    connection.accept(http2 ? 'h2' : '');
    // Mostly the peer's SETTINGS come at once.
    if (http2 && which > 2) connection.receive(`settings:${which - 2}`);
  }

  private receive(connection: FakeConnection, kind: string, which: number): void {
    const protocol = this.protocols.get(connection);
    if (protocol === undefined) return;
    const http2 = protocol === 'http2';
    if (kind === 'end') connection.end_();
    else if (kind === 'settings') {
      if (http2) connection.receive(`settings:${which}`);
    } else if (kind === 'goaway' || kind === 'refuse') {
      if (http2) connection.receive(kind);
    } else if (kind !== 'close' || !http2) connection.receive(kind);
  }

  /** Ends everything, from both sides. */
  finish(): void {
    this.here.manager.close();
    this.here.manager.updateHosts('web', hostList());
    settleCloses();
    for (const connection of this.here.connector.connections) connection.lose('over');
    settleCloses();
  }

  check(): void {
    const counts = this.here.counts();
    for (const name of ['upstream_cx_active', 'upstream_rq_active', 'upstream_rq_pending_active'])
      expect(counts[name] ?? 0, name).toBeGreaterThanOrEqual(0);
    const resources = this.here.cluster.info.resources('default');
    expect(counts['upstream_rq_active'] ?? 0).toBe(resources.requests.used);
    expect(counts['upstream_rq_pending_active'] ?? 0).toBe(resources.pendingRequests.used);
    expect(counts['upstream_cx_active'] ?? 0).toBe(resources.connections.used);
    // Each was told once what became of it, and those that got a stream may still hear of its end.
    expect(resources.requests.used).toBeLessThanOrEqual(3);
    expect(resources.pendingRequests.used).toBeLessThanOrEqual(4);
    for (const { request } of this.requests) {
      expect(
        request.events.filter((event) => event === 'ready' || event.startsWith('failed')).length,
      ).toBeLessThan(2);
    }
  }

  private send(): void {
    const { cluster } = this.here;
    const host: Host | undefined = cluster.chooseHost(undefined);
    if (host === undefined) return;
    const request = new FakeRequest();
    const waiting = cluster.httpPool(host, 'default').newStream(request, request);
    this.requests.push({ request, cancel: () => waiting?.cancel() });
  }
}

function active(request: FakeRequest): boolean {
  return request.events.length === 1 && request.events[0] === 'ready';
}

it.each(['HTTP/1.1', 'HTTP/2', 'ALPN'] as const)(
  '%s: whatever happens, budgets and gauges agree, and nothing is left at the end',
  (protocol) => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const play = new Play(protocol);
        for (const { kind, which } of steps) {
          play.perform(kind, which);
          play.check();
        }
        play.finish();
        const resources = play.here.cluster.info.resources('default');
        expect([
          resources.connections.used,
          resources.pendingRequests.used,
          resources.requests.used,
          resources.connectionPools.used,
          play.here.clock.pendingTimers,
        ]).toEqual([0, 0, 0, 0, 0]);
      }),
      { numRuns: 300 },
    );
  },
);
