import {
  BlackHole,
  breakOff,
  eventually,
  Gate,
  gated,
  HttpUpstream,
  hang,
  inTurn,
  RawUpstream,
  refusedPort,
  reset,
  text,
} from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { cluster, prefixRoute } from './support/config.ts';
import { type TestProxy, withProxy } from './support/proxy.ts';

const RESET = 'upstream connect error or disconnect/reset before headers. reset reason: ';

/** Everything that the failure of one request leaves behind in the stats of cluster `upstream`. */
const clusterStats = (proxy: TestProxy) =>
  proxy.used(
    /^cluster\.upstream\.upstream_(cx_(connect|destroy|protocol)|rq_(\d|pending_failure|pending_overflow|rx|tx|timeout))/,
  );

describe('an upstream that cannot be reached', () => {
  it('refuses: 503, UF', async () => {
    await withProxy({ upstream: await refusedPort() }, async (proxy) => {
      const response = await proxy.get('/gone');
      expect(response.status).toBe(503);
      expect(response.body.toString()).toContain(`${RESET}remote connection failure`);
      expect(response.body.toString()).toMatch(/connection refused/i);
      const [line] = await proxy.log();
      expect(line).toMatchObject({ path: '/gone', status: 503, flags: 'UF', cluster: 'upstream' });
      expect(line.details).toMatch(/^upstream_reset_before_response_started\{remote_connection_failure\|/);
      expect(line.failure).toMatch(/connection_refused/i);
      expect(clusterStats(proxy)).toMatchObject({
        'cluster.upstream.upstream_cx_connect_fail': 1,
        'cluster.upstream.upstream_rq_pending_failure_eject': 1,
        'cluster.upstream.upstream_rq_503': 1,
        'cluster.upstream.upstream_rq_5xx': 1,
      });
    });
  });

  it('never answers the connect: 503, UF, after connect_timeout', async () => {
    await using hole = await BlackHole.start();
    await withProxy({ upstream: hole.port, upstreamFields: { connect_timeout: '0.05s' } }, async (proxy) => {
      const response = await proxy.get();
      expect(response.status).toBe(503);
      expect(response.body.toString()).toBe(`${RESET}connection timeout`);
      expect((await proxy.log())[0]).toMatchObject({
        flags: 'UF',
        details: 'upstream_reset_before_response_started{connection_timeout}',
      });
      expect(clusterStats(proxy)).toMatchObject({
        'cluster.upstream.upstream_cx_connect_timeout': 1,
        'cluster.upstream.upstream_cx_connect_fail': 1,
        'cluster.upstream.upstream_rq_pending_failure_eject': 1,
      });
    });
  });

  it('has no hosts: 503, UH', async () => {
    await withProxy({ upstream: [] }, async (proxy) => {
      const response = await proxy.get();
      expect([response.status, response.body.toString()]).toEqual([503, 'no healthy upstream']);
      expect((await proxy.log())[0]).toMatchObject({
        flags: 'UH',
        details: 'no_healthy_upstream{cluster:upstream|hosts:0|healthy:0}',
      });
      expect(proxy.stat('cluster.upstream.upstream_cx_none_healthy')).toBe(1);
    });
  });

  it('is not routed to, or does not exist: 404 NR, 503 NC', async () => {
    const virtualHosts = [
      {
        name: 'all',
        domains: ['*'],
        routes: [{ match: { prefix: '/header' }, route: { cluster_header: 'x-cluster' } }],
      },
    ];
    await withProxy({ virtualHosts }, async (proxy) => {
      expect((await proxy.get('/head')).status).toBe(404);
      expect((await proxy.get('/header', 'x-cluster: nowhere\r\n')).status).toBe(503);
      expect((await proxy.log(2)).map(({ flags, details }) => [flags, details])).toEqual([
        ['NR', 'route_not_found{virtual_host:all|nearest:routes[0]|failed:path}'],
        ['NC', 'cluster_not_found{cluster:nowhere}'],
      ]);
      expect(proxy.stat('http.test.no_route')).toBe(1);
      expect(proxy.stat('http.test.no_cluster')).toBe(1);
    });
  });

  it('is full: 503, UO, x-envoy-overloaded', async () => {
    const gate = new Gate();
    await using upstream = await HttpUpstream.start(gated(gate, text('slow')));
    const limits = { thresholds: [{ max_connections: 1, max_pending_requests: 1, max_requests: 1 }] };
    await withProxy({ upstream, upstreamFields: { circuit_breakers: limits } }, async (proxy) => {
      const first = proxy.get('/1');
      await gate.reached();
      const second = proxy.get('/2');
      await eventually(() => proxy.stat('cluster.upstream.upstream_rq_pending_active') === 1);
      const third = await proxy.get('/3');
      expect(third.status).toBe(503);
      expect(third.header('x-envoy-overloaded')).toBe('true');
      expect(third.body.toString()).toBe(`${RESET}overflow`);
      gate.open();
      expect((await first).body.toString()).toBe('slow');
      expect((await second).body.toString()).toBe('slow');
      const lines = await proxy.log(3);
      expect(lines[0]).toMatchObject({
        path: '/3',
        flags: 'UO',
        details: 'upstream_reset_before_response_started{overflow}',
      });
      expect(lines[0]?.failure).toMatch(
        /thresholds\[DEFAULT\]\.max_pending_requests.of.cluster.upstream.is.reached/,
      );
      expect(proxy.stat('cluster.upstream.upstream_rq_pending_overflow')).toBe(1);
    });
  });
});

describe('an upstream that dies', () => {
  it.each([
    ['with a RST', (upstream: HttpUpstream) => upstream.disconnect('reset')],
    ['with a FIN', (upstream: HttpUpstream) => upstream.disconnect('close')],
  ])('before its headers, %s: 503, UC', async (_, kill) => {
    await using upstream = await HttpUpstream.start(hang());
    await withProxy({ upstream }, async (proxy) => {
      const pending = proxy.get();
      await upstream.request();
      kill(upstream);
      const response = await pending;
      expect(response.status).toBe(503);
      expect(response.body.toString()).toBe(`${RESET}connection termination`);
      expect((await proxy.log())[0]).toMatchObject({ status: 503, flags: 'UC' });
      expect(clusterStats(proxy)).toMatchObject({
        'cluster.upstream.upstream_cx_destroy_remote': 1,
        'cluster.upstream.upstream_cx_destroy_remote_with_active_rq': 1,
        'cluster.upstream.upstream_rq_rx_reset': 1,
      });
    });
  });

  it('while it reads the request: 503, UC, and the rest of the upload does no harm', async () => {
    await using upstream = await HttpUpstream.start(reset());
    await withProxy({ upstream }, async (proxy) => {
      await using client = await proxy.connect();
      await client.write('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n', 'a'.repeat(1000));
      const response = await client.readResponse();
      expect(response.status).toBe(503);
      await client.write('b'.repeat(99_000));
      expect((await proxy.log())[0]).toMatchObject({ flags: 'UC' });
    });
  });

  it.each(['reset', 'close'] as const)('in the middle of a body with content-length (%s)', async (how) => {
    await using upstream = await HttpUpstream.start(breakOff('half', 100, how));
    await withProxy({ upstream }, async (proxy) => {
      await using client = await proxy.connect();
      await client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
      const bytes = await client.readUntilClose();
      expect(bytes).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
      expect(bytes).toMatch(/\r\n\r\n(half)?$/);
      const [line] = await proxy.log();
      expect(line).toMatchObject({ status: 200, flags: 'UC' });
      expect(line.details).toMatch(/^upstream_reset_after_response_started\{connection_termination/);
      expect(proxy.stat('http.test.downstream_rq_tx_reset')).toBe(1);
      expect(proxy.stat('cluster.upstream.upstream_rq_rx_reset')).toBe(1);
    });
  });

  it.each(['reset', 'close'] as const)('in the middle of a chunked body (%s)', async (how) => {
    await using upstream = await RawUpstream.start(async (connection) => {
      await connection.readUntil('\r\n\r\n');
      await connection.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n');
      // The bytes are on their way before the end: the client must see them.
      await connection.readSome();
      if (how === 'reset') connection.reset();
      else connection.end();
      await connection.closed;
    });
    await withProxy({ upstream }, async (proxy) => {
      await using client = await proxy.connect();
      await client.write('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\n');
      expect(await client.readUntil('half\r\n')).toContain('transfer-encoding: chunked');
      await client.write('more');
      const rest = await client.readUntilClose();
      // No last chunk: the client can tell that the body is incomplete.
      expect(rest).toBe('');
      expect((await proxy.log())[0]).toMatchObject({ status: 200, flags: 'UC' });
    });
  });

  it('in the middle of a body that ends with the connection: the client is not told that it was complete', async () => {
    await using upstream = await RawUpstream.start(async (connection) => {
      await connection.readUntil('\r\n\r\n');
      await connection.write('HTTP/1.1 200 OK\r\n\r\nhalf');
      await connection.readSome();
      connection.reset();
    });
    await withProxy({ upstream }, async (proxy) => {
      await using client = await proxy.connect();
      await client.write('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\n');
      await client.readUntil('half');
      await client.write('more');
      expect(await client.readUntilClose()).not.toContain('0\r\n\r\n');
      expect((await proxy.log())[0]).toMatchObject({ flags: 'UC' });
    });
  });

  it('between two requests on a kept connection: the next one gets a new connection', async () => {
    await using upstream = await HttpUpstream.start(text('hello'));
    await withProxy({ upstream }, async (proxy) => {
      await using client = await proxy.connect();
      for (let round = 1; round <= 5; round++) {
        await client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
        expect((await client.readResponse()).status).toBe(200);
        upstream.disconnect(round % 2 === 0 ? 'reset' : 'close');
        await eventually(() => proxy.stat('cluster.upstream.upstream_cx_active') === 0);
      }
      expect(upstream.connectionCount).toBe(5);
      expect((await proxy.log(5)).map(({ flags }) => flags)).toEqual(['-', '-', '-', '-', '-']);
    });
  });

  it('is one of two hosts: the other one goes on', async () => {
    await using upstream = await HttpUpstream.start(text('alive'));
    const dead = await refusedPort();
    await withProxy({ upstream: [upstream, dead] }, async (proxy) => {
      const statuses: number[] = [];
      for (let i = 0; i < 6; i++) statuses.push((await proxy.get()).status);
      expect(statuses.sort()).toEqual([200, 200, 200, 503, 503, 503]);
    });
  });
});

describe('an upstream that is late', () => {
  it('route timeout: 504, UT', async () => {
    await using upstream = await HttpUpstream.start(hang());
    const routes = [prefixRoute('/', 'upstream', { timeout: '0.03s' })];
    await withProxy({ upstream, routes }, async (proxy) => {
      const response = await proxy.get();
      expect([response.status, response.body.toString()]).toEqual([504, 'upstream request timeout']);
      expect((await proxy.log())[0]).toMatchObject({ flags: 'UT', details: 'response_timeout' });
      expect(clusterStats(proxy)).toMatchObject({
        'cluster.upstream.upstream_rq_timeout': 1,
        'cluster.upstream.upstream_rq_tx_reset': 1,
        'cluster.upstream.upstream_rq_504': 1,
      });
      // The stream that was given up must not be answered on: its connection is closed.
      await eventually(() => upstream.openConnections === 0);
    });
  });

  it('route timeout in the middle of the response: the stream is reset, UT', async () => {
    const gate = new Gate();
    await using upstream = await HttpUpstream.start(async ({ response }) => {
      response.writeHead(200, { 'content-length': '10' });
      response.write('half');
      await gate.pass();
    });
    const routes = [prefixRoute('/', 'upstream', { timeout: '0.05s' })];
    await withProxy({ upstream, routes }, async (proxy) => {
      await using client = await proxy.connect();
      await client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
      expect(await client.readUntilClose()).toMatch(/\r\n\r\nhalf$/);
      expect((await proxy.log())[0]).toMatchObject({ status: 200, flags: 'UT', sent: 4 });
      gate.open();
    });
  });

  it('stream_idle_timeout: 504 with the request complete, 408 without', async () => {
    await using upstream = await HttpUpstream.start(hang());
    await withProxy({ upstream, manager: { stream_idle_timeout: '0.05s' } }, async (proxy) => {
      expect((await proxy.get()).status).toBe(504);
      const incomplete = await proxy.send('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nab');
      expect([incomplete.status, incomplete.body.toString()]).toEqual([408, 'stream timeout']);
      for (const line of await proxy.log(2))
        expect(line).toMatchObject({ flags: 'SI', details: 'stream_idle_timeout' });
      expect(proxy.stat('http.test.downstream_rq_idle_timeout')).toBe(2);
    });
  });
});

describe('recovery', () => {
  it('a cluster that failed serves again as soon as its host does', async () => {
    await using upstream = await HttpUpstream.start(inTurn(reset(), reset(), text('back')));
    await withProxy({ upstream, clusters: [cluster('other', [upstream.port])] }, async (proxy) => {
      expect((await proxy.get()).status).toBe(503);
      expect((await proxy.get()).status).toBe(503);
      expect((await proxy.get()).body.toString()).toBe('back');
    });
  });
});
