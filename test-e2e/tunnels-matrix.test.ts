import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import * as http2 from 'node:http2';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { eventually, TestAuthority, within } from '@dragoman/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { AnyUpstream, nameOf, openClient, type Pems, type Side, SIDES } from './support/any-protocol.ts';
import type { Message } from './support/config.ts';
import { TestProxy } from './support/proxy.ts';
import { downstreamTls, upstreamHttp, upstreamTls } from './support/secure.ts';

const authority = TestAuthority.root();
const leaf = authority.issue({ san: [{ dns: 'any.test' }] });
const pems: Pems = { ca: authority.pem, cert: leaf.pem, key: leaf.keyPem, name: 'any.test' };

const MANAGER: Message = {
  upgrade_configs: [{ upgrade_type: 'websocket' }, { upgrade_type: 'CONNECT' }],
  http2_protocol_options: { allow_connect: true },
};

function startProxy(down: Side, up: Side, port: number, more: Parameters<typeof TestProxy.start>[0] = {}) {
  return TestProxy.start({
    upstream: port,
    upstreamFields: {
      ...upstreamHttp(
        up.http === 2 ? { http2_protocol_options: { allow_connect: true } } : { http_protocol_options: {} },
      ),
      ...(up.tls ? upstreamTls(pems) : {}),
    },
    ...(down.tls ? { chain: downstreamTls(pems, ['h2', 'http/1.1']) } : {}),
    manager: MANAGER,
    ...more,
  });
}

/** The `ws` package on a tunnel that is there already. */
function webSocketOn(tunnel: Duplex, isServer: boolean): WebSocket {
  const socket = new WebSocket(null, undefined, { isServer } as never) as WebSocket & {
    setSocket(stream: Duplex, head: Buffer, options: object): void;
    _isServer: boolean;
  };
  socket._isServer = isServer;
  const stream = tunnel as Duplex & { setTimeout?: unknown; setNoDelay?: () => void };
  stream.setNoDelay ??= () => {};
  socket.setSocket(stream, Buffer.alloc(0), {
    allowSynchronousEvents: true,
    maxPayload: 1 << 26,
    skipUTF8Validation: false,
  });
  return socket;
}

/** Bytes on a stream of one TCP server after the other end has begun. */
class TcpEcho {
  readonly server: Server;
  private readonly sockets = new Set<Socket>();

  constructor() {
    this.server = createServer({ allowHalfOpen: true }, (socket) => {
      this.sockets.add(socket);
      socket.on('error', () => {});
      socket.once('close', () => this.sockets.delete(socket));
      socket.pipe(socket);
    });
  }

  async listen(): Promise<number> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    return (this.server.address() as AddressInfo).port;
  }

  get open(): number {
    return this.sockets.size;
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

const pairs = SIDES.flatMap((down) => SIDES.map((up) => ({ down, up })));

describe.each(pairs.map((pair) => [`${nameOf(pair.down)} → ${nameOf(pair.up)}`, pair] as const))(
  'WebSockets of the ws package: %s',
  (_, { down, up }) => {
    let upstream: AnyUpstream;
    let proxy: TestProxy;

    beforeAll(async () => {
      upstream = await AnyUpstream.start(up, pems, (tunnel) => {
        const socket = webSocketOn(tunnel, true);
        socket.on('message', (data: Buffer, binary: boolean) => {
          if (data.toString() === 'close yourself') socket.close(4001, 'as you wish');
          else socket.send(binary ? data : data.toString());
        });
        socket.on('error', () => {});
      });
      proxy = await startProxy(down, up, upstream.port);
    });

    afterAll(async () => {
      await proxy?.expectIdle();
      await proxy?.[Symbol.asyncDispose]();
      await upstream?.stop();
    });

    test('messages of all sizes come back, and the close with its code', async () => {
      await using client = openClient(down, proxy.port, pems);
      const socket = webSocketOn(await within(client.upgrade('/chat'), 'the upgrade'), false);
      for (const message of ['', 'short', randomBytes(70_000), randomBytes(1 << 20)]) {
        socket.send(message);
        const [data] = (await within(once(socket, 'message'), 'a message')) as [Buffer];
        expect(data.equals(Buffer.from(message))).toBe(true);
      }
      const closed = once(socket, 'close');
      socket.send('close yourself');
      const [code, reason] = (await within(closed, 'the close')) as [number, Buffer];
      expect([code, reason.toString()]).toEqual([4001, 'as you wish']);
    });

    test('bytes before the upgrade is accepted never reach the upstream', async () => {
      await using client = openClient(down, proxy.port, pems);
      const before = upstream.earlyBytes;
      await client.impatientUpgrade('/refuse', '\x81\x85 early');
      await client.send({ path: '/after' }).catch(() => undefined);
      expect(upstream.earlyBytes).toBe(before);
    });

    test('a client that goes away takes the tunnel with it', async () => {
      const client = openClient(down, proxy.port, pems);
      await within(client.upgrade('/chat'), 'the upgrade');
      await client[Symbol.asyncDispose]();
      client.abandon();
      await eventually(() => expect(proxy.stat('cluster.upstream.upstream_rq_active')).toBe(0));
    });
  },
);

describe.each(SIDES.map((down) => [nameOf(down), down] as const))('CONNECT over %s', (_, down) => {
  const echo = new TcpEcho();
  let port: number;

  beforeAll(async () => {
    port = await echo.listen();
  });
  afterAll(() => echo.stop());

  const terminate = [
    {
      match: { connect_matcher: {} },
      route: { cluster: 'upstream', upgrade_configs: [{ upgrade_type: 'CONNECT', connect_config: {} }] },
    },
  ];

  test('ends in a TCP connection', async () => {
    const proxy = await startProxy(down, { http: 1, tls: false }, port, { routes: terminate });
    const client = openClient(down, proxy.port, pems);
    const tunnel = await within(client.connect('anywhere.test:80'), 'the tunnel');
    const message = randomBytes(300_000);
    const received: Buffer[] = [];
    tunnel.on('data', (chunk: Buffer) => received.push(chunk));
    tunnel.write(message);
    await eventually(() => expect(Buffer.concat(received).length).toBe(message.length));
    expect(Buffer.concat(received).equals(message)).toBe(true);
    tunnel.destroy();
    await eventually(() => expect(echo.open).toBe(0));
    await client[Symbol.asyncDispose]();
    await proxy.expectIdle();
    await proxy[Symbol.asyncDispose]();
  });

  test.each([1, 2] as const)('is handed on to a proxy over HTTP/%i', async (version) => {
    const second = await startProxy({ http: version, tls: false }, { http: 1, tls: false }, port, {
      routes: terminate,
    });
    const first = await startProxy(down, { http: version, tls: false }, second.port, {
      routes: [{ match: { connect_matcher: {} }, route: { cluster: 'upstream' } }],
    });
    const client = openClient(down, first.port, pems);
    const tunnel = await within(client.connect('anywhere.test:80'), 'the tunnel');
    tunnel.write('through two');
    const [echoed] = (await within(once(tunnel, 'data'), 'the echo')) as [Buffer];
    expect(echoed.toString()).toBe('through two');
    tunnel.destroy();
    await eventually(() => expect(echo.open).toBe(0));
    await client[Symbol.asyncDispose]();
    for (const proxy of [first, second]) {
      await proxy.expectIdle();
      await proxy[Symbol.asyncDispose]();
    }
  });
});

test('extended CONNECT is not offered where allow_connect is not set', async () => {
  const echo = new TcpEcho();
  const proxy = await TestProxy.start({
    upstream: await echo.listen(),
    manager: { upgrade_configs: [{ upgrade_type: 'websocket' }] },
  });
  const session = http2.connect(`http://127.0.0.1:${proxy.port}`);
  await once(session, 'remoteSettings');
  expect(session.remoteSettings.enableConnectProtocol).toBe(false);
  session.destroy();
  await proxy[Symbol.asyncDispose]();
  await echo.stop();
});
