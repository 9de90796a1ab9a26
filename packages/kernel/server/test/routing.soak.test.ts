import { createHash } from 'node:crypto';
import { type Bootstrap, type Listener, loadConfig } from '@dragoman/api';
import {
  type Exchange,
  eventually,
  HttpUpstream,
  type JsonObject,
  loadAssignment,
  type RawConnection,
  rawClient,
  RawUpstream,
  refusedPort,
  SeededRandom,
  text,
} from '@dragoman/testing';
import { expect, test } from 'vitest';
import { connectTo, replaced, startOnThreads, threadBootstrap } from './support/thread-proxy.ts';

const SECONDS = Number(process.env.SOAK_SECONDS ?? 75);
const CLIENTS = 3;
const WORKERS = 2;
const MIB = 1024 * 1024;
const HANDSHAKE = 'GET /ws HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n';

const digest = (body: Buffer): string => createHash('sha256').update(body).digest('hex');

/** Fails, in every way that it can, a third of the time. */
const flaky =
  (random: SeededRandom) =>
  async ({ request, response, socket, message }: Exchange): Promise<void> => {
    switch (random.next() % 15) {
      case 0:
        return void socket.resetAndDestroy();
      case 1:
        return void response.writeHead(503, { 'content-length': '0' }).end();
      case 2:
        return void response.writeHead(500).end('half of an answer');
      case 3:
        return void socket.write('HTTP/1.1 200 OK\r\ncontent-le', () => socket.destroy());
      case 4:
        message.once('data', () => socket.resetAndDestroy());
        message.once('end', () => socket.resetAndDestroy());
        return;
      default: {
        const body = await request.body.catch(() => undefined);
        if (body !== undefined) response.end(digest(body));
      }
    }
  };

/** Accepts a handshake where `head` says so, then sends back what comes. */
const echoing = (handshake: boolean) =>
  RawUpstream.start(async (connection) => {
    if (handshake) {
      const head = await connection.readUntil('\r\n\r\n').catch(() => undefined);
      if (head === undefined) return void connection.end();
      await connection.write('HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
    }
    for (;;) {
      const bytes = await connection.readSome().catch(() => Buffer.alloc(0));
      if (bytes.length === 0) break;
      await connection.write(bytes);
    }
    connection.end();
  });

/** One use of a connection; settles when it has gone as it should. */
type Session = (client: RawConnection, i: number) => Promise<void>;

async function expectStatus(
  client: RawConnection,
  request: string | Buffer,
  body?: string,
): Promise<boolean> {
  await client.write(request);
  const response = await client.readResponse();
  if (response.status !== 200)
    throw new Error(`${response.status} ${response.body.toString().slice(0, 200)}`);
  if (body !== undefined && response.body.toString() !== body)
    throw new Error('another body than the request’s own');
  return response.header('connection') !== 'close';
}

const posting =
  (path: string): Session =>
  async (client, i) => {
    for (let n = 0; n < 4; n++) {
      const body = Buffer.alloc([0, 20, 4000, 90_000][(i + n) % 4] as number, i + n);
      const head = `POST ${path} HTTP/1.1\r\nhost: a\r\ncontent-length: ${body.length}\r\n\r\n`;
      if (!(await expectStatus(client, Buffer.concat([Buffer.from(head), body]), digest(body)))) return;
    }
  };

const tunnel =
  (open: string, status: RegExp): Session =>
  async (client, i) => {
    await client.write(open);
    const head = await client.readUntil('\r\n\r\n');
    if (!status.test(head)) throw new Error(head);
    for (let n = 0; n < 4; n++) {
      const message = Buffer.alloc(1 + ((i * 7919) % 30_000), n);
      await client.write(message);
      if (!(await client.read(message.length)).equals(message)) throw new Error('other bytes than were sent');
    }
  };

const SESSIONS: Readonly<Record<string, Session>> = {
  retries: posting('/retry'),
  mirrors: posting('/mirror'),
  async redirects(client) {
    for (let n = 0; n < 4; n++)
      if (!(await expectStatus(client, 'GET /redirect HTTP/1.1\r\nhost: a\r\n\r\n', 'target'))) return;
  },
  websockets: tunnel(HANDSHAKE, /^HTTP\/1\.1 101 /),
  connect: tunnel('CONNECT tunnel:80 HTTP/1.1\r\nhost: tunnel:80\r\n\r\n', /^HTTP\/1\.1 200 /),
};

/** A time in which a worker was not there. */
interface Gap {
  readonly from: number;
  to: number;
}

interface Failure {
  readonly kind: string;
  readonly message: string;
  readonly from: number;
  readonly to: number;
}

test('retries, mirrors, redirects, WebSockets and CONNECT: what fails is explained, nothing is left', async () => {
  await using flakyUpstream = await HttpUpstream.start(flaky(new SeededRandom(21)));
  await using flakyMirror = await HttpUpstream.start(flaky(new SeededRandom(22)));
  await using steady = await HttpUpstream.start(async ({ request, response }) => {
    const body = await request.body.catch(() => undefined);
    if (body !== undefined) response.end(digest(body));
  });
  await using redirecting = await HttpUpstream.start(({ response }) => {
    response.writeHead(302, { location: 'http://a/target', 'content-length': '0' }).end();
  });
  await using target = await HttpUpstream.start(text('target'));
  await using sockets = await echoing(true);
  await using tcp = await echoing(false);
  // They keep what they were asked; this test asks for long.
  const recorders = [flakyUpstream, flakyMirror, steady, redirecting, target];
  const forget = setInterval(() => {
    for (const { requests } of recorders) (requests as unknown[]).length = 0;
    for (const { connections } of [sockets, tcp]) connections.length = 0;
  }, 500);

  const patient: JsonObject = { timeout: '30s' };
  const listener: JsonObject = {
    address: { socket_address: { address: '127.0.0.1', port_value: await refusedPort() } },
  };
  const to = (cluster: string, more: JsonObject = {}): JsonObject => ({ cluster, ...patient, ...more });
  const config = (name: string): JsonObject =>
    threadBootstrap({
      clusters: {
        flaky: {
          load_assignment: loadAssignment('flaky', [flakyUpstream.port]),
          circuit_breakers: { thresholds: [{ max_retries: 1000 }] },
        },
        mirror: flakyMirror.port,
        steady: steady.port,
        redirecting: redirecting.port,
        target: target.port,
        sockets: sockets.port,
        tcp: tcp.port,
      },
      routes: [
        {
          match: { prefix: '/retry' },
          route: to('flaky', {
            retry_policy: {
              retry_on: '5xx,reset,connect-failure',
              num_retries: 30,
              retry_back_off: { base_interval: '0.001s', max_interval: '0.004s' },
            },
          }),
        },
        {
          match: { prefix: '/mirror' },
          route: to('steady', { request_mirror_policies: [{ cluster: 'mirror' }] }),
        },
        { match: { prefix: '/redirect' }, route: to('redirecting', { internal_redirect_policy: {} }) },
        { match: { prefix: '/target' }, route: to('target') },
        {
          match: { connect_matcher: {} },
          route: to('tcp', { upgrade_configs: [{ upgrade_type: 'CONNECT', connect_config: {} }] }),
        },
        { match: { prefix: '/ws' }, route: to('sockets') },
        { match: { prefix: '/' }, route: to('steady') },
      ],
      routeConfig: { response_headers_to_add: [{ header: { key: 'x-config', value: name } }] },
      manager: { upgrade_configs: [{ upgrade_type: 'websocket' }, { upgrade_type: 'CONNECT' }] },
      listener,
    });

  await using proxy = await startOnThreads(config('first'), { concurrency: WORKERS, drainTimeMs: 5000 });
  const { port } = proxy.proxy.address('http');
  const start = performance.now();
  const end = start + SECONDS * 1000;
  const gaps: Gap[] = [];
  const failures: Failure[] = [];
  const counts: Record<string, number> = {};

  const client = async (kind: string, session: Session, seed: number): Promise<void> => {
    for (let i = seed; performance.now() < end; i++) {
      const from = performance.now();
      try {
        await using connection = await rawClient({ port });
        await session(connection, i);
        counts[kind] = (counts[kind] ?? 0) + 1;
      } catch (error) {
        failures.push({ kind, message: (error as Error).message.slice(0, 300), from, to: performance.now() });
      }
    }
  };
  const clients = Object.entries(SESSIONS).flatMap(([kind, session]) =>
    Array.from({ length: CLIENTS }, (_, n) => client(kind, session, n * 1000)),
  );

  const residents: number[] = [];
  const look = setInterval(() => residents.push(process.memoryUsage().rss / MIB), 1000);
  const at = (share: number): Promise<void> =>
    new Promise((resolve) => setTimeout(resolve, start + share * SECONDS * 1000 - performance.now()));
  const kill = async (worker: number, deaths: number): Promise<void> => {
    await using victim = await connectTo(proxy, worker);
    const gap: Gap = { from: performance.now(), to: Number.POSITIVE_INFINITY };
    gaps.push(gap);
    await victim.ask('/throw');
    await replaced(proxy, deaths, 30_000);
    gap.to = performance.now();
  };

  await at(0.3);
  await kill(1, 1);
  await at(0.5);
  const { staticResources } = loadConfig({ text: JSON.stringify(config('second')) }).message as Bootstrap;
  expect(await proxy.proxy.addOrUpdateListener(staticResources?.listeners[0] as Listener)).toBe(true);
  await eventually(async () => {
    await using asking = await rawClient({ port });
    await asking.write('GET /target HTTP/1.1\r\nhost: a\r\n\r\n');
    expect((await asking.readResponse()).header('x-config')).toBe('second');
  });
  await at(0.7);
  await kill(0, 2);
  await Promise.all(clients);
  clearInterval(look);
  clearInterval(forget);

  // A worker that dies takes its connections with it: those, and no other, may fail.
  const explained = ({ from, to }: Failure): boolean => gaps.some((gap) => from <= gap.to && to >= gap.from);
  expect(failures.filter((failure) => !explained(failure))).toEqual([]);
  expect(failures.length).toBeLessThanOrEqual(gaps.length * 4 * clients.length);
  for (const kind of Object.keys(SESSIONS)) expect([kind, counts[kind]]).toEqual([kind, expect.any(Number)]);
  for (const kind of Object.keys(SESSIONS)) expect(counts[kind], kind).toBeGreaterThan(SECONDS);

  await eventually(() => {
    const left = [...proxy.proxy.stats.gauges]
      .filter(([name]) =>
        /(_rq_active|_rq_pending_active|downstream_cx_active|_bytes_buffered|upgrades_active)$/.test(name),
      )
      .filter(([, { value }]) => value !== 0)
      .map(([name, { value }]) => `${name}: ${value}`);
    expect(left).toEqual([]);
  }, 10_000);
  expect(proxy.stat('server.worker_deaths')).toBe(2);
  expect(proxy.stat('cluster.flaky.upstream_rq_retry')).toBeGreaterThan(SECONDS);
  expect(proxy.stat('cluster.mirror.upstream_rq_total')).toBeGreaterThan(SECONDS);
  expect(proxy.stat('cluster.redirecting.upstream_internal_redirect_succeeded_total')).toBeGreaterThan(
    SECONDS,
  );
  expect(proxy.stat('cluster.flaky.circuit_breakers.default.rq_retry_open')).toBe(0);
  // The second half, without the jump of a new worker, against the first after warming up.
  const third = Math.floor(residents.length / 3);
  const most = (from: number, to?: number): number => Math.max(...residents.slice(from, to));
  expect(most(2 * third) - most(third, 2 * third), `growth over ${residents.map(Math.round)}`).toBeLessThan(
    80,
  );
});
