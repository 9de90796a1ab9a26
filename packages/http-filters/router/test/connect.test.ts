import { eventually, type HttpBootstrapOptions, type JsonObject, RawUpstream } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { startRouter, summary } from './support.ts';

describe('CONNECT', () => {
  const CONNECT = 'CONNECT db.test:5432 HTTP/1.1\r\nhost: db.test:5432\r\n\r\n';
  const routes = (action: JsonObject = {}): HttpBootstrapOptions['routes'] => [
    { match: { connect_matcher: {} }, route: { cluster: 'c', ...action } },
    { match: { prefix: '/' }, direct_response: { status: 200 } },
  ];
  const connectTo = (port: number, action?: JsonObject, manager?: JsonObject): HttpBootstrapOptions => ({
    clusters: { c: port },
    routes: routes(action),
    manager: { upgrade_configs: [{ upgrade_type: 'CONNECT' }], ...manager },
  });
  const TERMINATE = { upgrade_configs: [{ upgrade_type: 'connect', connect_config: {} }] };

  test('goes upstream as CONNECT, and carries bytes after 200', async () => {
    let head = '';
    await using upstream = await RawUpstream.start(async (connection) => {
      head = await connection.readUntil('\r\n\r\n');
      await connection.write('HTTP/1.1 200 Connection established\r\ncontent-length: 5\r\n\r\nhello');
      await connection.readUntil('ping');
      await connection.write('pong');
      connection.end();
    });
    await using proxied = await startRouter(connectTo(upstream.port, { timeout: '1s' }));
    await using client = await proxied.proxy.connect();
    await client.write(`${CONNECT}pi`);
    const answer = await client.readUntil('\r\n\r\n');
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(answer).not.toMatch(/content-length|transfer-encoding|connection:/);
    expect((await client.read(5)).toString()).toBe('hello');
    proxied.clock.advance(5000);
    await client.write('ng');
    expect((await client.read(4)).toString()).toBe('pong');
    await client.readUntilClose();
    expect(head).toMatch(/^CONNECT db\.test:5432 HTTP\/1\.1\r\nhost: db\.test:5432\r\n/);
    expect(summary(await proxied.entry())).toBe(
      '200 UC upstream_reset_after_response_started{connection_termination}',
    );
  });

  test.each([
    ['403', 'HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno', 403, 'no'],
    ['302', 'HTTP/1.1 302 Found\r\ncontent-length: 2\r\n\r\nno', 302, 'no'],
  ])(
    'refused upstream with %s forwards nothing that the client sent ahead',
    async (_, bytes, status, body) => {
      let got = '';
      await using upstream = await RawUpstream.start(async (connection) => {
        await connection.readUntil('\r\n\r\n');
        await connection.write(bytes);
        got = await connection.readUntilClose();
      });
      await using proxied = await startRouter(connectTo(upstream.port));
      await using client = await proxied.proxy.connect();
      await client.write(`${CONNECT}GET /evil HTTP/1.1\r\nhost: a\r\n\r\n`);
      const response = await client.readResponse();
      expect([response.status, response.body.toString(), response.header('connection')]).toEqual([
        status,
        body,
        'close',
      ]);
      expect(await client.readUntilClose()).toBe('');
      await proxied.proxy.untilStat('cluster.c.upstream_cx_active', 0);
      expect(got).toBe('');
    },
  );

  test('ends here with connect_config: plain TCP to the host, 200 when it is there', async () => {
    let got = '';
    await using upstream = await RawUpstream.start(async (connection) => {
      await connection.write('server first ');
      got = await connection.readUntil('client data');
      await connection.write('bye');
      connection.end();
    });
    await using proxied = await startRouter(connectTo(upstream.port, TERMINATE));
    await using client = await proxied.proxy.connect();
    await client.write(`${CONNECT}client `);
    const answer = await client.readUntil('\r\n\r\n');
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(answer).not.toMatch(/content-length|transfer-encoding/);
    await client.write('data');
    expect(await client.readUntilClose()).toBe('server first bye');
    expect(got).toBe('client data');
    const entry = await proxied.entry();
    expect(summary(entry)).toBe('200 - via_upstream');
    expect([entry.info.bytesReceived, entry.info.bytesSent]).toEqual([11, 16]);
    expect(entry.info.upstreamHost?.address.port).toBe(upstream.port);
    await proxied.proxy.untilStat('cluster.c.upstream_cx_active', 0);
    expect(proxied.proxy.stat('cluster.c.upstream_rq_200')).toBe(1);
    expect(proxied.proxy.stat('http.ingress.downstream_cx_upgrades_total')).toBe(1);
  });

  test('that ends here gives the last of a client on, though it ended at once', async () => {
    let last = '';
    await using upstream = await RawUpstream.start(async (connection) => {
      last = await connection.readUntilClose();
    });
    await using proxied = await startRouter(connectTo(upstream.port, TERMINATE));
    await using client = await proxied.proxy.connect();
    await client.write(`${CONNECT}last words`);
    client.end();
    await eventually(() => last === 'last words');
    expect(summary(await proxied.entry())).toBe('200 DC downstream_remote_disconnect');
  });

  test('that ends here is answered 503 where nobody listens', async () => {
    const gone = await RawUpstream.start(() => {});
    await gone.stop();
    await using proxied = await startRouter(connectTo(gone.port, TERMINATE));
    await using client = await proxied.proxy.connect();
    await client.write(`${CONNECT}early`);
    expect((await client.readResponse()).status).toBe(503);
    expect(await client.readUntilClose()).toBe('');
    expect(summary(await proxied.entry())).toContain('503 UF');
  });

  test.each<[name: string, manager: JsonObject, action: JsonObject, status: number, log: string]>([
    ['nobody lets it through', { upgrade_configs: [] }, {}, 403, '403 - upgrade_failed'],
    [
      'only WebSockets are let through',
      { upgrade_configs: [{ upgrade_type: 'websocket' }] },
      {},
      403,
      '403 - upgrade_failed',
    ],
    [
      'the route turns it off',
      {},
      { upgrade_configs: [{ upgrade_type: 'CONNECT', enabled: false }] },
      403,
      '403 - upgrade_failed',
    ],
  ])('is refused when %s', async (_, manager, action, status, log) => {
    await using upstream = await RawUpstream.start(() => {});
    await using proxied = await startRouter(connectTo(upstream.port, action, manager));
    await using client = await proxied.proxy.connect();
    await client.write(`${CONNECT}GET / HTTP/1.1\r\nhost: a\r\n\r\n`);
    expect((await client.readResponse()).status).toBe(status);
    expect(await client.readUntilClose()).toBe('');
    expect(summary(await proxied.entry())).toBe(log);
    expect(proxied.proxy.stat('http.ingress.downstream_rq_ws_on_non_ws_route')).toBe(1);
    expect(upstream.connections).toHaveLength(0);
  });

  test('is let through by its route alone; other requests go by theirs', async () => {
    await using upstream = await RawUpstream.start((connection) => connection.write('tcp'));
    await using proxied = await startRouter(connectTo(upstream.port, TERMINATE, { upgrade_configs: [] }));
    await using client = await proxied.proxy.connect();
    await client.write(CONNECT);
    await client.readUntil('\r\n\r\ntcp');
    expect((await proxied.proxy.get('/')).status).toBe(200);
  });

  test('without a route for it gets 404', async () => {
    await using proxied = await startRouter({
      clusters: {},
      routes: [{ match: { prefix: '/' }, direct_response: { status: 200 } }],
      manager: { upgrade_configs: [{ upgrade_type: 'CONNECT' }] },
    });
    await using client = await proxied.proxy.connect();
    await client.write(CONNECT);
    expect((await client.readResponse()).status).toBe(404);
    expect(summary(await proxied.entry())).toBe('404 NR route_not_found{virtual_host:all|no_route}');
  });
});
