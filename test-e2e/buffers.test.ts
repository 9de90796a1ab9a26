import { eventually, HttpUpstream, hang, reply, text } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { withProxy } from './support/proxy.ts';
import { open, stalled } from './support/transfer.ts';

const GET = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';
const MIB = 1024 * 1024;

/** Writes `part` for ever, no faster than it is taken. */
class Flood {
  sent = 0;
  private readonly stopped = Promise.withResolvers<void>();

  constructor(socket: Awaited<ReturnType<typeof open>>, part: Buffer) {
    socket.once('close', () => this.stopped.resolve());
    void this.run(socket, part);
  }

  private async run(socket: Awaited<ReturnType<typeof open>>, part: Buffer): Promise<void> {
    while (!socket.destroyed) {
      this.sent += part.length;
      if (socket.write(part)) continue;
      const drained = new Promise<void>((resolve) => socket.once('drain', resolve));
      await Promise.race([drained, this.stopped.promise]);
    }
  }
}

describe('what a peer can make the proxy hold', () => {
  it('requests pipelined behind one that waits: the socket is not read on', async () => {
    await using upstream = await HttpUpstream.start(hang());
    await withProxy({ upstream }, async (proxy) => {
      const client = await open(proxy.port);
      const flood = new Flood(client, Buffer.from(GET.repeat(2000)));
      await upstream.request();
      const sent = await stalled(flood);
      // The kernel's buffers on both sides take a few MiB; what the proxy has read is in its own count.
      expect(sent / MIB).toBeLessThan(32);
      expect(proxy.stat('http.test.downstream_rq_total')).toBe(1);
      expect(proxy.stat('http.test.downstream_cx_rx_bytes_total')).toBeLessThan(2 * MIB);
      client.resetAndDestroy();
      upstream.answer = text('ok');
      upstream.disconnect();
      await proxy.expectIdle();
    });
  });

  it('responses that a pipelining client does not read: no further request is begun', async () => {
    await using upstream = await HttpUpstream.start(text('x'.repeat(100_000)));
    await withProxy({ upstream }, async (proxy) => {
      const client = await open(proxy.port);
      const flood = new Flood(client, Buffer.from(GET.repeat(200)));
      await stalled(flood);
      const answered = proxy.stat('http.test.downstream_rq_total');
      expect((answered * 100_000) / MIB).toBeLessThan(64);
      expect(upstream.requests.length).toBe(answered);
      client.resetAndDestroy();
      await proxy.expectIdle();
    });
  });

  it('a request body that the upstream does not read: the client is stopped at the limit', async () => {
    await using upstream = await HttpUpstream.start(({ message }) => {
      message.pause();
    });
    const limit = { per_connection_buffer_limit_bytes: 32_768 };
    await withProxy({ upstream, listener: limit, upstreamFields: limit }, async (proxy) => {
      const client = await open(proxy.port);
      client.write(`POST / HTTP/1.1\r\nhost: a\r\ncontent-length: ${64 * MIB}\r\n\r\n`);
      const flood = new Flood(client, Buffer.alloc(65_536, 'b'));
      expect((await stalled(flood)) / MIB).toBeLessThan(32);
      expect(proxy.stat('cluster.upstream.upstream_cx_tx_bytes_buffered')).toBeLessThan(MIB);
      client.resetAndDestroy();
      // A socket that is not read does not tell of its end: the upstream's end, or stream_idle_timeout, ends the request.
      upstream.disconnect();
      await proxy.expectIdle();
    });
  });

  it('an upstream connection whose last chunk is still queued downstream is free for the next request', async () => {
    // Large enough for reads into a buffer of its own, whose chunks are held instead of copied.
    const body = Buffer.alloc(6 * MIB, 'abcdefghij');
    await using upstream = await HttpUpstream.start(
      reply({ body, headers: { 'content-length': `${body.length}` } }),
    );
    await withProxy({ upstream }, async (proxy) => {
      const clients = [];
      for (let i = 0; i < 8; i++) {
        const client = await open(proxy.port);
        client.write(GET);
        clients.push(client);
      }
      for (const client of clients) {
        let received = 0;
        let wrong = 0;
        const head = Buffer.from('\r\n\r\n');
        let inBody = false;
        const ended = new Promise<void>((resolve) => {
          client.on('data', (chunk: Buffer) => {
            let part = chunk;
            if (!inBody) {
              part = chunk.subarray(chunk.indexOf(head) + head.length);
              inBody = true;
            }
            for (let i = 0; i < part.length; i += 997) if (part[i] !== 97 + ((received + i) % 10)) wrong++;
            received += part.length;
            if (received === body.length) resolve();
            client.pause();
            setImmediate(() => client.resume());
          });
        });
        client.resume();
        await ended;
        expect(wrong).toBe(0);
      }
      await eventually(() => proxy.stat('cluster.upstream.upstream_rq_active') === 0);
      expect((await proxy.get()).status).toBe(200);
      for (const client of clients) client.destroy();
    });
  });
});
