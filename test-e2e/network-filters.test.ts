import { type AddressInfo, connect, createServer } from 'node:net';
import {
  breakOff,
  eventually,
  exchange,
  HttpUpstream,
  RawUpstream,
  rawClient,
  refusedPort,
  text,
  within,
} from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { cluster, fileLog, networkListener, tcpProxyListener } from './support/config.ts';
import { withProxy } from './support/proxy.ts';

const echoListener = networkListener('echo', 'extensions.filters.network.echo.v3.Echo', {});
const directListener = networkListener('direct', 'extensions.filters.network.direct_response.v3.Config', {
  response: { inline_string: 'go away\n' },
});

describe('echo', () => {
  it('sends back what comes, also after the client closed its side', async () => {
    await withProxy({ listeners: [echoListener] }, async (proxy) => {
      await using client = await rawClient({ port: proxy.portOf('echo') });
      const body = Buffer.alloc(1_000_000, 'echo');
      const written = client.write(body).then(() => client.end());
      expect((await client.read(body.length)).equals(body)).toBe(true);
      await written;
      expect(await client.readUntilClose()).toBe('');
    });
  });
});

describe('direct_response', () => {
  it('says its piece and closes', async () => {
    await withProxy({ listeners: [directListener] }, async (proxy) => {
      expect(await exchange({ port: proxy.portOf('direct') })).toBe('go away\n');
      expect(await exchange({ port: proxy.portOf('direct') }, 'GET / HTTP/1.1\r\n\r\n')).toBe('go away\n');
    });
  });
});

describe('tcp_proxy', () => {
  it('carries bytes both ways, half-closes included', async () => {
    await using upstream = await RawUpstream.start(async (connection) => {
      const request = await connection.readUntilClose();
      await connection.write(request.toUpperCase());
      connection.end();
    });
    await withProxy({ upstream, listeners: [tcpProxyListener('upstream')] }, async (proxy) => {
      await using client = await rawClient({ port: proxy.portOf('tcp') });
      await client.write('hello ', 'upstream');
      client.end();
      expect(await client.readUntilClose()).toBe('HELLO UPSTREAM');
      await eventually(() => proxy.stat('tcp.tcp.downstream_cx_rx_bytes_total') === 14);
      expect(proxy.stat('tcp.tcp.downstream_cx_total')).toBe(1);
      await eventually(() => proxy.stat('cluster.upstream.upstream_cx_active') === 0);
    });
  });

  it('carries 32 MiB unchanged in both directions at once', async () => {
    // Plain sockets: those of the test library keep what they read.
    const server = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const upstream = {
      port: (server.address() as AddressInfo).port,
      stop: () => new Promise<void>((resolve) => server.close(() => resolve())),
    };
    await withProxy({ upstream, listeners: [tcpProxyListener('upstream')] }, async (proxy) => {
      const client = connect({ port: proxy.portOf('tcp'), host: '127.0.0.1', allowHalfOpen: true });
      const part = Buffer.alloc(64 * 1024, 'tcp-proxy-');
      const parts = 512;
      let received = 0;
      let differs = 0;
      client.on('data', (chunk: Buffer) => {
        for (let at = 0; at < chunk.length; ) {
          const from = received % part.length;
          const length = Math.min(chunk.length - at, part.length - from);
          if (chunk.compare(part, from, from + length, at, at + length) !== 0) differs++;
          at += length;
          received += length;
        }
      });
      const ended = new Promise<void>((resolve) => client.once('end', resolve));
      for (let sent = 0; sent < parts; sent++) {
        if (!client.write(part)) await new Promise<void>((resolve) => client.once('drain', () => resolve()));
      }
      client.end();
      await within(ended, 'the echo of everything', 15_000);
      expect([received, differs]).toEqual([parts * part.length, 0]);
    });
  });

  it('refused upstream: the client is closed, UF in the connection log', async () => {
    const clusters = [cluster('dead', [await refusedPort()])];
    const listeners = (logPath: string) => [
      tcpProxyListener('dead', { max_connect_attempts: 2, access_log: [fileLog(logPath)] }),
    ];
    await withProxy({ clusters, listeners }, async (proxy) => {
      expect(await exchange({ port: proxy.portOf('tcp') }, 'hello')).toBe('');
      expect(proxy.stat('cluster.dead.upstream_cx_connect_fail')).toBe(2);
      expect(proxy.stat('cluster.dead.upstream_cx_connect_attempts_exceeded')).toBe(1);
      expect(await proxy.log()).toMatchObject([{ flags: 'UF,URX', cluster: 'dead', status: 0 }]);
    });
  });

  it('an upstream that resets resets or closes the client; one that is cut does no harm', async () => {
    await using upstream = await HttpUpstream.start(breakOff('half', 100));
    await withProxy({ upstream, listeners: [tcpProxyListener('upstream')] }, async (proxy) => {
      await using client = await rawClient({ port: proxy.portOf('tcp') });
      await client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
      expect(await client.readUntilClose()).toContain('content-length: 100');
      upstream.answer = text('alive');
      await using second = await rawClient({ port: proxy.portOf('tcp') });
      await second.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
      expect((await second.readResponse()).body.toString()).toBe('alive');
      second.reset();
      await eventually(() => proxy.stat('cluster.upstream.upstream_cx_active') === 0);
    });
  });
});
