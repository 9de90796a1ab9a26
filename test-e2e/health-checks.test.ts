import { spawn } from 'node:child_process';
import { connect, createServer } from 'node:net';
import * as grpc from '@grpc/grpc-js';
import { eventually, HttpUpstream, reply, refusedPort } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { bootstrap, cluster, httpListener, type Message, prefixRoute } from './support/config.ts';
import { stats } from './support/draining.ts';
import { findProgram } from './support/programs.ts';
import { Sidecar, skipUnbuilt, UNBUILT } from './support/sidecar.ts';

const TIMES = {
  timeout: '1s',
  interval: '0.1s',
  no_traffic_interval: '0.1s',
  unhealthy_threshold: 2,
  healthy_threshold: 1,
};

const checked = (port: number, check: Message, more: Message = {}): Message =>
  cluster('upstream', [port], {
    common_lb_config: { healthy_panic_threshold: { value: 0 }, update_merge_window: '0s' },
    health_checks: [{ ...TIMES, ...check }],
    ...more,
  });

const serve = (upstream: Message, more: Message = {}): Promise<Sidecar> =>
  Sidecar.serve({
    ...bootstrap([httpListener({ routes: [prefixRoute('/', 'upstream')] })], [upstream]),
    ...more,
  });

/** `health_flags` of the only host. */
async function flags(sidecar: Sidecar): Promise<string | undefined> {
  const { body } = await sidecar.admin('/clusters');
  return /::health_flags::(.*)$/m.exec(body.toString())?.[1];
}

const turns = (sidecar: Sidecar, to: string): Promise<unknown> =>
  eventually(async () => expect(await flags(sidecar)).toBe(to));

/** `grpc.health.v1.Health` that says `status`. */
async function healthService(status: () => number): Promise<{ port: number; stop(): void }> {
  const same = (bytes: Buffer): Buffer => bytes;
  const server = new grpc.Server();
  const Check = {
    path: '/grpc.health.v1.Health/Check',
    requestStream: false,
    responseStream: false,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
  server.addService(
    { Check },
    {
      Check: (_call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) =>
        done(null, Buffer.from([0x08, status()])),
    },
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  return { port, stop: () => server.forceShutdown() };
}

describe.skipIf(skipUnbuilt)(`active health checks of real peers${UNBUILT}`, () => {
  it('HTTP: statuses, degraded and immediate failure decide, and traffic follows', async () => {
    let answer = reply();
    await using upstream = await HttpUpstream.start((exchange) => answer(exchange));
    await using sidecar = await serve(
      checked(upstream.port, {
        http_health_check: { path: '/health', expected_statuses: [{ start: 200, end: 201 }] },
        event_log_path: 'events.log',
      }),
    );
    await turns(sidecar, 'healthy');
    const get = async () => (await fetch(`http://127.0.0.1:${await sidecar.port()}/`)).status;
    expect(await get()).toBe(200);
    const check = upstream.requests.find(({ path }) => path === '/health');
    expect([check?.header('user-agent'), check?.header('host')]).toEqual(['Envoy/HC', 'upstream']);
    answer = reply({ status: 204 });
    await turns(sidecar, '/failed_active_hc');
    expect(await get()).toBe(503);
    answer = reply({ headers: { 'x-envoy-degraded': '1' } });
    await turns(sidecar, '/degraded_active_hc');
    expect(await get()).toBe(200);
    // Seen in an answer to traffic: the worker tells main.
    answer = ({ request, response }) =>
      void response
        .writeHead(200, request.path === '/health' ? {} : { 'x-envoy-immediate-health-check-fail': '1' })
        .end();
    await turns(sidecar, 'healthy');
    expect(await get()).toBe(200);
    await eventually(async () =>
      expect(await stats(sidecar, 'cluster.upstream.health_check.passive_failure')).toEqual([1]),
    );
    sidecar.kill('SIGTERM');
    await sidecar.exit;
    const events = sidecar.lines('events.log').map((line) => JSON.parse(line));
    expect(events[0]).toMatchObject({ cluster_name: 'upstream', add_healthy_event: { first_check: true } });
    expect(events.some((event) => event.eject_unhealthy_event?.failure_type === 'PASSIVE')).toBe(true);
  });

  it('HTTP/2 and gRPC', async () => {
    let status = 1;
    const service = await healthService(() => status);
    try {
      await using sidecar = await serve(
        checked(service.port, { grpc_health_check: { service_name: 'a' } }, { http2_protocol_options: {} }),
      );
      await turns(sidecar, 'healthy');
      status = 2;
      await turns(sidecar, '/failed_active_hc');
      status = 1;
      await turns(sidecar, 'healthy');
    } finally {
      service.stop();
    }
  });

  it('TCP: what is sent and what comes back', async () => {
    let answer = 'pong';
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', (bytes) => socket.write(bytes.toString() === 'ping' ? answer : 'what?'));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const hex = (text: string) => ({ text: Buffer.from(text).toString('hex') });
    try {
      const { port } = server.address() as { port: number };
      await using sidecar = await serve(
        checked(port, {
          tcp_health_check: { send: hex('ping'), receive: [hex('pong')] },
          timeout: '0.2s',
        }),
      );
      await turns(sidecar, 'healthy');
      answer = 'pung';
      await turns(sidecar, '/failed_active_hc/active_hc_timeout');
    } finally {
      server.close();
    }
  });

  it('a host that is not there', async () => {
    await using sidecar = await serve(checked(await refusedPort(), { tcp_health_check: {} }));
    await eventually(async () =>
      expect((await stats(sidecar, 'cluster.upstream.health_check.network_failure'))[0]).toBeGreaterThan(1),
    );
    expect(await flags(sidecar)).toBe('/failed_active_hc');
  });

  const redisServer = findProgram('redis-server');
  it.skipIf(redisServer === undefined && process.env.CI !== 'true')('Redis', async () => {
    const port = await refusedPort();
    const redis = spawn(redisServer as string, ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '']);
    try {
      await using sidecar = await serve(
        checked(port, {
          custom_health_check: {
            name: 'envoy.health_checkers.redis',
            typed_config: {
              '@type': 'type.googleapis.com/envoy.extensions.health_checkers.redis.v3.Redis',
              key: 'maintenance',
            },
          },
        }),
      );
      await turns(sidecar, 'healthy');
      await setKey(port);
      await turns(sidecar, '/failed_active_hc');
    } finally {
      redis.kill();
    }
  });
});

/** As an operator takes a server out. */
async function setKey(port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('SET maintenance 1\r\n'));
    socket.on('error', reject);
    socket.once('data', () => {
      socket.destroy();
      resolve();
    });
  });
}
