import { createHash } from 'node:crypto';
import {
  echo,
  Gate,
  gated,
  HttpUpstream,
  inTurn,
  type RawConnection,
  RawUpstream,
  reply,
  SeededRandom,
  text,
} from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { withProxy } from './support/proxy.ts';

const GET = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';

describe('connections', () => {
  it('one downstream connection carries many requests over one upstream connection', async () => {
    await using upstream = await HttpUpstream.start(text('hello'));
    await withProxy({ upstream }, async (proxy) => {
      await using client = await proxy.connect();
      for (let i = 0; i < 100; i++) {
        await client.write(GET);
        expect((await client.readResponse()).body.toString()).toBe('hello');
      }
      expect(upstream.connectionCount).toBe(1);
      expect(proxy.stat('http.test.downstream_cx_total')).toBe(1);
      expect(proxy.stat('http.test.downstream_rq_2xx')).toBe(100);
      expect(await proxy.log(100)).toHaveLength(100);
    });
  });

  it('connection: close is kept', async () => {
    await using upstream = await HttpUpstream.start(text('hello'));
    await withProxy({ upstream }, async (proxy) => {
      await using client = await proxy.connect();
      await client.write(`GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n${GET}`);
      const all = await client.readUntilClose();
      expect(all.match(/^HTTP/gm)).toHaveLength(1);
      expect(all).toContain('connection: close\r\n');
      // It was meant for this hop only.
      expect((await upstream.request()).header('connection')).not.toBe('close');
    });
  });

  it('pipelined requests are answered in order, also when the first is the slowest', async () => {
    const gate = new Gate();
    await using upstream = await HttpUpstream.start(
      inTurn(gated(gate, reply({ body: '0' })), ({ request, response }) => {
        response.end(request.path);
      }),
    );
    await withProxy({ upstream }, async (proxy) => {
      await using client = await proxy.connect();
      const requests = Array.from({ length: 40 }, (_, i) =>
        i % 3 === 2
          ? `POST /${i} HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbody`
          : `GET /${i} HTTP/1.1\r\nhost: a\r\n\r\n`,
      );
      await client.write(requests.join(''));
      await gate.reached();
      gate.open();
      const responses = await client.readResponses(40);
      expect(responses.map(({ body }) => body.toString())).toEqual(
        requests.map((_, i) => (i === 0 ? '0' : `/${i}`)),
      );
    });
  });

  it('a request that arrives byte by byte', async () => {
    await using upstream = await HttpUpstream.start(echo());
    await withProxy({ upstream }, async (proxy) => {
      const bytes =
        'POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;e=1\r\nd\r\n0\r\n\r\n';
      const response = await proxy.send(...bytes);
      expect(response.body.toString()).toBe('abcd');
    });
  });
});

describe('messages without a body', () => {
  it('HEAD keeps the length and sends no body', async () => {
    await using upstream = await HttpUpstream.start(reply({ headers: { 'content-length': '5' }, body: '' }));
    await withProxy({ upstream }, async (proxy) => {
      await using client = await proxy.connect();
      await client.write('HEAD / HTTP/1.1\r\nhost: a\r\n\r\n');
      const response = await client.readResponse(true);
      expect([response.status, response.header('content-length')]).toEqual([200, '5']);
      upstream.answer = text('hello');
      await client.write(GET);
      expect((await client.readResponse()).body.toString()).toBe('hello');
    });
  });

  it.each([204, 304])('%i has none and keeps the connection', async (status) => {
    await using upstream = await HttpUpstream.start(reply({ status, headers: { etag: '"x"' } }));
    await withProxy({ upstream }, async (proxy) => {
      await using client = await proxy.connect();
      await client.write(GET, GET);
      const responses = await client.readResponses(2);
      for (const response of responses) {
        expect([response.status, response.header('etag')]).toEqual([status, '"x"']);
        expect(response.header('transfer-encoding')).toBeUndefined();
      }
    });
  });

  it('a local reply to HEAD has none either', async () => {
    await withProxy({ upstream: [] }, async (proxy) => {
      await using client = await proxy.connect();
      await client.write('HEAD / HTTP/1.1\r\nhost: a\r\n\r\n');
      expect((await client.readResponse(true)).status).toBe(503);
      await client.write(GET);
      expect((await client.readResponse()).body.toString()).toBe('no healthy upstream');
    });
  });
});

describe('interim responses', () => {
  it('100-continue: the proxy answers it, and the body follows', async () => {
    await using upstream = await HttpUpstream.start(echo());
    await withProxy({ upstream }, async (proxy) => {
      await using client = await proxy.connect();
      await client.write('POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n');
      expect((await client.readResponse()).status).toBe(100);
      await client.write('hello');
      expect((await client.readResponse()).body.toString()).toBe('hello');
      expect((await upstream.request()).header('expect')).toBeUndefined();
    });
  });

  it('proxy_100_continue: the upstream answers it', async () => {
    await using upstream = await HttpUpstream.start(echo());
    await withProxy({ upstream, manager: { proxy_100_continue: true } }, async (proxy) => {
      await using client = await proxy.connect();
      await client.write('POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n');
      expect((await client.readResponse()).status).toBe(100);
      await client.write('hello');
      expect((await client.readResponse()).body.toString()).toBe('hello');
      expect((await upstream.request()).header('expect')).toBe('100-continue');
    });
  });
});

describe('chunked bodies and trailers', () => {
  it('chunked both ways; trailers pass when they are enabled', async () => {
    await using upstream = await RawUpstream.start(async (connection) => {
      const request = await connection.readUntil('x-sum: 1\r\n\r\n');
      expect(request).toMatch(/transfer-encoding: chunked\r\n/);
      await connection.write(
        'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\nx-check: 2\r\n\r\n',
      );
      await connection.readUntilClose();
    });
    const enable = { enable_trailers: true };
    const upstreamFields = {
      typed_extension_protocol_options: {
        'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
          '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
          explicit_http_config: { http_protocol_options: enable },
        },
      },
    };
    await withProxy(
      { upstream, upstreamFields, manager: { http_protocol_options: enable } },
      async (proxy) => {
        const response = await proxy.send(
          'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nx-sum: 1\r\n\r\n',
        );
        expect(response.body.toString()).toBe('onetwo');
        expect(response.trailers).toEqual([['x-check', '2']]);
      },
    );
  });

  it('trailers are dropped when they are not enabled, and the body is whole', async () => {
    await using upstream = await HttpUpstream.start(echo());
    await withProxy({ upstream }, async (proxy) => {
      const response = await proxy.send(
        'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nx-sum: 1\r\n\r\n',
      );
      expect(response.body.toString()).toBe('ab');
      expect(response.trailers).toEqual([]);
    });
  });
});

describe('integrity', () => {
  const SEED = 20;

  it(`bodies of 0 B to 10 MiB come back unchanged, however they are cut (seed ${SEED})`, async () => {
    await using upstream = await HttpUpstream.start(echo());
    await withProxy({ upstream }, async (proxy) => {
      await using client = await proxy.connect();
      const random = new SeededRandom(SEED);
      const below = (limit: number): number => Math.floor(random.random() * limit);
      const sizes = [0, 1, 16_383, 16_384, 65_535, 65_536, 65_537, 1_048_576, 10 * 1024 * 1024];
      while (sizes.length < 60) sizes.push(below(below(4) === 0 ? 400_000 : 40_000));
      for (const size of sizes) {
        const body = randomBytes(size, below);
        const chunked = below(2) === 0;
        const head = chunked ? 'transfer-encoding: chunked' : `content-length: ${size}`;
        const pieces: Buffer[] = [Buffer.from(`POST / HTTP/1.1\r\nhost: a\r\n${head}\r\n\r\n`)];
        for (let at = 0; at < size; ) {
          const piece = body.subarray(at, at + 1 + below(Math.max(1, size >> below(8))));
          at += piece.length;
          if (chunked) pieces.push(Buffer.from(`${piece.length.toString(16)}\r\n`));
          pieces.push(piece);
          if (chunked) pieces.push(Buffer.from('\r\n'));
        }
        if (chunked) pieces.push(Buffer.from('0\r\n\r\n'));
        // The answer begins while the request is being written: a peer that only writes would deadlock.
        const written = client.write(...gather(pieces, below));
        const response = await readLarge(client, size);
        await written;
        expect([response.length, hash(response)], `size ${size}, chunked ${chunked}`).toEqual([
          size,
          hash(body),
        ]);
      }
      expect(await proxy.log(sizes.length)).toHaveLength(sizes.length);
    });
  });

  /** The echo answers chunked; its body, without parsing from the start again with each packet. */
  async function readLarge(client: RawConnection, size: number): Promise<Buffer> {
    const head = await client.readUntil('\r\n\r\n');
    expect(head).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    const parts: Buffer[] = [];
    for (;;) {
      const length = Number.parseInt(await client.readUntil('\r\n'), 16);
      if (length > 0) parts.push(await client.read(length));
      await client.read(2);
      if (length === 0) return parts.length === 0 && size === 0 ? Buffer.alloc(0) : Buffer.concat(parts);
    }
  }

  const hash = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
});

function randomBytes(size: number, below: (limit: number) => number): Buffer {
  const bytes = Buffer.allocUnsafe(size);
  for (let i = 0; i + 4 <= size; i += 4) bytes.writeUInt32LE(below(0x1_0000_0000), i);
  for (let i = size & ~3; i < size; i++) bytes[i] = below(256);
  return bytes;
}

/** Joins pieces at random, so that packets hold parts of several chunks. */
function gather(pieces: readonly Buffer[], below: (limit: number) => number): Buffer[] {
  const joined: Buffer[] = [];
  for (let at = 0; at < pieces.length; ) {
    const count = 1 + below(1 + (pieces.length >> 4));
    joined.push(Buffer.concat(pieces.slice(at, at + count)));
    at += count;
  }
  return joined;
}
