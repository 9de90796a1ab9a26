import { once } from 'node:events';
import {
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerOptions,
} from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { UpstreamTlsContextSchema } from '@dragoman/api';
import {
  defineTransportSocket,
  ExtensionRegistry,
  type Host,
  silentLogger,
  systemClock,
} from '@dragoman/core';
import { createClientCodec } from '@dragoman/http1';
import { createClientCodec as createHttp2Codec, Http2Sessions } from '@dragoman/http2';
import { Dispatcher, ReadBuffers, SocketConnector } from '@dragoman/network';
import { eventually, selfSigned, within } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { createClusterManager } from '../src/index.ts';
import { clusterMessage, hostList, httpOptions, inOrder, TLS, testContext } from './support/clusters.ts';
import { Get } from './support/get.ts';
import { MemoryStats } from './support/memory-stats.ts';

/** TLS of which nothing is checked. */
const tls = defineTransportSocket({
  name: 'envoy.transport_sockets.tls',
  config: UpstreamTlsContextSchema,
  createUpstream: () => ({
    name: 'tls',
    secure: true,
    wrap(socket, info, options, events) {
      const protocols = options?.applicationProtocolsFallback;
      const secure = connectTls({
        socket: socket as Socket,
        rejectUnauthorized: false,
        ...(protocols === undefined ? {} : { ALPNProtocols: [...protocols] }),
        ...(options?.serverName === undefined ? {} : { servername: options.serverName }),
      });
      secure.once('secureConnect', () => {
        info.negotiatedProtocol = secure.alpnProtocol || '';
        events.onReady();
      });
      secure.once('error', (error) => events.onFailed(error.message));
      return secure;
    },
  }),
});

function setUp(port: number, config: object) {
  const stats = new MemoryStats();
  const { context } = testContext(undefined as never, stats);
  const clock = systemClock;
  const manager = createClusterManager({
    clusters: [clusterMessage(config)],
    registry: new ExtensionRegistry([inOrder, tls]),
    context: { ...context, clock },
    connector: new SocketConnector({
      clock,
      logger: silentLogger,
      dispatcher: new Dispatcher(systemClock),
      buffers: new ReadBuffers(),
    }),
    createCodec: createClientCodec,
    http2: { createCodec: createHttp2Codec, createSessions: () => new Http2Sessions() },
  });
  manager.updateHosts('web', hostList(`127.0.0.1:${port}`));
  const cluster = manager.get('web');
  if (cluster === undefined) throw new Error('no cluster');
  const start = (): Get => {
    const get = new Get();
    cluster.httpPool(cluster.chooseHost(undefined) as Host, 'default').newStream(get, get);
    return get;
  };
  return {
    manager,
    start,
    get: async () => {
      const get = start();
      await within(get.over, 'the answer');
      return get;
    },
    count: (name: string) => stats.value(`cluster.web.${name}`) ?? 0,
    [Symbol.dispose]: () => manager.close(),
  };
}

type Answer = (stream: ServerHttp2Stream) => void;

const hello: Answer = (stream) => {
  stream.respond({ ':status': 200 });
  stream.end('hello');
};

async function serve(answer: Answer, options: ServerOptions = {}, secure = false) {
  const certificate = selfSigned({ subject: 'CN=web.example' });
  const server: Http2Server | Http2SecureServer = secure
    ? createSecureServer({ ...options, key: certificate.keyPem, cert: certificate.pem, allowHTTP1: true })
    : createServer(options);
  const sessions: ServerHttp2Session[] = [];
  server.on('session', (session: ServerHttp2Session) => {
    sessions.push(session);
    session.on('error', () => {});
  });
  server.on('stream', (stream: ServerHttp2Stream) => {
    stream.on('error', () => {});
    answer(stream);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    sessions,
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const http2 = (options: object = {}, common: object = {}) =>
  httpOptions({
    explicit_http_config: { http2_protocol_options: options },
    common_http_protocol_options: common,
  });

it('answers many requests at once on one connection, and counts bytes', async () => {
  await using upstream = await serve(hello);
  using here = setUp(upstream.port, http2());
  await here.get();
  const gets = Array.from({ length: 50 }, here.start);
  for (const get of gets) await within(get.over, 'the answer');
  expect(gets.map(({ text, status }) => [text, status])).toEqual(new Array(50).fill(['hello', 200]));
  expect(upstream.sessions.length).toBe(1);
  expect(here.count('upstream_rq_total')).toBe(51);
  expect([here.count('upstream_rq_active'), here.count('http2.streams_active')]).toEqual([0, 0]);
  expect(here.count('upstream_cx_rx_bytes_total')).toBeGreaterThan(51 * 'hello'.length);
  expect(here.count('upstream_cx_tx_bytes_total')).toBeGreaterThan(51);
});

it('opens further connections where the peer takes few streams', async () => {
  const held: ServerHttp2Stream[] = [];
  await using upstream = await serve((stream) => held.push(stream), {
    settings: { maxConcurrentStreams: 2 },
  });
  using here = setUp(upstream.port, http2());
  const gets = Array.from({ length: 7 }, here.start);
  await eventually(() => held.length === 7);
  expect(upstream.sessions.length).toBe(4);
  for (const stream of held) hello(stream);
  for (const get of gets) await within(get.over, 'the answer');
  expect(gets.map(({ text }) => text)).toEqual(new Array(7).fill('hello'));
});

it('goes elsewhere after a GOAWAY, and finishes what is under way', async () => {
  const held: ServerHttp2Stream[] = [];
  await using upstream = await serve((stream) => held.push(stream));
  using here = setUp(upstream.port, http2());
  const first = here.start();
  await eventually(() => held.length === 1);
  upstream.sessions[0]?.goaway(0);
  await eventually(() => here.count('upstream_cx_close_notify') === 1);
  const second = here.start();
  await eventually(() => held.length === 2);
  expect(upstream.sessions.length).toBe(2);
  for (const stream of held) hello(stream);
  await within(Promise.all([first.over, second.over]), 'the answers');
  expect([first.text, second.text]).toEqual(['hello', 'hello']);
  await eventually(() => here.count('upstream_cx_active') === 1);
});

it('ends an idle connection', async () => {
  await using upstream = await serve(hello);
  using here = setUp(upstream.port, http2({}, { idle_timeout: '0.02s' }));
  await here.get();
  await eventually(() => here.count('upstream_cx_idle_timeout') === 1);
  await eventually(() => here.count('upstream_cx_active') === 0);
  expect((await here.get()).text).toBe('hello');
});

describe('ALPN', () => {
  const auto = { transport_socket: TLS, ...httpOptions({ auto_config: {} }) };

  it('chooses HTTP/2', async () => {
    await using upstream = await serve(hello, {}, true);
    using here = setUp(upstream.port, auto);
    const gets = Array.from({ length: 5 }, here.start);
    for (const get of gets) await within(get.over, 'the answer');
    expect(gets.map(({ text, connection }) => [text, connection?.protocol])).toEqual(
      new Array(5).fill(['hello', 'HTTP/2']),
    );
    expect(here.count('upstream_cx_http1_total')).toBe(0);
  });

  it('is not asked where the protocol is explicit', async () => {
    await using upstream = await serve(hello, {}, true);
    using here = setUp(upstream.port, { transport_socket: TLS, ...http2() });
    expect((await here.get()).text).toBe('hello');
    expect(here.count('upstream_cx_http2_total')).toBe(1);
  });

  it('fails with the words of the transport', async () => {
    await using upstream = await serve(hello);
    using here = setUp(upstream.port, auto);
    expect((await here.get()).events[0]).toMatch(/^failed:remote-connection-failure/);
    expect(here.count('upstream_cx_connect_fail')).toBe(1);
  });
});
