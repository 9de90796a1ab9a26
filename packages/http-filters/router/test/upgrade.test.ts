import {
  eventually,
  type HttpBootstrapOptions,
  type JsonObject,
  type RawConnection,
  RawUpstream,
  requestText,
} from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { type Proxied, startRouter, summary } from './support.ts';

const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n';
const HANDSHAKE = requestText('GET', '/ws', ['connection: Upgrade', 'upgrade: websocket']);

function to(upstream: RawUpstream, action: JsonObject = {}, manager: JsonObject = {}): HttpBootstrapOptions {
  return {
    clusters: { c: upstream.port },
    routes: [{ match: { prefix: '/' }, route: { cluster: 'c', ...action } }],
    manager: { upgrade_configs: [{ upgrade_type: 'websocket' }, { upgrade_type: 'other' }], ...manager },
  };
}

/** An upstream that gets a handshake, answers it, and goes on as told. */
function answering(
  bytes: string,
  then: (connection: RawConnection) => Promise<void> = async () => {},
): Promise<RawUpstream> {
  return RawUpstream.start(async (connection) => {
    await connection.readUntil('\r\n\r\n');
    await connection.write(bytes);
    await then(connection);
  });
}

async function switched(proxied: Proxied, handshake = HANDSHAKE): Promise<RawConnection> {
  const client = await proxied.proxy.connect();
  await client.write(handshake);
  expect(await client.readUntil('\r\n\r\n')).toMatch(/^HTTP\/1\.1 101 /);
  return client;
}

describe('a WebSocket', () => {
  test('is asked for upstream as it was here, and carries bytes both ways', async () => {
    let head = '';
    await using upstream = await RawUpstream.start(async (connection) => {
      head = await connection.readUntil('\r\n\r\n');
      await connection.write(`${SWITCH}hello`);
      await connection.readUntil('ping');
      await connection.write('pong');
    });
    await using proxied = await startRouter(to(upstream));
    await using client = await switched(proxied);
    expect(await client.read(5)).toEqual(Buffer.from('hello'));
    await client.write('ping');
    expect(await client.read(4)).toEqual(Buffer.from('pong'));
    expect(head).toMatch(/\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n$/);
    expect(head).toContain('x-envoy-expected-rq-timeout-ms: 15000');
    client.end();
    await client.readUntilClose();
    const entry = await proxied.entry();
    expect(summary(entry)).toBe('101 DC downstream_remote_disconnect');
    expect([entry.info.bytesReceived, entry.info.bytesSent]).toEqual([4, 9]);
    await proxied.proxy.untilStat('cluster.c.upstream_cx_active', 0);
    expect(proxied.proxy.stat('cluster.c.upstream_rq_101')).toBe(1);
    expect(proxied.proxy.stat('cluster.c.upstream_rq_1xx')).toBe(1);
    expect(proxied.proxy.stat('http.ingress.downstream_cx_upgrades_total')).toBe(1);
    expect(proxied.proxy.stat('http.ingress.downstream_cx_upgrades_active')).toBe(0);
  });

  test.each([
    ['its end', (connection: RawConnection) => connection.end()],
    ['a reset', (connection: RawConnection) => connection.reset()],
  ])("the upstream's %s ends both sides", async (_, end) => {
    await using upstream = await answering(SWITCH, async (connection) => {
      await connection.readUntil('bye');
      end(connection);
    });
    await using proxied = await startRouter(to(upstream));
    await using client = await switched(proxied);
    await client.write('bye');
    await client.readUntilClose();
    expect(summary(await proxied.entry())).toBe(
      '101 UC upstream_reset_after_response_started{connection_termination}',
    );
    await proxied.proxy.untilStat('cluster.c.upstream_cx_active', 0);
  });

  test('what the client sent last arrives, though it ended at once', async () => {
    let last = '';
    await using upstream = await answering(SWITCH, async (connection) => {
      last = await connection.readUntilClose();
    });
    await using proxied = await startRouter(to(upstream));
    await using client = await switched(proxied);
    await client.write('last words');
    client.end();
    await eventually(() => last === 'last words');
  });

  test('back-pressure reaches the sender both ways', async () => {
    const size = 8 * 1024 * 1024;
    const big = Buffer.alloc(size, 'x');
    await using upstream = await answering(SWITCH, async (connection) => {
      connection.pause();
    });
    await using proxied = await startRouter(to(upstream));
    await using client = await switched(proxied);
    const backedUp = 'cluster.c.upstream_flow_control_backed_up_total';
    const sent = client.write(big);
    await eventually(() => proxied.proxy.stat(backedUp) > 0);
    const [connection] = upstream.connections as [RawConnection];
    connection.resume();
    expect((await connection.read(size)).equals(big)).toBe(true);
    await sent;

    client.pause();
    const answered = connection.write(big);
    await eventually(() => proxied.proxy.stat('cluster.c.upstream_flow_control_paused_reading_total') > 0);
    client.resume();
    expect((await client.read(size)).equals(big)).toBe(true);
    await answered;
  });

  test('the route timeout counts until the switch, and not after it', async () => {
    await using slow = await RawUpstream.start(async (connection) => {
      await connection.readUntilClose();
    });
    await using late = await startRouter(to(slow, { timeout: '3s' }));
    await using waiting = await late.proxy.connect();
    await waiting.write(HANDSHAKE);
    await late.proxy.untilStat('cluster.c.upstream_rq_active', 1);
    late.clock.advance(3000);
    expect((await waiting.readResponse()).status).toBe(504);
    expect(summary(await late.entry())).toBe('504 UT response_timeout');

    await using upstream = await answering(SWITCH, async (connection) => {
      await connection.readUntil('ping');
      await connection.write('pong');
    });
    await using proxied = await startRouter(to(upstream, { timeout: '3s' }));
    await using client = await switched(proxied);
    proxied.clock.advance(60_000);
    await client.write('ping');
    expect(await client.read(4)).toEqual(Buffer.from('pong'));
  });

  const refused: [name: string, bytes: string, status: number, body: string, log: string][] = [
    [
      '200',
      'HTTP/1.1 200 OK\r\ncontent-length: 4\r\nx-own: 1\r\n\r\nbody',
      200,
      '',
      '200 - websocket_handshake_unsuccessful',
    ],
    [
      '302 in chunks',
      'HTTP/1.1 302 Found\r\ntransfer-encoding: chunked\r\nx-own: 1\r\n\r\n4\r\nbody\r\n0\r\n\r\n',
      302,
      '',
      '302 - websocket_handshake_unsuccessful',
    ],
    [
      '403',
      'HTTP/1.1 403 Forbidden\r\ncontent-length: 4\r\nx-own: 1\r\n\r\nbody',
      403,
      'body',
      '403 - via_upstream',
    ],
    [
      '426 that still offers an upgrade',
      'HTTP/1.1 426 Upgrade Required\r\nconnection: upgrade\r\nupgrade: websocket\r\ncontent-length: 4\r\nx-own: 1\r\n\r\nbody',
      426,
      'body',
      '426 - via_upstream',
    ],
  ];
  test.each(refused)('refused with %s is a response, and the last', async (_, bytes, status, body, log) => {
    const evil = 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil';
    await using upstream = await answering(bytes + evil);
    await using proxied = await startRouter(to(upstream));
    await using client = await proxied.proxy.connect();
    await client.write(`${HANDSHAKE}GET /evil HTTP/1.1\r\nhost: a\r\n\r\n`);
    const response = await client.readResponse();
    expect([response.status, response.body.toString(), response.header('x-own')]).toEqual([
      status,
      body,
      '1',
    ]);
    expect([response.header('connection'), response.header('upgrade')]).toEqual(['close', undefined]);
    expect(await client.readUntilClose()).toBe('');
    expect(summary(await proxied.entry())).toBe(log);
    await proxied.proxy.untilStat('cluster.c.upstream_cx_active', 0);
    expect(upstream.connections).toHaveLength(1);
  });
});

describe('another upgrade', () => {
  const OTHER = requestText('GET', '/', ['connection: Upgrade', 'upgrade: other']);

  test('refused with 200 goes on as a response with its body', async () => {
    await using upstream = await answering('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody');
    await using proxied = await startRouter(to(upstream));
    await using client = await proxied.proxy.connect();
    await client.write(OTHER);
    const response = await client.readResponse();
    expect([response.status, response.body.toString(), response.header('connection')]).toEqual([
      200,
      'body',
      'close',
    ]);
    expect(summary(await proxied.entry())).toBe('200 - via_upstream');
  });

  test('waits without a route timeout', async () => {
    await using upstream = await RawUpstream.start(async (connection) => {
      await connection.readUntilClose();
    });
    await using proxied = await startRouter(to(upstream, { timeout: '1s' }));
    await using client = await proxied.proxy.connect();
    await client.write(OTHER);
    await proxied.proxy.untilStat('cluster.c.upstream_rq_active', 1);
    proxied.clock.advance(5000);
    expect(proxied.logged).toEqual([]);
    expect(proxied.proxy.stat('cluster.c.upstream_rq_timeout')).toBe(0);
  });
});

describe('POST that ends here (connect_config with allow_post)', () => {
  const TERMINATE = { upgrade_configs: [{ upgrade_type: 'CONNECT', connect_config: { allow_post: true } }] };

  test('sends its body as plain TCP, and answers 200 with what comes back', async () => {
    let got = '';
    await using upstream = await RawUpstream.start(async (connection) => {
      await connection.write('greeting ');
      got = await connection.readUntil('end of body');
      await connection.write('answer');
      connection.end();
    });
    await using proxied = await startRouter(to(upstream, TERMINATE));
    const response = await proxied.proxy.send('POST', '/', [], 'the end of body');
    expect(got).toBe('the end of body');
    expect([response.status, response.body.toString()]).toEqual([200, 'greeting answer']);
    const entry = await proxied.entry();
    expect(summary(entry)).toBe('200 - via_upstream');
    expect(entry.info.upstreamHost?.address.port).toBe(upstream.port);
    await proxied.proxy.untilStat('cluster.c.upstream_cx_active', 0);
    expect(proxied.proxy.stat('cluster.c.upstream_rq_200')).toBe(1);
  });

  test('passes the end of the body on', async () => {
    let all = '';
    await using upstream = await RawUpstream.start(async (connection) => {
      all = await connection.readUntilClose();
      await connection.write(`${all.length}`);
      connection.end();
    });
    await using proxied = await startRouter(to(upstream, TERMINATE));
    const response = await proxied.proxy.send('POST', '/', [], 'twelve bytes');
    expect(response.body.toString()).toBe('12');
  });

  test('stops its sender when the other side does not read', async () => {
    const size = 8 * 1024 * 1024;
    const big = Buffer.alloc(size, 'y');
    await using upstream = await RawUpstream.start(async (connection) => {
      expect((await connection.read(size)).equals(big)).toBe(true);
      await connection.write(big);
      connection.end();
    });
    await using proxied = await startRouter(to(upstream, TERMINATE));
    await using client = await proxied.proxy.connect();
    await client.write(`POST / HTTP/1.1\r\nhost: a\r\ncontent-length: ${size}\r\n\r\n`, big);
    const response = await client.readResponse();
    expect(response.body.equals(big)).toBe(true);
  });

  test.each([
    ['refused', '503 UF upstream_reset_before_response_started'],
    ['lost', '200 UC upstream_reset_after_response_started{connection_termination}'],
  ])('a connection that is %s', async (how, log) => {
    await using upstream = await RawUpstream.start(async (connection) => {
      await connection.readUntil('x');
      connection.reset();
    });
    if (how === 'refused') await upstream.stop();
    await using proxied = await startRouter(to(upstream, TERMINATE));
    await using client = await proxied.proxy.connect();
    await client.write(requestText('POST', '/', ['connection: close'], 'x'));
    await client.readUntilClose();
    expect(summary(await proxied.entry())).toContain(log);
  });

  test('other methods go the usual way', async () => {
    await using upstream = await answering('HTTP/1.1 204 No Content\r\n\r\n');
    await using proxied = await startRouter(to(upstream, TERMINATE));
    expect((await proxied.proxy.get('/')).status).toBe(204);
  });
});
