import { create, HttpInspectorSchema } from '@dragoman/api';
import { connectionInfo, listenerFilterConformance, peekThrough, testContext } from '@dragoman/testing';
import { StreamInfo } from '@dragoman/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { httpInspector } from '../src/index.ts';

const configOf = (initialReadBufferSize?: number) =>
  create(HttpInspectorSchema, { initialReadBufferSize }) as never;
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

function inspect(text: string | Buffer, step?: number) {
  const context = testContext();
  const bytes = typeof text === 'string' ? Buffer.from(text, 'latin1') : text;
  const outcome = peekThrough(
    httpInspector.create(configOf(), context)(),
    bytes,
    step ?? Math.max(bytes.length, 1),
  );
  return { ...outcome, used: context.stats.used(), protocols: outcome.info.applicationProtocols };
}

listenerFilterConformance(
  { describe, it },
  {
    extension: httpInspector,
    config: configOf(),
    samples: [
      {
        name: 'HTTP/1.1',
        bytes: Buffer.from('GET / HTTP/1.1\r\nhost: a\r\n\r\n'),
        verdict: 'continue',
        info: { applicationProtocols: ['http/1.1'] },
      },
      {
        name: 'HTTP/2',
        bytes: Buffer.from(`${PREFACE}\0\0\0\x04`),
        verdict: 'continue',
        info: { applicationProtocols: ['h2c'] },
      },
    ],
  },
);

const FOUND = { 'http/1.0': 'http10_found', 'http/1.1': 'http11_found', h2c: 'http2_found' } as const;

describe('the protocol', () => {
  it.each<[string, keyof typeof FOUND]>([
    ['GET / HTTP/1.1\r\n', 'http/1.1'],
    ['GET / HTTP/1.1\n', 'http/1.1'],
    ['OPTIONS * HTTP/1.1\r\n', 'http/1.1'],
    ['CONNECT a.example:443 HTTP/1.1\r\n', 'http/1.1'],
    ['GET http://a.example/b?c HTTP/1.1\r\n', 'http/1.1'],
    ['GET https://a.example HTTP/1.1\r\n', 'http/1.1'],
    ['BREW /pot HTTP/1.1\r\n', 'http/1.1'],
    ['M-SEARCH * HTTP/1.1\r\n', 'http/1.1'],
    ['GET  /two/blanks \t HTTP/1.1 \r\n', 'http/1.1'],
    ['GET / HTTP/1.0\r\n', 'http/1.0'],
    ['GET /\r\n', 'http/1.0'],
    ['GET / HTTP/0.9\r\n', 'http/1.0'],
    ['GET / HTTP/1.2\r\n', 'http/1.0'],
    ['PRI * HTTP/2.0\r\n\r\nno preface', 'http/1.0'],
    [PREFACE, 'h2c'],
    [`GET /${'a'.repeat(60_000)} HTTP/1.1\r\n`, 'http/1.1'],
  ])('of %j is %s', (text, protocol) => {
    for (const step of [undefined, text.length > 1000 ? 4096 : 1]) {
      const { verdict, consumed, protocols, used } = inspect(text, step);
      expect([verdict, consumed, protocols]).toEqual(['continue', 0, [protocol]]);
      expect(used).toEqual({ [`http_inspector.${FOUND[protocol]}`]: 1 });
    }
  });

  it.each([
    '\r\nGET / HTTP/1.1\r\n',
    '\n',
    ' GET / HTTP/1.1\r\n',
    'GET\r\n',
    'GET \r\n',
    'G(T / HTTP/1.1\r\n',
    'GET nowhere HTTP/1.1\r\n',
    'GET ://a HTTP/1.1\r\n',
    'GET http://a@@b/ HTTP/1.1\r\n',
    'GET http://a"b/ HTTP/1.1\r\n',
    'GET /\x7f HTTP/1.1\r\n',
    'GET /\xe4 HTTP/1.1\r\n',
    'GET / HTTP/1.1 more\r\n',
    'GET / http/1.1\r\n',
    'GET / HTTP/11\r\n',
    '\x16\x03\x01\x02\x00\x01',
    '\0\0\0\0',
    '{"json": 1}\n',
  ])('of %j is not HTTP', (text) => {
    for (const step of [undefined, 1]) {
      const { verdict, protocols, used } = inspect(text, step);
      expect([verdict, protocols]).toEqual(['continue', []]);
      expect(used).toEqual({ 'http_inspector.http_not_found': 1 });
    }
  });

  it.each(['', 'G', 'GET / HTTP/1.1\r', PREFACE.slice(0, -1)])('of %j is not known yet', (text) => {
    const { verdict, used } = inspect(text);
    expect([verdict, used]).toEqual(['wait', {}]);
  });

  it('is looked for in 64 KiB at most', () => {
    for (const step of [undefined, 5000]) {
      const { verdict, used } = inspect(`GET /${'a'.repeat(66_000)}`, step);
      expect([verdict, used]).toEqual(['close', { 'http_inspector.read_error': 1 }]);
    }
  });

  it('is not looked for in what is encrypted', () => {
    for (const [transportProtocol, verdict] of [
      ['tls', 'continue'],
      ['raw_buffer', 'wait'],
      ['', 'wait'],
    ] as const) {
      const info = connectionInfo({ transportProtocol, applicationProtocols: ['h2'] });
      const filter = httpInspector.create(configOf(), testContext())();
      const streamInfo = new StreamInfo(info, 0, 0);
      const socket = { info, streamInfo, descriptor: -1, peeked: Buffer.alloc(0) };
      expect(filter.onAccept(socket)).toBe(verdict);
      expect(info.applicationProtocols).toEqual(['h2']);
    }
  });
});

it('asks for 8 KiB, or initial_read_buffer_size, then for twice as much', () => {
  for (const [size, expected] of [
    [undefined, [8192, 16_384, 32_768, 65_536]],
    [256, [256, 512, 1024, 2048]],
  ] as const) {
    const filter = httpInspector.create(configOf(size), testContext())();
    const info = connectionInfo({ transportProtocol: '' });
    const asked = [filter.maxReadBytes];
    while (asked.length < 4) {
      const peeked = Buffer.alloc(filter.maxReadBytes, 'a');
      filter.onData?.({ info, streamInfo: new StreamInfo(info, 0, 0), descriptor: -1, peeked });
      asked.push(filter.maxReadBytes);
    }
    expect(asked).toEqual(expected);
  }
});

describe('hostile bytes', () => {
  const line = fc
    .array(
      fc.constantFrom('GET', ' ', '\t', '/', 'http://', '@', 'HTTP/1.1', '\r', '\n', 'PRI * ', '\0', 'ä'),
      {
        maxLength: 12,
      },
    )
    .map((parts) => Buffer.from(parts.join(''), 'latin1'));
  const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array));

  it('never throw, and mean the same in any pieces', () => {
    fc.assert(
      fc.property(fc.oneof(line, bytes), fc.integer({ min: 1, max: 9 }), (input, step) => {
        const atOnce = inspect(input);
        const inPieces = inspect(input, step);
        expect([inPieces.verdict, inPieces.protocols]).toEqual([atOnce.verdict, atOnce.protocols]);
      }),
      // A control character ends a method as a space does, with the first piece or with all of them.
      { numRuns: 1000, examples: [[Buffer.from('GET\rhttp://\n', 'latin1'), 1]] },
    );
  });

  it.each([
    ['blanks', `a b${' '.repeat(65_000)}x y\n`],
    ['words', `${'a '.repeat(32_000)}\n`],
    ['blanks at the end', `GET / HTTP/1.1${' '.repeat(65_000)}\n`],
  ])('64 KiB of %s are read in linear time', (_, text) => {
    const started = process.cpuUsage().user;
    expect(inspect(text).verdict).toBe('continue');
    expect((process.cpuUsage().user - started) / 1000).toBeLessThan(500);
  });
});
