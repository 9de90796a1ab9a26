import { StructSchema } from '@dragoman/api';
import { defineHttpFilter, type HttpFilter } from '@dragoman/core';
import {
  type Answer,
  BlackHole,
  breakOff,
  type HttpBootstrapOptions,
  HttpUpstream,
  hang,
  type JsonObject,
  RawUpstream,
  refusedPort,
  requestText,
  reset,
  text,
} from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { type Proxied, startRouter, summary } from './support.ts';

const RESET = 'upstream connect error or disconnect/reset before headers. reset reason: ';

interface Outcome {
  readonly name: string;
  /** Opens what the proxy talks to. */
  readonly upstream?: () => Promise<AsyncDisposable & { readonly port: number }>;
  readonly config?: (port: number) => HttpBootstrapOptions;
  /** What happens once the request is on its way. */
  readonly meanwhile?: (proxied: Proxied, upstream: AsyncDisposable) => Promise<void> | void;
  readonly status: number;
  readonly body: string;
  readonly log: string;
  /** Stats and their values. */
  readonly stats: Readonly<Record<string, number>>;
  readonly header?: readonly [name: string, value: string | undefined];
  readonly host?: boolean;
  /** `%UPSTREAM_TRANSPORT_FAILURE_REASON%`. */
  readonly reason?: string;
}

const cluster = (port: number, more: object = {}): HttpBootstrapOptions => ({
  clusters: {
    c: {
      load_assignment: {
        cluster_name: 'c',
        endpoints: [
          {
            lb_endpoints: [
              { endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } } },
            ],
          },
        ],
      },
      ...more,
    },
  },
});
/** @param numerator of a million requests so many are dropped */
const dropping = (port: number, numerator: number): HttpBootstrapOptions => {
  const { clusters } = cluster(port);
  const drop_percentage = { numerator, denominator: 'MILLION' };
  const policy = { drop_overloads: [{ category: 'lb', drop_percentage }] };
  const c = clusters?.c as { load_assignment: object };
  return { clusters: { c: { ...c, load_assignment: { ...c.load_assignment, policy } } } };
};
const raw =
  (...answers: string[]) =>
  () =>
    RawUpstream.start(async (connection) => {
      await connection.readUntil('\r\n\r\n');
      for (const answer of answers) await connection.write(answer);
      connection.end();
      await connection.closed;
    });
const reached = async (_: Proxied, upstream: AsyncDisposable) =>
  void (await (upstream as HttpUpstream).request());

const OUTCOMES: readonly Outcome[] = [
  {
    name: 'no route',
    config: () => ({ routes: [] }),
    status: 404,
    body: '',
    log: '404 NR route_not_found{virtual_host:all|no_route}',
    stats: { 'http.ingress.no_route': 1, 'http.ingress.rq_total': 1 },
  },
  {
    name: 'no such cluster',
    config: () => ({ routes: [{ match: { prefix: '/' }, route: { cluster_header: 'x-cluster' } }] }),
    status: 503,
    body: '',
    log: '503 NC cluster_not_found{cluster:-}',
    stats: { 'http.ingress.no_cluster': 1 },
  },
  {
    name: 'no such cluster, answered with 404',
    config: () => ({
      routes: [
        {
          match: { prefix: '/' },
          route: { cluster_header: 'x-cluster', cluster_not_found_response_code: 'NOT_FOUND' },
        },
      ],
    }),
    status: 404,
    body: '',
    log: '404 NC cluster_not_found{cluster:-}',
    stats: { 'http.ingress.no_cluster': 1 },
  },
  {
    name: 'no healthy host',
    config: () => ({ clusters: { c: { load_assignment: { cluster_name: 'c' } } } }),
    status: 503,
    body: 'no healthy upstream',
    log: '503 UH no_healthy_upstream{cluster:c|hosts:0|healthy:0}',
    stats: {
      'cluster.c.upstream_rq_503': 1,
      'cluster.c.upstream_cx_none_healthy': 1,
      'cluster.c.external.upstream_rq_5xx': 1,
    },
  },
  {
    name: 'no room in the pool',
    config: (port) => cluster(port, { circuit_breakers: { thresholds: [{ max_requests: 0 }] } }),
    upstream: () => HttpUpstream.start(text('x')),
    status: 503,
    body: `${RESET}overflow`,
    log: '503 UO upstream_reset_before_response_started{overflow}',
    stats: { 'cluster.c.upstream_rq_pending_overflow': 1, 'cluster.c.upstream_rq_503': 1 },
    header: ['x-envoy-overloaded', 'true'],
    reason: 'circuit_breakers.thresholds[DEFAULT].max_requests of cluster c is reached: 0',
  },
  {
    name: 'maintenance mode',
    config: (port) => ({
      ...cluster(port),
      bootstrap: {
        layered_runtime: { layers: [{ name: 's', static_layer: { 'upstream.maintenance_mode.c': 100 } }] },
      },
    }),
    upstream: () => HttpUpstream.start(text('x')),
    status: 503,
    body: 'maintenance mode',
    log: '503 UO maintenance_mode',
    stats: { 'cluster.c.upstream_rq_maintenance_mode': 1, 'cluster.c.upstream_rq_503': 1 },
    header: ['x-envoy-overloaded', 'true'],
  },
  {
    name: 'requests dropped by the assignment of the endpoints',
    config: (port) => dropping(port, 999_999),
    upstream: () => HttpUpstream.start(text('x')),
    status: 503,
    body: 'drop overload',
    log: '503 DO drop_overload',
    stats: { 'cluster.c.upstream_rq_drop_overload': 1, 'cluster.c.upstream_rq_503': 1 },
    header: ['x-envoy-drop-overload', 'true'],
  },
  {
    name: 'all requests dropped by the assignment of the endpoints',
    config: (port) => dropping(port, 1_000_000),
    upstream: () => HttpUpstream.start(text('x')),
    status: 503,
    body: 'unconditional drop overload',
    log: '503 UDO unconditional_drop_overload',
    stats: { 'cluster.c.upstream_rq_drop_overload': 1, 'cluster.c.upstream_rq_503': 1 },
    header: ['x-envoy-unconditional-drop-overload', 'true'],
  },
  {
    name: 'none dropped, for the runtime allows it not',
    config: (port) => ({
      ...dropping(port, 1_000_000),
      bootstrap: {
        layered_runtime: {
          layers: [{ name: 's', static_layer: { 'load_balancing_policy.drop_overload_limit': 0 } }],
        },
      },
    }),
    upstream: () => HttpUpstream.start(text('x')),
    status: 200,
    body: 'x',
    log: '200 - via_upstream',
    stats: { 'cluster.c.upstream_rq_drop_overload': 0, 'cluster.c.upstream_rq_200': 1 },
    header: ['x-envoy-drop-overload', undefined],
    host: true,
  },
  {
    name: 'connection refused',
    upstream: async () => ({ port: await refusedPort(), [Symbol.asyncDispose]: async () => {} }),
    status: 503,
    body: `${RESET}remote connection failure, transport failure reason: delayed connect error: Connection refused`,
    log: '503 UF upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}',
    stats: {
      'cluster.c.upstream_cx_connect_fail': 1,
      'cluster.c.upstream_rq_pending_failure_eject': 1,
      'cluster.c.upstream_rq_5xx': 1,
    },
    host: true,
  },
  {
    name: 'connect timeout',
    upstream: () => BlackHole.start(),
    config: (port) => cluster(port, { connect_timeout: '2s' }),
    meanwhile: async ({ proxy, clock }) => {
      await proxy.untilStat('cluster.c.upstream_cx_total', 1);
      clock.advance(2000);
    },
    status: 503,
    body: `${RESET}connection timeout`,
    log: '503 UF upstream_reset_before_response_started{connection_timeout}',
    stats: { 'cluster.c.upstream_cx_connect_timeout': 1, 'cluster.c.upstream_cx_connect_fail': 1 },
    host: true,
  },
  {
    name: 'reset before the headers',
    upstream: () => HttpUpstream.start(reset()),
    status: 503,
    body: `${RESET}connection termination`,
    log: '503 UC upstream_reset_before_response_started{connection_termination}',
    stats: {
      'cluster.c.upstream_cx_destroy_remote_with_active_rq': 1,
      'cluster.c.upstream_rq_rx_reset': 1,
      'cluster.c.upstream_rq_503': 1,
    },
    host: true,
  },
  {
    name: 'an orderly end in the middle of the headers',
    upstream: raw('HTTP/1.1 200 OK\r\ncontent-le'),
    status: 503,
    body: `${RESET}connection termination`,
    log: '503 UC upstream_reset_before_response_started{connection_termination}',
    stats: { 'cluster.c.upstream_rq_503': 1 },
  },
  {
    name: 'an answer that is no HTTP',
    upstream: raw('SSH-2.0-OpenSSH\r\n'),
    status: 502,
    body: `${RESET}protocol error`,
    log: '502 UPE upstream_reset_before_response_started{protocol_error|http1.codec_error}',
    stats: { 'cluster.c.upstream_cx_protocol_error': 1, 'cluster.c.upstream_rq_502': 1 },
  },
  {
    name: 'two lengths in the answer',
    upstream: raw('HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n'),
    status: 502,
    body: `${RESET}protocol error`,
    log: '502 UPE upstream_reset_before_response_started{protocol_error|http1.codec_error}',
    stats: { 'cluster.c.upstream_cx_protocol_error': 1 },
  },
  {
    name: 'the route timeout',
    upstream: () => HttpUpstream.start(hang()),
    meanwhile: async (proxied, upstream) => {
      await reached(proxied, upstream);
      proxied.clock.advance(15_000);
    },
    status: 504,
    body: 'upstream request timeout',
    log: '504 UT response_timeout',
    stats: {
      'cluster.c.upstream_rq_timeout': 1,
      'cluster.c.upstream_rq_504': 1,
      'cluster.c.upstream_rq_tx_reset': 1,
    },
    host: true,
  },
  {
    name: 'the cluster’s max_stream_duration',
    config: (port) =>
      cluster(port, {
        typed_extension_protocol_options: {
          'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
            '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
            common_http_protocol_options: { max_stream_duration: '3s' },
            explicit_http_config: { http_protocol_options: {} },
          },
        },
      }),
    upstream: () => HttpUpstream.start(hang()),
    meanwhile: async (proxied, upstream) => {
      await reached(proxied, upstream);
      proxied.clock.advance(3000);
    },
    status: 504,
    body: 'upstream max stream duration reached',
    log: '504 UMSDR upstream_max_stream_duration_reached',
    stats: { 'cluster.c.upstream_rq_max_duration_reached': 1 },
  },
];

describe('what becomes of a request that fails upstream', () => {
  test.each(OUTCOMES)('$name: $log', async (outcome) => {
    await using upstream = await (outcome.upstream ?? (() => HttpUpstream.start()))();
    await using proxied = await startRouter((outcome.config ?? cluster)(upstream.port));
    await using client = await proxied.proxy.connect();
    await client.write(requestText('GET', '/'));
    await outcome.meanwhile?.(proxied, upstream);
    const response = await client.readResponse();
    const entry = await proxied.entry();
    expect(response.status).toBe(outcome.status);
    expect(response.body.toString()).toBe(outcome.body);
    expect(summary(entry)).toBe(outcome.log);
    if (outcome.header !== undefined) expect(response.header(outcome.header[0])).toBe(outcome.header[1]);
    for (const [name, value] of Object.entries(outcome.stats)) {
      expect([name, proxied.proxy.stat(name)]).toEqual([name, value]);
    }
    expect(proxied.proxy.stat(`http.ingress.downstream_rq_${Math.floor(outcome.status / 100)}xx`)).toBe(1);
    if (outcome.reason !== undefined) expect(entry.info.upstreamTransportFailureReason).toBe(outcome.reason);
    if (outcome.host === true) expect(entry.info.upstreamHost?.address.port).toBe(upstream.port);
    // The client's connection is fine: the failure was upstream's.
    expect(response.header('connection')).toBeUndefined();
  });
});

/** A filter that passes no response on before it has all of it. */
const collecting = defineHttpFilter({
  name: 'test.collect',
  config: StructSchema,
  create: () => (): HttpFilter => ({ onResponseHeaders: () => 'collect' }),
});
const COLLECTING: JsonObject[] = [
  {
    name: 'test.collect',
    typed_config: { '@type': 'type.googleapis.com/google.protobuf.Struct', value: {} },
  },
];

describe('failures after the response has begun', () => {
  test.each<[name: string, answer: Answer, happen: (proxied: Proxied) => void, log: string, body: string]>([
    [
      'the upstream breaks off',
      breakOff('half', 100),
      () => {},
      '503 UC upstream_reset_after_response_started{connection_termination}',
      `${RESET}connection termination`,
    ],
    [
      'the time is over',
      ({ response }) => void response.writeHead(200).write('half'),
      ({ clock }) => clock.advance(15_000),
      '504 UT response_timeout',
      'upstream request timeout',
    ],
  ])('%s while a filter holds all of it: an answer takes its place', async (_, answer, happen, log, body) => {
    await using upstream = await HttpUpstream.start(answer);
    await using proxied = await startRouter({ ...cluster(upstream.port), httpFilters: COLLECTING }, [
      collecting,
    ]);
    await using client = await proxied.proxy.connect();
    await client.write(requestText('GET', '/'));
    await proxied.proxy.untilStat('cluster.c.upstream_rq_200', 1);
    happen(proxied);
    const response = await client.readResponse();
    expect([summary(await proxied.entry()), response.body.toString()]).toEqual([log, body]);
    expect(response.header('connection')).toBeUndefined();
    await proxied.proxy.untilStat('cluster.c.upstream_rq_active', 0);
  });

  test('the upstream breaks off: the client sees it, UC', async () => {
    await using upstream = await HttpUpstream.start(breakOff('half', 100));
    await using proxied = await startRouter(cluster(upstream.port));
    const got = await proxied.proxy.exchange(requestText('GET', '/'));
    expect(got).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(got.endsWith('half')).toBe(true);
    expect(summary(await proxied.entry())).toBe(
      '200 UC upstream_reset_after_response_started{connection_termination}',
    );
    expect(proxied.proxy.stat('http.ingress.rq_reset_after_downstream_response_started')).toBe(0);
    expect(proxied.proxy.stat('cluster.c.upstream_rq_rx_reset')).toBe(1);
  });

  test('the route timeout cuts the response', async () => {
    await using upstream = await HttpUpstream.start(
      ({ response }) => void response.writeHead(200).write('some'),
    );
    await using proxied = await startRouter(cluster(upstream.port));
    await using client = await proxied.proxy.connect();
    await client.write(requestText('GET', '/'));
    await client.readUntil('some');
    proxied.clock.advance(15_000);
    await client.readUntilClose();
    expect(summary(await proxied.entry())).toBe('200 UT response_timeout');
    expect(proxied.proxy.stat('cluster.c.upstream_rq_timeout')).toBe(1);
    expect(proxied.proxy.stat('http.ingress.rq_reset_after_downstream_response_started')).toBe(0);
  });

  test('the client goes away: DC, and the upstream is told', async () => {
    await using upstream = await HttpUpstream.start(hang());
    await using proxied = await startRouter(cluster(upstream.port));
    await using client = await proxied.proxy.connect();
    await client.write(requestText('GET', '/'));
    const request = await upstream.request();
    client.reset();
    expect(summary(await proxied.entry())).toBe('0 DC downstream_remote_disconnect');
    expect(await request.aborted).toBe(true);
    expect(proxied.proxy.stat('cluster.c.upstream_rq_tx_reset')).toBe(1);
    await proxied.proxy.untilStat('cluster.c.upstream_rq_active', 0);
    await proxied.proxy.untilStat('cluster.c.upstream_cx_active', 0);
  });

  test('the client goes away while the connection is being made: it is given up', async () => {
    await using hole = await BlackHole.start();
    await using proxied = await startRouter(cluster(hole.port));
    await using client = await proxied.proxy.connect();
    await client.write(requestText('GET', '/'));
    await proxied.proxy.untilStat('cluster.c.upstream_rq_pending_active', 1);
    client.reset();
    await proxied.proxy.untilStat('cluster.c.upstream_rq_pending_active', 0);
    expect(proxied.proxy.stat('cluster.c.upstream_rq_cancelled')).toBe(1);
    expect(summary(await proxied.entry())).toBe('0 DC downstream_remote_disconnect');
  });
});
