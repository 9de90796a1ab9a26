import { eventually, RawUpstream } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { type TestProxy, withProxy } from './support/proxy.ts';

/** An upstream that answers every head it sees and keeps all bytes it got. */
async function recorder(): Promise<{ upstream: RawUpstream; bytes: () => string }> {
  const received: string[] = [];
  const upstream = await RawUpstream.start(async (connection, index) => {
    received[index] = '';
    for (;;) {
      const some = (await connection.readSome()).toString('latin1');
      if (some === '') return;
      received[index] += some;
      if (received[index].endsWith('\r\n\r\n'))
        await connection.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
    }
  });
  return { upstream, bytes: () => received.join('\n--- next connection\n') };
}

const HOST = 'host: a.example\r\n';
const post = (fields: string, body = ''): string => `POST /victim HTTP/1.1\r\n${HOST}${fields}\r\n${body}`;
const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nhost: a.example\r\n\r\n';

/** Requests with two readings. Behind each stands a second request, which one of the readings would hide in the first. */
const AMBIGUOUS: readonly (readonly [name: string, bytes: string])[] = [
  ['CL.TE', post('content-length: 4\r\ntransfer-encoding: chunked\r\n', '0\r\n\r\n')],
  ['TE.CL', post('transfer-encoding: chunked\r\ncontent-length: 4\r\n', '0\r\n\r\n')],
  [
    'TE.TE with an obfuscated coding',
    post('transfer-encoding: chunked\r\ntransfer-encoding: xchunked\r\n', '0\r\n\r\n'),
  ],
  ['a blank before the colon', post('transfer-encoding : chunked\r\n', '0\r\n\r\n')],
  ['a tab before the colon', post('transfer-encoding\t: chunked\r\n', '0\r\n\r\n')],
  ['a folded coding', post('transfer-encoding:\r\n chunked\r\n', '0\r\n\r\n')],
  ['a vertical tab before the coding', post('transfer-encoding: \x0bchunked\r\n', '0\r\n\r\n')],
  ['a NUL behind the coding', post('transfer-encoding: chunked\0\r\n', '0\r\n\r\n')],
  ['a quoted coding', post('transfer-encoding: "chunked"\r\n', '0\r\n\r\n')],
  ['a coding behind chunked', post('transfer-encoding: chunked, identity\r\n', '0\r\n\r\n')],
  ['an empty coding', post('transfer-encoding:\r\ncontent-length: 4\r\n', 'abcd')],
  ['two lengths', post('content-length: 0\r\ncontent-length: 44\r\n')],
  ['a list of lengths', post('content-length: 0, 44\r\n')],
  ['a signed length', post('content-length: +0\r\n')],
  ['a hexadecimal length', post('content-length: 0x0\r\n')],
  ['a length with a blank inside', post('content-length: 0 0\r\n')],
  ['an empty length', post('content-length:\r\n')],
  ['a length beyond 64 bits', post('content-length: 18446744073709551616\r\n')],
  ['a bare CR that hides a length', post('x: a\rcontent-length: 44\r\n')],
  ['a bare LF behind a header', post('x: a\ncontent-length: 44\r\n')],
  ['a bare LF that ends the head', `GET /victim HTTP/1.1\r\n${HOST}\n`],
  ['an empty header name', post(': x\r\ncontent-length: 0\r\n')],
  ['a line without a colon', post('content-length\r\n')],
  ['TE in HTTP/1.0', `POST /victim HTTP/1.0\r\n${HOST}transfer-encoding: chunked\r\n\r\n0\r\n\r\n`],
  ['no version', `GET /victim\r\n${HOST}\r\n`],
  ['HTTP/1.0 that is not accepted', `GET /victim HTTP/1.0\r\n${HOST}\r\n`],
  ['HTTP/2 in clear', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['a blank in the target', `GET /vic tim HTTP/1.1\r\n${HOST}\r\n`],
  ['a tab in the target', `GET /vic\ttim HTTP/1.1\r\n${HOST}\r\n`],
  ['a NUL in the target', `GET /vic\0tim HTTP/1.1\r\n${HOST}\r\n`],
  ['a CR in the target', `GET /vic\rtim HTTP/1.1\r\n${HOST}\r\n`],
  ['a fragment of a header in the target', `GET /victim HTTP/1.1\x0bx: HTTP/1.1\r\n${HOST}\r\n`],
  ['no Host', 'GET /victim HTTP/1.1\r\n\r\n'],
  ['two Hosts', `GET /victim HTTP/1.1\r\n${HOST}host: b.example\r\n\r\n`],
  ['two equal Hosts', `GET /victim HTTP/1.1\r\n${HOST}${HOST}\r\n`],
  ['user information in Host', 'GET /victim HTTP/1.1\r\nhost: u@a.example\r\n\r\n'],
  ['a path in Host', 'GET /victim HTTP/1.1\r\nhost: a.example/x\r\n\r\n'],
  ['GET *', `GET * HTTP/1.1\r\n${HOST}\r\n`],
  ['an authority as the target of GET', `GET a.example:80 HTTP/1.1\r\n${HOST}\r\n`],
  ['a length on CONNECT', `CONNECT a.example:80 HTTP/1.1\r\n${HOST}content-length: 44\r\n\r\n`],
];

/** Bodies whose framing breaks behind a good head. */
const BROKEN_CHUNKS: readonly (readonly [name: string, body: string])[] = [
  ['a size with a blank', '5 \r\nhello\r\n0\r\n\r\n'],
  ['a signed size', '+5\r\nhello\r\n0\r\n\r\n'],
  ['a size with 0x', '0x5\r\nhello\r\n0\r\n\r\n'],
  ['an empty size', '\r\nhello\r\n0\r\n\r\n'],
  ['a size beyond 64 bits', '10000000000000005\r\nhello\r\n0\r\n\r\n'],
  ['a size that ends with LF', '5\nhello\r\n0\r\n\r\n'],
  ['data longer than its size', '5\r\nhello!\r\n0\r\n\r\n'],
  ['LF behind the data', '5\r\nhello\n0\r\n\r\n'],
  ['an LF in an extension', '5;a\nb\r\nhello\r\n0\r\n\r\n'],
  ['an oversized extension', `5;${'a'.repeat(100_000)}\r\nhello\r\n0\r\n\r\n`],
  ['a request as trailer', `0\r\n${SMUGGLED}`],
];

/** Whatever the answer is, it is one, and the connection ends behind it. */
async function expectRefused(proxy: TestProxy, bytes: string): Promise<number> {
  await using client = await proxy.connect();
  await client.write(bytes + SMUGGLED);
  const all = await client.readUntilClose();
  expect(all.match(/^HTTP\/1\.1 /gm), all).toHaveLength(1);
  expect(all).toMatch(/\r\nconnection: close\r\n/i);
  return Number(all.slice(9, 12));
}

describe('smuggling', () => {
  it('answers each ambiguous request with an error, closes, and forwards nothing', async () => {
    const { upstream, bytes } = await recorder();
    await using _ = upstream;
    // With AUTO the preface of HTTP/2 is no garbage.
    await withProxy({ upstream, manager: { codec_type: 'HTTP1' } }, async (proxy) => {
      const statuses: Record<string, number> = {};
      for (const [name, request] of AMBIGUOUS) statuses[name] = await expectRefused(proxy, request);
      expect(statuses).toEqual(
        Object.fromEntries(AMBIGUOUS.map(([name]) => [name, name.includes('HTTP/1.0') ? 426 : 400])),
      );
      expect(bytes()).toBe('');
      expect(proxy.stat('cluster.upstream.upstream_rq_total')).toBe(0);
      // What is refused as it stands (no Host, HTTP/1.0) is no protocol error.
      const refusals = (await proxy.log(AMBIGUOUS.length)).filter(({ flags }) => flags !== 'DPE').length;
      expect(proxy.stat('http.test.downstream_cx_protocol_error')).toBe(AMBIGUOUS.length - refusals);
      expect(refusals).toBeLessThanOrEqual(3);
      expect(await proxy.log(AMBIGUOUS.length)).toHaveLength(AMBIGUOUS.length);
    });
  });

  it.each(BROKEN_CHUNKS)('chunked body with %s: cut off, the rest is no request', async (_, body) => {
    const { upstream, bytes } = await recorder();
    await using _upstream = upstream;
    await withProxy({ upstream }, async (proxy) => {
      await using client = await proxy.connect();
      await client.write(
        `POST /victim HTTP/1.1\r\n${HOST}transfer-encoding: chunked\r\n\r\n${body}${SMUGGLED}`,
      );
      const all = await client.readUntilClose();
      expect(all.match(/^HTTP\/1\.1 /gm)).toHaveLength(1);
      expect(all).toMatch(/^HTTP\/1\.1 4\d\d /);
      await eventually(() => proxy.stat('cluster.upstream.upstream_rq_active') === 0);
      expect(bytes()).not.toContain('smuggled');
      expect((await proxy.log())[0]).toMatchObject({ flags: 'DPE' });
    });
  });

  it('what is forwarded has one framing, whatever the client chose', async () => {
    const { upstream, bytes } = await recorder();
    await using _ = upstream;
    await withProxy({ upstream }, async (proxy) => {
      await proxy.send(
        post('Transfer-Encoding: CHUNKED\r\nX-Kept: 1\r\n', '3;ext="a;b"\r\nabc\r\n0\r\n\r\n'),
      );
      const head = bytes();
      expect(head.match(/^(transfer-encoding|content-length):/gim)).toEqual(['transfer-encoding:']);
      // Chunks are framed anew: no extension passes.
      expect(head).not.toContain('ext=');
    });
  });

  it('a request hidden in a body stays a body', async () => {
    const { upstream, bytes } = await recorder();
    await using _ = upstream;
    await withProxy({ upstream }, async (proxy) => {
      const response = await proxy.send(post(`content-length: ${SMUGGLED.length}\r\n`, SMUGGLED));
      expect(response.status).toBe(200);
      expect(proxy.stat('http.test.downstream_rq_total')).toBe(1);
      expect(bytes()).toContain(`content-length: ${SMUGGLED.length}\r\n`);
    });
  });
});

describe('limits', () => {
  const limits = async (bytes: string, manager = {}) => {
    const { upstream, bytes: forwarded } = await recorder();
    await using _ = upstream;
    let status = 0;
    let details = '';
    await withProxy({ upstream, manager }, async (proxy) => {
      await using client = await proxy.connect();
      await client.write(bytes);
      status = (await client.readResponse()).status;
      details = (await proxy.log())[0].details;
    });
    return { status, details, forwarded: forwarded() !== '' };
  };
  const head = (fields: string): string => `GET / HTTP/1.1\r\n${HOST}${fields}\r\n`;

  it('60 KiB of headers: just below passes, above is 431', async () => {
    expect(await limits(head(`x: ${'h'.repeat(60 * 1024 - 200)}\r\n`))).toMatchObject({ status: 200 });
    expect(await limits(head(`x: ${'h'.repeat(60 * 1024)}\r\n`))).toEqual({
      status: 431,
      details: 'http1.headers_too_large',
      forwarded: false,
    });
  });

  it('a head that never ends is 431 without being kept whole', async () => {
    expect(await limits(`GET /${'p'.repeat(70_000)}`)).toMatchObject({ status: 431, forwarded: false });
    expect(await limits(`GET / HTTP/1.1\r\n${'a: b\r\n'.repeat(20_000)}`)).toMatchObject({ status: 431 });
  });

  it('100 headers pass, 101 are 431', async () => {
    expect(await limits(head('x: 1\r\n'.repeat(99)))).toMatchObject({ status: 200 });
    expect(await limits(head('x: 1\r\n'.repeat(100)))).toEqual({
      status: 431,
      details: 'http1.too_many_headers',
      forwarded: false,
    });
  });

  it('trailers have the same limits as headers', async () => {
    const chunked = (trailers: string) =>
      `POST / HTTP/1.1\r\n${HOST}transfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n${trailers}\r\n`;
    for (const http_protocol_options of [{ enable_trailers: true }, {}]) {
      const manager = { http_protocol_options };
      expect(await limits(chunked(`x: ${'t'.repeat(70_000)}\r\n`), manager)).toMatchObject({
        status: 431,
        details: 'http1.trailers_too_large',
      });
      expect(await limits(chunked('x: 1\r\n'.repeat(101)), manager)).toMatchObject({
        status: 431,
        details: 'http1.too_many_trailers',
      });
    }
  });

  it('limits of the config hold', async () => {
    const manager = { max_request_headers_kb: 1, common_http_protocol_options: { max_headers_count: 5 } };
    expect(await limits(head(`x: ${'h'.repeat(1100)}\r\n`), manager)).toMatchObject({ status: 431 });
    expect(await limits(head('x: 1\r\n'.repeat(6)), manager)).toMatchObject({ status: 431 });
  });
});
