import { describe, expect, it } from 'vitest';
import { response, serverRig } from './fake-connection.ts';

const START = 'GET / HTTP/1.1\r\nHost: a\r\n';

describe('limits', () => {
  it('takes a head of exactly the limit and refuses one byte more', () => {
    for (const [extra, refused] of [
      [0, false],
      [1, true],
    ] as const) {
      const limit = 2048;
      const padding = limit - START.length - 'X: \r\n\r\n'.length + extra;
      const head = `${START}X: ${'a'.repeat(padding)}\r\n\r\n`;
      for (const parts of [[head], [head.slice(0, 1000), head.slice(1000)]]) {
        const rig = serverRig({ maxHeaderBytes: limit });
        for (const part of parts) rig.feed(part);
        expect(rig.exchanges).toHaveLength(refused ? 0 : 1);
        if (refused) expect(rig.errors[0]).toMatchObject({ status: 431, details: 'http1.headers_too_large' });
      }
    }
  });

  it('bounds the request line with the head', () => {
    const rig = serverRig();
    rig.feed(`GET /${'a'.repeat(61_440)}`);
    expect(rig.errors[0]).toMatchObject({ status: 431, details: 'http1.headers_too_large' });
  });

  it('takes 100 header lines and refuses 101', () => {
    for (const count of [100, 101]) {
      const rig = serverRig();
      rig.feed(`${START}${'X: y\r\n'.repeat(count - 1)}\r\n`);
      expect(rig.exchanges).toHaveLength(count === 100 ? 1 : 0);
      if (count > 100)
        expect(rig.errors[0]).toMatchObject({ status: 431, details: 'http1.too_many_headers' });
    }
  });

  it('takes more lines where it is configured', () => {
    const rig = serverRig({ maxHeaderCount: 1000 });
    rig.feed(`${START}${'X: y\r\n'.repeat(999)}\r\n`);
    expect(rig.exchanges[0]?.headers?.size).toBe(999);
  });

  it('reads a head that comes byte by byte in time linear to its size', () => {
    const rig = serverRig({ maxHeaderBytes: 1024 * 1024 });
    const head = Buffer.from(`${START}X: ${'a'.repeat(500_000)}\r\n\r\n`);
    let copied = 0;
    const copy = Buffer.prototype.copy;
    Buffer.prototype.copy = function (this: Buffer, ...rest: Parameters<typeof copy>): number {
      const count = copy.apply(this, rest);
      copied += count;
      return count;
    };
    try {
      for (let i = 0; i < head.length; i++) rig.codec.dispatch(head.subarray(i, i + 1));
    } finally {
      Buffer.prototype.copy = copy;
    }
    expect(rig.exchanges[0]?.headers?.get('x')).toHaveLength(500_000);
    expect(copied).toBeLessThan(3 * head.length);
  });

  it('bounds what is kept while a request waits for the one before', () => {
    const rig = serverRig();
    rig.feed(`${START}\r\n`);
    const flood = Buffer.alloc(256 * 1024, 'GET / HTTP/1.1\r\n');
    for (let i = 0; i < 8; i++) rig.feed(flood);
    expect(rig.errors).toHaveLength(1);
    expect(rig.exchanges).toHaveLength(1);
  });
});

describe('options', () => {
  it('refuses HTTP/1.0 with 426 unless it is allowed', () => {
    const rig = serverRig();
    rig.feed('GET / HTTP/1.0\r\nHost: a\r\n\r\n');
    expect(rig.errors[0]).toMatchObject({ status: 426, details: 'low_version' });
    const open = serverRig({ acceptHttp10: true, defaultHostForHttp10: 'd.example' });
    open.feed('GET / HTTP/1.0\r\n\r\n');
    expect(open.exchanges[0]?.headers?.authority).toBe('d.example');
    expect(open.exchanges[0]?.protocol).toBe('HTTP/1.0');
    const bare = serverRig({ acceptHttp10: true });
    bare.feed('GET / HTTP/1.0\r\n\r\n');
    expect(bare.errors[0]?.details).toBe('missing_host_header');
  });

  it('refuses absolute-form targets when told to', () => {
    const rig = serverRig({ allowAbsoluteUrl: false });
    rig.feed('GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(rig.errors[0]).toMatchObject({ status: 404, details: 'absolute_path_rejected' });
  });

  it('takes custom methods when told to', () => {
    const rig = serverRig({ allowCustomMethods: true });
    rig.feed('FROB / HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(rig.exchanges[0]?.headers?.method).toBe('FROB');
  });

  it('drops Content-Length beside chunked when told to, and closes', () => {
    const rig = serverRig({ allowChunkedLength: true });
    rig.feed(
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n',
    );
    expect(rig.exchanges[0]?.headers?.has('content-length')).toBe(false);
    expect(rig.exchanges[0]?.body).toBe('x');
    rig.exchanges[0]?.encoder.headers(response(200), true);
    expect(rig.done).toBe(1);
  });

  it.each([
    ['allow', 0, ['x_a', 'y']],
    ['drop', 1, ['y']],
    ['reject', 1, undefined],
  ] as const)('headers with underscores: %s', (action, counted, names) => {
    const seen: string[] = [];
    const rig = serverRig({ headersWithUnderscores: action, onUnderscore: (what) => seen.push(what) });
    rig.feed('GET / HTTP/1.1\r\nHost: a\r\nX_A: b\r\nY: z\r\n\r\n');
    expect(seen).toHaveLength(counted);
    if (names === undefined) expect(rig.errors[0]?.details).toBe('http1.unexpected_underscore');
    else expect(rig.exchanges[0]?.headers?.names).toEqual(names);
  });
});
