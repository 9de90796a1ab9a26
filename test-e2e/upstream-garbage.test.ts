import { eventually, RawUpstream } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { withProxy } from './support/proxy.ts';

interface Garbage {
  readonly name: string;
  readonly bytes: string;
  /** What the client must never see of it. */
  readonly hidden?: string;
  /** The response has begun when it breaks. */
  readonly begun?: true;
}

const ok = (fields: string, body = ''): string => `HTTP/1.1 200 OK\r\n${fields}\r\n${body}`;

/** Responses that are no responses: 502, UPE, the connection not used again. */
const GARBAGE: readonly Garbage[] = [
  { name: 'a bad status line', bytes: 'HTTP/1.1 2xx OK\r\ncontent-length: 0\r\n\r\n' },
  { name: 'another protocol', bytes: 'SSH-2.0-OpenSSH_9.2p1\r\n\r\n', hidden: 'SSH' },
  { name: 'a TLS alert', bytes: '\x15\x03\x01\x00\x02\x02\x46' },
  { name: 'an unknown version', bytes: 'HTTP/3.0 200 OK\r\ncontent-length: 0\r\n\r\n' },
  {
    name: 'content-length and transfer-encoding',
    bytes: ok('content-length: 5\r\ntransfer-encoding: chunked\r\n', '0\r\n\r\n'),
  },
  {
    name: 'two content-lengths',
    bytes: ok('content-length: 5\r\ncontent-length: 6\r\n', 'hello!'),
    hidden: 'hello',
  },
  { name: 'an unknown transfer coding', bytes: ok('transfer-encoding: gzip\r\n', 'zzz'), hidden: 'zzz' },
  { name: 'a bare CR behind the status line', bytes: 'HTTP/1.1 200 OK\rx-evil: 1\r\n\r\n', hidden: 'evil' },
  {
    name: 'a bare CR in a value',
    bytes: ok('x-evil: a\rset-cookie: b\r\ncontent-length: 0\r\n'),
    hidden: 'cookie',
  },
  { name: 'a bare LF', bytes: ok('x-evil: a\nset-cookie: b\r\ncontent-length: 0\r\n'), hidden: 'cookie' },
  { name: 'a NUL in a value', bytes: ok('x-evil: a\0b\r\ncontent-length: 0\r\n'), hidden: 'evil' },
  { name: 'an empty header name', bytes: ok(': x\r\ncontent-length: 0\r\n') },
  { name: 'huge headers', bytes: ok(`x-huge: ${'h'.repeat(200_000)}\r\n`), hidden: 'huge' },
  { name: 'too many headers', bytes: ok('x-many: 1\r\n'.repeat(2_000)), hidden: 'many' },
  {
    name: 'a 101 that nobody asked for',
    bytes: 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nraw',
    hidden: 'raw',
  },
  // As in Envoy, the first 1xx begins the response.
  { name: 'endless 1xx', bytes: 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(100), begun: true },
];

describe('a response that is none', () => {
  it.each(GARBAGE)('$name: 502, UPE, connection closed', async ({ bytes, hidden, begun }) => {
    await using upstream = await RawUpstream.start(async (connection) => {
      await connection.readUntil('\r\n\r\n');
      await connection.write(bytes);
      await connection.readUntilClose();
    });
    await withProxy({ upstream }, async (proxy) => {
      await using client = await proxy.connect();
      await client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
      let response = await client.readResponse();
      while (response.status === 103) response = await client.readResponse();
      expect(response.status).toBe(502);
      expect(response.body.toString()).toContain('reset reason: protocol error');
      if (hidden !== undefined) {
        expect(JSON.stringify(response.headers) + response.body.toString('latin1')).not.toContain(hidden);
      }
      const [line] = await proxy.log();
      expect(line).toMatchObject({ status: 502, flags: 'UPE' });
      const when = begun === true ? 'after' : 'before';
      expect(line.details).toMatch(new RegExp(`^upstream_reset_${when}_response_started\\{protocol_error`));
      expect(proxy.stat('cluster.upstream.upstream_cx_protocol_error')).toBe(1);
      await eventually(() => proxy.stat('cluster.upstream.upstream_cx_active') === 0);
    });
  });

  it.each([
    ['a bad chunk size', '5 \r\nhello\r\n'],
    ['a chunk that is too long', '5\r\nhello!!\r\n0\r\n\r\n'],
    ['a bare LF behind a chunk', '5\r\nhello\n0\r\n\r\n'],
    ['a bad trailer', '5\r\nhello\r\n0\r\nnonsense\r\n\r\n'],
    ['trailers that are too large', `5\r\nhello\r\n0\r\nx: ${'t'.repeat(200_000)}\r\n\r\n`],
  ])('%s behind good headers: the client can tell, UPE', async (_, body) => {
    await using upstream = await RawUpstream.start(async (connection) => {
      await connection.readUntil('\r\n\r\n');
      await connection.write(ok('transfer-encoding: chunked\r\n'));
      await connection.readSome();
      await connection.write(body);
      await connection.readUntilClose();
    });
    await withProxy({ upstream }, async (proxy) => {
      await using client = await proxy.connect();
      await client.write('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n');
      await client.readUntil('\r\n\r\n');
      await client.write('go');
      expect(await client.readUntilClose()).not.toContain('0\r\n\r\n');
      expect((await proxy.log())[0]).toMatchObject({ status: 200, flags: 'UPE' });
      await eventually(() => proxy.stat('cluster.upstream.upstream_cx_active') === 0);
    });
  });
});

describe('bytes that belong to no request', () => {
  it('behind a complete response are never the answer to the next request', async () => {
    await using upstream = await RawUpstream.start(async (connection, index) => {
      await connection.readUntil('\r\n\r\n');
      await connection.write(
        index === 0
          ? `${ok('content-length: 4\r\n', 'good')}${ok('content-length: 4\r\n', 'evil')}`
          : ok('content-length: 4\r\n', 'next'),
      );
      await connection.readUntilClose();
    });
    await withProxy({ upstream }, async (proxy) => {
      await using client = await proxy.connect();
      await client.write('GET /1 HTTP/1.1\r\nhost: a\r\n\r\n');
      expect((await client.readResponse()).body.toString()).toBe('good');
      await client.write('GET /2 HTTP/1.1\r\nhost: a\r\n\r\n');
      expect((await client.readResponse()).body.toString()).toBe('next');
      expect(upstream.connections).toHaveLength(2);
    });
  });

  it('on an idle connection end it', async () => {
    await using upstream = await RawUpstream.start(async (connection, index) => {
      await connection.readUntil('\r\n\r\n');
      await connection.write(ok('content-length: 4\r\n', `con${index}`));
      await connection.readUntilClose();
    });
    await withProxy({ upstream }, async (proxy) => {
      expect((await proxy.get('/1')).body.toString()).toBe('con0');
      await (await upstream.connection(1)).write(ok('content-length: 4\r\n', 'evil'));
      await eventually(() => proxy.stat('cluster.upstream.upstream_cx_active') === 0);
      expect((await proxy.get('/2')).body.toString()).toBe('con1');
    });
  });

  it("before any request: at most the first one gets them, and no request another one's answer", async () => {
    await using upstream = await RawUpstream.start(async (connection, index) => {
      if (index === 0) await connection.write(ok('content-length: 4\r\n', 'evil'));
      const target = (await connection.readUntil('\r\n\r\n')).split(' ')[1];
      await connection.write(ok(`content-length: ${target.length}\r\n`, target));
      await connection.readUntilClose();
    });
    await withProxy({ upstream }, async (proxy) => {
      // On a fresh connection the two cross on the wire, and nobody can tell that this is no answer.
      expect(['evil', '/1']).toContain((await proxy.get('/1')).body.toString());
      await eventually(() => proxy.stat('cluster.upstream.upstream_cx_active') === 0);
      expect((await proxy.get('/2')).body.toString()).toBe('/2');
    });
  });

  it('a response before the request is complete: passed on, and the connection is not used again', async () => {
    await using upstream = await RawUpstream.start(async (connection, index) => {
      await connection.readUntil('\r\n\r\n');
      await connection.write(ok('content-length: 5\r\n', `early`));
      if (index === 0) await connection.readUntilClose();
      else await connection.closed;
    });
    await withProxy({ upstream }, async (proxy) => {
      await using client = await proxy.connect();
      await client.write('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc');
      expect((await client.readResponse()).body.toString()).toBe('early');
      await eventually(() => proxy.stat('cluster.upstream.upstream_cx_active') === 0);
      // The rest of that body must not be read as a request: it is drained, or the connection is closed.
      await client.write('GET / HT');
      expect(upstream.connections).toHaveLength(1);
    });
  });

  it('a response to HEAD has no body, whatever its upstream sends', async () => {
    await using upstream = await RawUpstream.start(async (connection, index) => {
      await connection.readUntil('\r\n\r\n');
      await connection.write(
        index === 0 ? ok('content-length: 4\r\n', 'evil') : ok('content-length: 2\r\n', 'ok'),
      );
      await connection.readUntilClose();
    });
    await withProxy({ upstream }, async (proxy) => {
      await using client = await proxy.connect();
      await client.write('HEAD / HTTP/1.1\r\nhost: a\r\n\r\n');
      expect((await client.readResponse(true)).header('content-length')).toBe('4');
      await client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
      expect((await client.readResponse()).body.toString()).toBe('ok');
    });
  });
});
