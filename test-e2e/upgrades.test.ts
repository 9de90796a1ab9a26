import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { eventually, refusedPort, within } from '@dragoman/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { address, bootstrap, cluster, httpListener, type LogLine, prefixRoute } from './support/config.ts';
import { Sidecar, skipUnbuilt, UNBUILT } from './support/sidecar.ts';
import { START_PATIENCE_MS, Supervised } from './support/supervised.ts';

const sha = (data: Buffer) => createHash('sha256').update(data).digest('hex');
const WEBSOCKET = { upgrade_configs: [{ upgrade_type: 'websocket' }] };

/** A WebSocket server that sends back what it gets, and refuses `/refused` with 401. */
class Echo implements AsyncDisposable {
  private readonly server: Server;
  private readonly sockets: WebSocketServer;

  private constructor(server: Server) {
    this.server = server;
    this.sockets = new WebSocketServer({
      server,
      maxPayload: 64 * 1024 * 1024,
      verifyClient: ({ req }, answer) =>
        req.url === '/refused' ? answer(false, 401, 'Unauthorized') : answer(true),
    });
    this.sockets.on('connection', (socket: WebSocket) => {
      socket.on('message', (data: Buffer, binary: boolean) => {
        if (data.toString() === 'close yourself') socket.close(4001, 'as you wish');
        else socket.send(binary ? data : data.toString());
      });
    });
  }

  static async start(): Promise<Echo> {
    const server = createServer((_request, response) => response.end('plain'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new Echo(server);
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get open(): number {
    return this.sockets.clients.size;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets.clients) socket.terminate();
    this.sockets.close();
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

/** A client whose messages can be waited for. */
class Client {
  readonly socket: WebSocket;
  readonly closed: Promise<[code: number, reason: string]>;
  private readonly received: Buffer[] = [];

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('message', (data: Buffer) => this.received.push(data));
    this.closed = new Promise((resolve) =>
      socket.once('close', (code: number, reason: Buffer) => resolve([code, reason.toString()])),
    );
  }

  static async open(port: number, path = '/', deflate = true): Promise<Client> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, { perMessageDeflate: deflate });
    const client = new Client(socket);
    await within(once(socket, 'open'), 'opening a WebSocket');
    return client;
  }

  /** What the server answers to a handshake that it refuses. */
  static async refusal(port: number, path: string): Promise<number> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`);
    socket.on('error', () => {});
    const [, response] = (await within(once(socket, 'unexpected-response'), 'a refusal')) as [
      unknown,
      { readonly statusCode: number; resume(): void },
    ];
    response.resume();
    socket.terminate();
    return response.statusCode;
  }

  async next(): Promise<Buffer> {
    await eventually(() => this.received.length > 0);
    return this.received.shift() as Buffer;
  }
}

const logged = (sidecar: Sidecar): LogLine[] => sidecar.lines('access.log').map((line) => JSON.parse(line));
const flushed = ['--file-flush-interval-msec', '5'];

describe.skipIf(skipUnbuilt)(`WebSockets through the dragoman command${UNBUILT}`, () => {
  let echo: Echo;
  let sidecar: Sidecar;
  let port = 0;

  beforeAll(async () => {
    echo = await Echo.start();
    const listener = httpListener({
      logPath: 'access.log',
      manager: WEBSOCKET,
      routes: [
        prefixRoute('/off', 'upstream', { upgrade_configs: [{ upgrade_type: 'websocket', enabled: false }] }),
        prefixRoute('/', 'upstream'),
      ],
    });
    sidecar = await Sidecar.serve(bootstrap([listener], [cluster('upstream', [echo.port])]), flushed);
    port = await sidecar.port();
  });

  afterAll(async () => {
    await sidecar?.[Symbol.asyncDispose]();
    await echo?.[Symbol.asyncDispose]();
  });

  it.each([
    ['compressed', true],
    ['as they are', false],
  ])('messages come back %s, small and large', async (_, deflate) => {
    const client = await Client.open(port, '/', deflate);
    const large = randomBytes(4 * 1024 * 1024);
    for (const message of ['hello', '', Buffer.from([0, 1, 2]), large]) {
      client.socket.send(message);
      expect(sha(await client.next())).toBe(sha(Buffer.from(message)));
    }
    client.socket.ping('are you there');
    const [pong] = (await within(once(client.socket, 'pong'), 'a pong')) as [Buffer];
    expect(pong.toString()).toBe('are you there');
    client.socket.close(4000, 'done');
    expect(await client.closed).toEqual([4000, 'done']);
  });

  it('a server closes with its own code', async () => {
    const client = await Client.open(port);
    client.socket.send('close yourself');
    expect(await client.closed).toEqual([4001, 'as you wish']);
  });

  it('twenty at once do not mix', async () => {
    const clients = await Promise.all(Array.from({ length: 20 }, () => Client.open(port)));
    await Promise.all(
      clients.map(async (client, i) => {
        for (let n = 0; n < 50; n++) client.socket.send(`${i}:${n}`);
        for (let n = 0; n < 50; n++) expect((await client.next()).toString()).toBe(`${i}:${n}`);
        client.socket.close();
        await client.closed;
      }),
    );
    await eventually(() => echo.open === 0);
  });

  it.each([
    ['by the server', '/refused', 401, 'via_upstream'],
    ['by the route', '/off', 403, 'upgrade_failed'],
  ])('a handshake refused %s', async (_, path, status, details) => {
    expect(await Client.refusal(port, path)).toBe(status);
    await eventually(() => logged(sidecar).some((line) => line.path === path));
    expect(logged(sidecar).find((line) => line.path === path)).toMatchObject({ status, details, flags: '-' });
  });

  it('are logged when they end, with their bytes, and leave nothing open', async () => {
    const client = await Client.open(port, '/counted', false);
    client.socket.send('12345');
    await client.next();
    client.socket.terminate();
    await eventually(() => logged(sidecar).some((line) => line.path === '/counted'));
    const line = logged(sidecar).find(({ path }) => path === '/counted');
    // A client frame has a mask of four bytes.
    expect(line).toMatchObject({ status: 101, flags: 'DC', received: 11, sent: 7 });
    const { body } = await sidecar.admin('/stats');
    const stats = body.toString();
    expect(stats).toMatch(/^http\.test\.downstream_cx_upgrades_active: 0$/m);
    expect(stats).toMatch(/^cluster\.upstream\.upstream_cx_active: 0$/m);
    expect(stats).toMatch(/^http\.test\.downstream_rq_ws_on_non_ws_route: 1$/m);
  });
});

describe.skipIf(skipUnbuilt)(`a WebSocket and the end of its process${UNBUILT}`, () => {
  it('SIGTERM lets it go on, and the process ends with it', async () => {
    await using echo = await Echo.start();
    const listener = httpListener({ logPath: 'access.log', manager: WEBSOCKET });
    await using sidecar = await Sidecar.serve(bootstrap([listener], [cluster('upstream', [echo.port])]));
    const client = await Client.open(await sidecar.port());
    sidecar.kill('SIGTERM');
    await eventually(() => sidecar.stderr.includes('caught SIGTERM'));
    client.socket.send('still here');
    expect((await client.next()).toString()).toBe('still here');
    client.socket.close(1000);
    expect((await client.closed)[0]).toBe(1000);
    expect((await within(sidecar.exit, 'the end of the drain')).code).toBe(0);
    expect(logged(sidecar)).toEqual([expect.objectContaining({ status: 101 })]);
  });

  it(
    'a hot restart leaves it with the old epoch, until --parent-shutdown-time-s',
    async () => {
      await using echo = await Echo.start();
      const port = await refusedPort();
      const listener = httpListener({ manager: WEBSOCKET, listener: { address: address(port) } });
      await using proxy = await Supervised.serve(bootstrap([listener], [cluster('upstream', [echo.port])]), [
        '--drain-time-s',
        '1',
        '--parent-shutdown-time-s',
        '3',
      ]);
      const client = await Client.open(port);
      proxy.kill('SIGHUP');
      await proxy.untilServing(1);
      client.socket.send('from the old epoch');
      expect((await client.next()).toString()).toBe('from the old epoch');
      const fresh = await Client.open(port);
      expect((await within(client.closed, 'the end of the old epoch', 10_000))[0]).toBe(1006);
      fresh.socket.send('from the new one');
      expect((await fresh.next()).toString()).toBe('from the new one');
      fresh.socket.terminate();
    },
    START_PATIENCE_MS * 2,
  );
});
