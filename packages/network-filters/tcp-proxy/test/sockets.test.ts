import { create, durationFromMs, TcpProxySchema } from '@dragoman/api';
import {
  Address,
  type Cluster,
  type ConnectHandler,
  type Connection,
  type ConnectionCloseKind,
  type Host,
  silentLogger,
  StreamInfo,
  systemClock,
  type TcpPoolCallbacks,
} from '@dragoman/core';
import {
  Dispatcher,
  type NetworkContext,
  ReadBuffers,
  SocketConnector,
  TcpListener,
} from '@dragoman/network';
import {
  MemoryStats,
  RawUpstream,
  type RawScript,
  rawClient,
  refusedPort,
  testContext,
  within,
} from '@dragoman/testing';
import { afterEach, describe, expect, test } from 'vitest';
import { tcpProxy } from '../src/index.ts';
import { FakeCluster, handlerOf, type ProxyConfig } from './fakes.ts';

const network: NetworkContext = {
  clock: systemClock,
  logger: silentLogger,
  dispatcher: new Dispatcher(systemClock),
  buffers: new ReadBuffers(),
};

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Hands a connection over once it is up, as a cluster does. */
class Opening implements ConnectHandler {
  connection!: Connection;
  private readonly host: Host;
  private readonly callbacks: TcpPoolCallbacks;

  constructor(host: Host, callbacks: TcpPoolCallbacks) {
    this.host = host;
    this.callbacks = callbacks;
  }

  onConnected(): void {
    this.callbacks.onPoolReady(this.connection, this.host);
  }
  onData(): void {}
  onEnd(): void {}
  onWritable(): void {}
  onClose(kind: ConnectionCloseKind, reason: string): void {
    const side = kind === 'local' ? 'local-connection-failure' : 'remote-connection-failure';
    this.callbacks.onPoolFailure(side, reason, this.host);
  }
}

/** A TCP proxy between real sockets. */
async function startProxy(ports: readonly number[], config: ProxyConfig = {}) {
  const stats = new MemoryStats();
  const cluster: Cluster = new FakeCluster(
    'service',
    stats,
    ports.map((port) => `127.0.0.1:${port}`),
  );
  const upstreams: Connection[] = [];
  cluster.newTcpConnection = (host, _priority, callbacks) => {
    const opening = new Opening(host, callbacks);
    const options = { address: host.address, bufferLimitBytes: 1 << 20 };
    opening.connection = new SocketConnector(network).connect(options, opening);
    upstreams.push(opening.connection);
    return { cancel: () => opening.connection.close('now') };
  };
  const context = testContext({
    stats,
    clock: systemClock as never,
    clusters: { get: () => cluster, clusterNames: ['service'] },
  });
  const message = create(TcpProxySchema, {
    statPrefix: 'ingress',
    clusterSpecifier: { case: 'cluster', value: 'service' },
    accessLog: [{ name: 'log' }],
    ...config,
  });
  const createFilter = tcpProxy.create(message as never, context);
  const downstreams: Connection[] = [];
  const listener = await TcpListener.listen(
    {
      address: Address.ip('127.0.0.1', 0),
      backlog: 64,
      reusePort: false,
      ipv6Only: false,
      mode: undefined,
      keepAlive: undefined,
      bufferLimitBytes: 1 << 20,
      delayedCloseMs: 1000,
      stats: undefined,
    },
    network,
    {
      onAccept: (connection) => {
        downstreams.push(connection);
        const info = new StreamInfo(connection.info, 0, systemClock.now());
        const filter = createFilter({ connection, info, sole: true, resume: () => {} });
        filter.onNewConnection?.();
        return handlerOf(filter);
      },
      onAcceptError: (error) => {
        throw error;
      },
    },
  );
  cleanups.push(() => listener.close());
  const logged = async (count = 1) => {
    await within(
      (async () => {
        while (context.logged.length < count) await new Promise((resolve) => setImmediate(resolve));
      })(),
      `${count} log entries`,
    );
    return context.logged.map(({ info }) => info);
  };
  return { port: listener.address.port, stats, downstreams, upstreams, logged };
}

async function startUpstream(script: RawScript) {
  const upstream = await RawUpstream.start(script);
  cleanups.push(() => upstream.stop());
  return upstream;
}

async function connectTo(port: number) {
  const client = await rawClient({ port });
  cleanups.push(() => client.socket.destroy());
  return client;
}

/** Bytes in which every position can be told from its neighbours. */
function pattern(size: number): Buffer {
  const bytes = Buffer.allocUnsafe(size);
  for (let i = 0; i < size; i += 4) bytes.writeUInt32LE(Math.imul(i, 2654435761) >>> 0, i);
  return bytes;
}

describe('over sockets', () => {
  test('bytes and ends go both ways, and the log says how many', async () => {
    const upstream = await startUpstream(async (connection) => {
      const request = await connection.readUntilClose();
      await connection.write(request.toUpperCase());
      connection.end();
    });
    const proxy = await startProxy([upstream.port]);
    const client = await connectTo(proxy.port);
    await client.write('hel', 'lo');
    client.end();
    expect(await client.readUntilClose()).toBe('HELLO');
    const [info] = await proxy.logged();
    expect(info).toMatchObject({ bytesReceived: 5, bytesSent: 5, responseFlags: 0 });
    expect(info?.upstreamRemoteAddress?.text).toBe(`127.0.0.1:${upstream.port}`);
  });

  test.each(['down', 'up'] as const)('64 MiB %s to a slow reader wait where they are', async (way) => {
    const block = pattern(1 << 20);
    const total = 64 << 20;
    const send: RawScript = async (connection) => {
      for (let sent = 0; sent < total; sent += block.length) await connection.write(block);
      connection.end();
    };
    let received = 0;
    let intact = true;
    let mostBuffered = 0;
    const receive = async (connection: Parameters<RawScript>[0]) => {
      for (;;) {
        const chunk = await connection.readSome();
        if (chunk.length === 0) return;
        const at = received % block.length;
        const first = chunk.subarray(0, block.length - at);
        intact &&= first.equals(block.subarray(at, at + first.length));
        received += chunk.length;
        const buffered = [...proxy.downstreams, ...proxy.upstreams].map((one) => one.bufferedBytes);
        mostBuffered = Math.max(mostBuffered, ...buffered);
        // The reader stands still for some turns of the event loop after each chunk.
        connection.pause();
        for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
        connection.resume();
      }
    };
    const done = Promise.withResolvers<void>();
    const upstream = await startUpstream(async (connection) => {
      await (way === 'down' ? send : receive)(connection, 0);
      connection.end();
      done.resolve();
    });
    const proxy = await startProxy([upstream.port]);
    const client = await connectTo(proxy.port);
    await (way === 'down' ? receive : send)(client, 0);
    if (way === 'up') await within(done.promise, 'the upstream to have everything', 15_000);
    client.end();
    expect(received).toBe(total);
    expect(intact).toBe(true);
    // One chunk of a connection's own buffer, or what a copied chunk may wait behind.
    expect(mostBuffered).toBeLessThanOrEqual((1 << 20) + (64 << 10));
    expect(mostBuffered).toBeGreaterThan(0);
    await proxy.logged();
    expect(proxy.stats.value('tcp.ingress.downstream_cx_tx_bytes_buffered')).toBe(0);
    expect(proxy.stats.value('tcp.ingress.downstream_cx_rx_bytes_buffered')).toBe(0);
  });

  test('several transfers at once keep their bytes apart', async () => {
    const upstream = await startUpstream(async (connection) => {
      const [mark] = await connection.read(1);
      const block = Buffer.alloc(1 << 20, mark);
      for (let i = 0; i < 4; i++) await connection.write(block);
      connection.end();
    });
    const proxy = await startProxy([upstream.port]);
    await Promise.all(
      [...'abcdefgh'].map(async (mark) => {
        const client = await connectTo(proxy.port);
        await client.write(mark);
        const text = await client.readUntilClose();
        client.end();
        expect(text.length).toBe(4 << 20);
        expect(text === mark.repeat(text.length)).toBe(true);
      }),
    );
  });

  test('a refused host is followed by one that accepts', async () => {
    const upstream = await startUpstream((connection) => connection.write('here'));
    const proxy = await startProxy([await refusedPort(), upstream.port], { maxConnectAttempts: 2 });
    const client = await connectTo(proxy.port);
    expect((await client.read(4)).toString()).toBe('here');
    client.reset();
    const [info] = await proxy.logged();
    expect(info?.upstreamRequestAttemptCount).toBe(2);
  });

  test('a host that refuses closes the connection', async () => {
    const proxy = await startProxy([await refusedPort()]);
    const client = await connectTo(proxy.port);
    expect(await client.readUntilClose()).toBe('');
    const [info] = await proxy.logged();
    expect(info?.upstreamTransportFailureReason).toContain('Connection refused');
  });

  test('a reset on either side reaches the other', async () => {
    const upstream = await startUpstream(async (connection, index) => {
      await connection.readSome();
      if (index === 0) connection.reset();
      else await connection.write('ready');
    });
    const proxy = await startProxy([upstream.port]);
    const first = await connectTo(proxy.port);
    await first.write('x');
    expect(await first.closed).toBe(true);
    const second = await connectTo(proxy.port);
    await second.write('x');
    await second.read(5);
    second.reset();
    expect(await (await upstream.connection(2)).closed).toBe(true);
    const infos = await proxy.logged(2);
    expect(infos).toHaveLength(2);
  });

  test('what a client sent before it closed still reaches a slow upstream', async () => {
    const block = pattern(8 << 20);
    const gate = Promise.withResolvers<void>();
    const all = Promise.withResolvers<number>();
    const upstream = await startUpstream(async (connection) => {
      connection.pause();
      await gate.promise;
      connection.resume();
      all.resolve((await connection.readUntilClose()).length);
    });
    const proxy = await startProxy([upstream.port]);
    const client = await connectTo(proxy.port);
    client.socket.end(block);
    await upstream.connection();
    gate.resolve();
    expect(await within(all.promise, 'the upstream to read everything')).toBe(block.length);
  });

  test('the idle timeout closes both sides', async () => {
    const ended = Promise.withResolvers<void>();
    const upstream = await startUpstream(async (connection) => {
      await connection.readUntilClose();
      ended.resolve();
    });
    const proxy = await startProxy([upstream.port], { idleTimeout: durationFromMs(50) });
    const client = await connectTo(proxy.port);
    await client.readUntilClose();
    const [info] = await proxy.logged();
    expect(info?.connectionTerminationDetails).toBe('tcp_session_idle_timeout');
    await within(ended.promise, 'the upstream to see the end');
  });
});
