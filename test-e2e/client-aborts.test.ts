import { eventually, Gate, gated, HttpUpstream, hang, RawUpstream, rawClient, text } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { withProxy } from './support/proxy.ts';

describe('a client that goes away', () => {
  it.each(['reset', 'close'] as const)(
    'in the middle of its upload (%s): DC, the upstream is told',
    async (how) => {
      await using upstream = await HttpUpstream.start(hang());
      await withProxy({ upstream }, async (proxy) => {
        await using client = await proxy.connect();
        await client.write(
          'POST /up HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n',
          'a'.repeat(10_000),
        );
        const request = await upstream.request();
        if (how === 'reset') client.reset();
        else client.destroy();
        expect(await request.aborted).toBe(true);
        await expect(request.body).rejects.toThrow();
        const [line] = await proxy.log();
        expect(line).toMatchObject({ status: 0, flags: 'DC', details: 'downstream_remote_disconnect' });
        expect(proxy.stat('http.test.downstream_rq_rx_reset')).toBe(1);
        await eventually(() => proxy.stat('http.test.downstream_cx_destroy') === 1);
        expect(proxy.stat('http.test.downstream_cx_destroy_remote_active_rq')).toBe(1);
        expect(proxy.stat('cluster.upstream.upstream_rq_tx_reset')).toBe(1);
        await eventually(() => upstream.openConnections === 0);
      });
    },
  );

  it('while it waits for the answer: DC, the upstream connection is closed', async () => {
    await using upstream = await HttpUpstream.start(hang());
    await withProxy({ upstream }, async (proxy) => {
      await using client = await proxy.connect();
      await client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
      await upstream.request();
      client.reset();
      expect((await proxy.log())[0]).toMatchObject({ status: 0, flags: 'DC' });
      await eventually(() => upstream.openConnections === 0);
    });
  });

  it('while the upstream connects: nothing is sent', async () => {
    await using upstream = await HttpUpstream.start(text('late'));
    await withProxy({ upstream }, async (proxy) => {
      for (let i = 0; i < 20; i++) {
        const client = await rawClient({ port: proxy.port });
        client.socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
        setImmediate(() => client.reset());
        await client.closed;
      }
      await proxy.expectIdle();
      expect((await proxy.get()).status).toBe(200);
    });
  });

  it('in the middle of the response: DC, the upstream connection is closed', async () => {
    const gate = new Gate();
    await using upstream = await HttpUpstream.start(async ({ response }) => {
      response.writeHead(200, { 'content-length': '1000' });
      response.write('first');
      await gate.pass();
    });
    await withProxy({ upstream }, async (proxy) => {
      await using client = await proxy.connect();
      await client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
      await client.readUntil('first');
      client.reset();
      expect((await proxy.log())[0]).toMatchObject({ status: 200, flags: 'DC', sent: 5 });
      await eventually(() => upstream.openConnections === 0);
      gate.open();
    });
  });

  it('with a queue of pipelined requests: those behind the first are not begun', async () => {
    const gate = new Gate();
    await using upstream = await HttpUpstream.start(gated(gate, text('late')));
    await withProxy({ upstream }, async (proxy) => {
      await using client = await proxy.connect();
      await client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n'.repeat(50));
      await upstream.request();
      client.reset();
      await client.closed;
      // While pipelined bytes wait the socket is not read, so that the reset is seen with the next write.
      gate.open();
      await proxy.expectIdle();
      expect(upstream.requests.length).toBeLessThanOrEqual(2);
      expect(proxy.rawLog().length).toBeLessThanOrEqual(2);
    });
  });

  it('before its head is complete: no request was there', async () => {
    await withProxy({ upstream: [] }, async (proxy) => {
      await using client = await proxy.connect();
      await client.write('GET / HTT');
      await eventually(() => proxy.stat('http.test.downstream_cx_active') === 1);
      client.reset();
      await proxy.expectIdle();
      expect(proxy.stat('http.test.downstream_rq_total')).toBe(0);
      expect(proxy.rawLog()).toEqual([]);
    });
  });
});

describe('a client that closes its side', () => {
  it('behind a complete request: gets its answer', async () => {
    const gate = new Gate();
    await using upstream = await HttpUpstream.start(gated(gate, text('answer')));
    await withProxy({ upstream }, async (proxy) => {
      await using client = await proxy.connect();
      await client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
      client.end();
      await gate.reached();
      gate.open();
      expect(await client.readUntilClose()).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\nanswer$/);
    });
  });

  it('in the middle of a body: DC, nothing is made up', async () => {
    await using upstream = await HttpUpstream.start(hang());
    await withProxy({ upstream }, async (proxy) => {
      await using client = await proxy.connect();
      await client.write('POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n');
      const request = await upstream.request();
      client.end();
      await expect(request.body).rejects.toThrow();
      await client.readUntilClose();
      expect((await proxy.log())[0]).toMatchObject({ flags: 'DC' });
    });
  });

  it('on an idle connection: the proxy closes too', async () => {
    await using upstream = await HttpUpstream.start(text('one'));
    await withProxy({ upstream }, async (proxy) => {
      await using client = await proxy.connect();
      await client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
      await client.readResponse();
      client.end();
      expect(await client.readUntilClose()).toBe('');
    });
  });
});

describe('a request that is not read to its end', () => {
  it('a small rest is drained, and the connection goes on', async () => {
    await withProxy({ upstream: [] }, async (proxy) => {
      await using client = await proxy.connect();
      await client.write('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nGET /');
      expect((await client.readResponse()).status).toBe(503);
      await client.write('12345', 'GET /next HTTP/1.1\r\nhost: a\r\n\r\n');
      expect((await client.readResponse()).status).toBe(503);
      expect((await proxy.log(2)).map(({ path }) => path)).toEqual(['/', '/next']);
    });
  });

  it('a large rest ends the connection: no byte of it is read as a request', async () => {
    await withProxy({ upstream: [] }, async (proxy) => {
      await using client = await proxy.connect();
      await client.write('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000000\r\n\r\n');
      const response = await client.readResponse();
      expect(response.status).toBe(503);
      await client.write('GET /evil HTTP/1.1\r\nhost: a\r\n\r\n');
      expect(await client.readUntilClose()).toBe('');
      expect(await proxy.log()).toHaveLength(1);
    });
  });

  it('an endless chunked rest ends the connection within the bound', async () => {
    await withProxy({ upstream: [] }, async (proxy) => {
      await using client = await proxy.connect();
      await client.write('POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n');
      expect((await client.readResponse()).status).toBe(503);
      const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`;
      let sent = 0;
      while (!client.peerEnded && client.error === undefined && !client.socket.destroyed) {
        await client.write(chunk);
        sent += chunk.length;
        expect(sent).toBeLessThan(64 * 1024 * 1024);
      }
      expect(await proxy.log()).toHaveLength(1);
    });
  });
});

describe('Expect: 100-continue that is not waited for', () => {
  it('a body which the client never sends is no next request', async () => {
    await withProxy({ upstream: [] }, async (proxy) => {
      await using client = await proxy.connect();
      await client.write('POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 44\r\n\r\n');
      let response = await client.readResponse();
      if (response.status === 100) response = await client.readResponse();
      expect(response.status).toBe(503);
      await client.write('GET /evil HTTP/1.1\r\nhost: a\r\npadding: 12345\r\n\r\n');
      await eventually(() => proxy.rawLog().length >= 1);
      expect(proxy.rawLog().join()).not.toContain('/evil');
    });
  });
});

describe('an upstream that is slow to read', () => {
  it('stops the client instead of filling memory, and gets every byte', async () => {
    const size = 8 * 1024 * 1024;
    const gate = new Gate();
    await using upstream = await RawUpstream.start(async (connection) => {
      connection.pause();
      await gate.pass();
      connection.resume();
      const head = await connection.readUntil('\r\n\r\n');
      expect(head).toContain(`content-length: ${size}`);
      await connection.read(size);
      await connection.write('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone');
      await connection.readUntilClose();
    });
    const listener = { per_connection_buffer_limit_bytes: 65_536 };
    const upstreamFields = { per_connection_buffer_limit_bytes: 65_536 };
    await withProxy({ upstream, listener, upstreamFields }, async (proxy) => {
      await using client = await proxy.connect();
      await client.write(`POST / HTTP/1.1\r\nhost: a\r\ncontent-length: ${size}\r\n\r\n`);
      client.socket.write(Buffer.alloc(size, 'x'));
      await gate.reached();
      await eventually(() => proxy.stat('http.test.downstream_flow_control_paused_reading_total') >= 1);
      expect(proxy.stat('cluster.upstream.upstream_cx_tx_bytes_buffered')).toBeLessThan(1024 * 1024);
      gate.open();
      expect((await client.readResponse()).body.toString()).toBe('done');
      expect((await proxy.log())[0]).toMatchObject({ received: size, flags: '-' });
      expect(proxy.stat('cluster.upstream.upstream_flow_control_backed_up_total')).toBeGreaterThanOrEqual(1);
    });
  });
});
