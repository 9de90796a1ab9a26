import { create, type TlsInspector, TlsInspectorSchema } from '@dragoman/api';
import {
  alpnExtension,
  encodeClientHello,
  encodeClientHelloBody,
  encodeHandshake,
  encodeRecords,
  serverNameExtension,
  uint16,
  vector16,
} from '@dragoman/client-hello';
import {
  listenerFilterConformance,
  peekThrough,
  realClientHello,
  type TestContext,
  testContext,
} from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { tlsInspector } from '../src/index.ts';

const configOf = (fields: Partial<TlsInspector> = {}) =>
  create(TlsInspectorSchema, fields as object) as never;

function inspect(bytes: Buffer, fields: Partial<TlsInspector> = {}, step = bytes.length) {
  const context: TestContext = testContext();
  const filter = tlsInspector.create(configOf(fields), context)();
  const outcome = peekThrough(filter, bytes, Math.max(step, 1));
  const metadata = outcome.streamInfo.hasDynamicMetadata
    ? outcome.streamInfo.dynamicMetadata.get('envoy.filters.listener.tls_inspector')
    : undefined;
  return {
    ...outcome,
    reason: metadata?.['failure_reason'],
    failure: outcome.info.transportFailureReason,
    used: context.stats.used(),
    processed: context.stats.samples('tls_inspector.bytes_processed'),
  };
}

const hello = encodeClientHello({
  extensions: [serverNameExtension('Shop.Example.com'), alpnExtension('h2', 'http/1.1')],
});
const TLS = {
  transportProtocol: 'tls',
  requestedServerName: 'shop.example.com',
  applicationProtocols: ['h2', 'http/1.1'],
};

listenerFilterConformance(
  { describe, it },
  {
    extension: tlsInspector,
    config: configOf({ enableJa3Fingerprinting: true, enableJa4Fingerprinting: true }),
    invalid: [
      {
        name: 'a limit above a record',
        config: configOf({ maxClientHelloSize: 16_385 }),
        path: 'max_client_hello_size',
      },
    ],
    samples: [
      { name: 'a ClientHello', bytes: hello, verdict: 'continue', info: TLS },
      {
        name: 'HTTP',
        bytes: Buffer.from('GET / HTTP/1.1\r\n\r\n'),
        verdict: 'continue',
        info: { transportProtocol: '' },
      },
    ],
  },
);

describe('a ClientHello', () => {
  const odd: [string, Buffer, Partial<typeof TLS>, Record<string, number>][] = [
    ['with name and protocols', hello, TLS, { sni_found: 1, alpn_found: 1, tls_found: 1 }],
    [
      'without extensions',
      encodeClientHello({}),
      { requestedServerName: '', applicationProtocols: [] },
      { sni_not_found: 1, alpn_not_found: 1, tls_found: 1 },
    ],
    [
      'with only a name',
      encodeClientHello({ extensions: [serverNameExtension('a.b')] }),
      { requestedServerName: 'a.b', applicationProtocols: [] },
      { sni_found: 1, alpn_not_found: 1, tls_found: 1 },
    ],
    [
      'with an ALPN list that is none',
      encodeClientHello({ extensions: [[16, Buffer.from([0, 3, 9, 104, 50])]] }),
      { applicationProtocols: [] },
      { sni_not_found: 1, alpn_not_found: 1, tls_found: 1 },
    ],
    [
      'with an empty protocol',
      encodeClientHello({ extensions: [[16, vector16(Buffer.from([0, 1, 97]))]] }),
      { applicationProtocols: [] },
      { sni_not_found: 1, alpn_not_found: 1, tls_found: 1 },
    ],
    [
      'of SSL 3.0, which the TLS stack has to refuse',
      encodeClientHello({ version: 0x0300, extensions: [serverNameExtension('old')] }),
      { requestedServerName: 'old' },
      { sni_found: 1, alpn_not_found: 1, tls_found: 1 },
    ],
    [
      'whose first of two names counts',
      encodeClientHello({ extensions: [serverNameExtension('first'), serverNameExtension('second')] }),
      { requestedServerName: 'first' },
      { sni_found: 1, alpn_not_found: 1, tls_found: 1 },
    ],
    [
      'with bytes of another record behind it',
      Buffer.concat([hello, encodeRecords(Buffer.from('early data'), 100, 23)]),
      TLS,
      { sni_found: 1, alpn_found: 1, tls_found: 1 },
    ],
  ];
  it.each(odd)('%s', (_, bytes, info, stats) => {
    for (const step of [bytes.length, 1]) {
      const { verdict, info: learnt, used, consumed } = inspect(bytes, {}, step);
      expect([verdict, consumed]).toEqual(['continue', 0]);
      expect(learnt).toMatchObject({ transportProtocol: 'tls', ...info });
      expect(used).toEqual(
        Object.fromEntries(Object.entries(stats).map(([name, n]) => [`tls_inspector.${name}`, n])),
      );
    }
  });

  it.each([1, 2, 3, 5, 7, 100, 16_384])('in records of %i bytes, byte by byte', (size) => {
    const bytes = encodeClientHello(
      { extensions: [serverNameExtension('shop.example.com'), alpnExtension('h2', 'http/1.1')] },
      size,
    );
    for (const step of [1, 3, bytes.length]) {
      const { verdict, info, processed } = inspect(bytes, {}, step);
      expect(verdict).toBe('continue');
      expect(info).toMatchObject(TLS);
      expect(processed).toEqual([bytes.length]);
    }
  });

  it('of Node’s client', async () => {
    const bytes = await realClientHello({
      servername: 'shop.example.com',
      ALPNProtocols: ['h2', 'http/1.1'],
    });
    const { info } = inspect(bytes, { enableJa3Fingerprinting: true, enableJa4Fingerprinting: true });
    expect(info).toMatchObject(TLS);
    expect(info.ja3Hash).toMatch(/^[0-9a-f]{32}$/);
    expect(info.ja4Hash).toMatch(/^t13d\d{4}h2_/);
  });

  it('has fingerprints only where they are asked for', () => {
    expect(inspect(hello).info).not.toHaveProperty('ja3Hash');
    const { info } = inspect(hello, { enableJa4Fingerprinting: true });
    expect(info).not.toHaveProperty('ja3Hash');
    expect(info.ja4Hash).toMatch(/^t12d0102h2_/);
  });
});

const body = encodeClientHelloBody({ extensions: [serverNameExtension('a')] });
const withSni = (data: Buffer) => encodeClientHello({ extensions: [[0, data]] });
const name = (text: string) => Buffer.concat([Buffer.from([0]), vector16(Buffer.from(text, 'latin1'))]);
const reason = (code: string, text: string) =>
  `TLS_error|error:${code}:SSL routines:OPENSSL_internal:${text}:TLS_error_end`;

describe('what is none', () => {
  it.each<[string, Buffer, string, number?]>([
    ['zeros', Buffer.alloc(100), reason('100000f7', 'WRONG_VERSION_NUMBER'), 5],
    [
      'another major version',
      Buffer.from([22, 2, 1, 0, 1, 1]),
      reason('100000f7', 'WRONG_VERSION_NUMBER'),
      5,
    ],
    ['GET', Buffer.from('GET / HTTP/1.1\r\n'), reason('1000009c', 'HTTP_REQUEST'), 5],
    ['PUT', Buffer.from('PUT /a HTTP/1.1\r\n'), reason('1000009c', 'HTTP_REQUEST'), 5],
    ['POST', Buffer.from('POST /a HTTP/1.1\r\n'), reason('1000009c', 'HTTP_REQUEST'), 5],
    ['HEAD', Buffer.from('HEAD /a HTTP/1.1\r\n'), reason('1000009c', 'HTTP_REQUEST'), 5],
    ['CONNECT', Buffer.from('CONNECT a:1 HTTP/1.1\r\n'), reason('1000009b', 'HTTPS_PROXY_REQUEST'), 5],
    [
      'a record of 17,000 bytes',
      Buffer.from([22, 3, 1, 0x42, 0x68]),
      reason('10000092', 'ENCRYPTED_LENGTH_TOO_LONG'),
      5,
    ],
    ['an alert', encodeRecords(Buffer.from([1, 0]), 10, 21), reason('100000e1', 'UNEXPECTED_RECORD'), 7],
    ['application data', encodeRecords(Buffer.from('x'), 10, 23), reason('100000e1', 'UNEXPECTED_RECORD'), 6],
    ['a ServerHello', encodeRecords(encodeHandshake(2, body)), reason('100000df', 'UNEXPECTED_MESSAGE')],
    [
      'a message of 16 MiB',
      encodeRecords(Buffer.from([1, 255, 255, 255])),
      reason('10000096', 'EXCESSIVE_MESSAGE_SIZE'),
    ],
    [
      '33 empty records',
      Buffer.concat(Array.from({ length: 33 }, () => Buffer.from([22, 3, 1, 0, 0]))),
      reason('100000e1', 'UNEXPECTED_RECORD'),
    ],
    [
      'an empty message',
      encodeRecords(encodeHandshake(1, Buffer.alloc(0))),
      reason('10000083', 'CLIENTHELLO_PARSE_FAILED'),
    ],
    ['no cipher suites', encodeClientHello({ ciphers: [] }), reason('10000083', 'CLIENTHELLO_PARSE_FAILED')],
    [
      'no compression',
      encodeClientHello({ compressions: [] }),
      reason('10000083', 'CLIENTHELLO_PARSE_FAILED'),
    ],
    [
      'a session id of 33 bytes',
      encodeClientHello({ sessionId: Buffer.alloc(33) }),
      reason('10000083', 'CLIENTHELLO_PARSE_FAILED'),
    ],
    [
      'bytes after the extensions',
      encodeRecords(encodeHandshake(1, Buffer.concat([body, Buffer.from([0])]))),
      reason('10000083', 'CLIENTHELLO_PARSE_FAILED'),
    ],
    [
      'cut extensions',
      encodeRecords(encodeHandshake(1, Buffer.concat([encodeClientHelloBody({}), uint16(9)]))),
      reason('10000083', 'CLIENTHELLO_PARSE_FAILED'),
    ],
    [
      'a cut extension',
      encodeRecords(
        encodeHandshake(1, Buffer.concat([encodeClientHelloBody({}), vector16(Buffer.from([0, 0, 0, 9]))])),
      ),
      reason('10000083', 'CLIENTHELLO_PARSE_FAILED'),
    ],
    ['a name with NUL', withSni(vector16(name('a\0.b'))), reason('10000084', 'CLIENTHELLO_TLSEXT')],
    ['an empty name', withSni(vector16(name(''))), reason('10000084', 'CLIENTHELLO_TLSEXT')],
    [
      'a name of 256 bytes',
      withSni(vector16(name('a'.repeat(256)))),
      reason('10000084', 'CLIENTHELLO_TLSEXT'),
    ],
    [
      'two names in one list',
      withSni(vector16(Buffer.concat([name('a'), name('b')]))),
      reason('10000084', 'CLIENTHELLO_TLSEXT'),
    ],
    [
      'a name of another kind',
      withSni(vector16(Buffer.from([1, 0, 1, 97]))),
      reason('10000084', 'CLIENTHELLO_TLSEXT'),
    ],
    [
      'bytes after the names',
      withSni(Buffer.concat([vector16(name('a')), Buffer.from([0])])),
      reason('10000084', 'CLIENTHELLO_TLSEXT'),
    ],
    ['an empty name extension', withSni(Buffer.alloc(0)), reason('10000084', 'CLIENTHELLO_TLSEXT')],
  ])('%s', (_, bytes, failure, processed = bytes.length) => {
    for (const step of [bytes.length, 1]) {
      const outcome = inspect(bytes, {}, step);
      expect(outcome.verdict).toBe('continue');
      expect(outcome.info).toMatchObject({
        transportProtocol: '',
        requestedServerName: '',
        applicationProtocols: [],
      });
      expect([outcome.failure, outcome.reason]).toEqual([failure, 'ClientHelloNotDetected']);
      expect(outcome.used).toEqual({ 'tls_inspector.tls_not_found': 1 });
      expect(outcome.processed).toEqual([processed]);
      const closing = inspect(bytes, { closeConnectionOnClientHelloParsingErrors: true }, step);
      expect([closing.verdict, closing.failure, closing.reason]).toEqual([
        'close',
        failure,
        'ClientHelloNotDetected',
      ]);
    }
  });
});

describe('what is too large', () => {
  const large = encodeClientHello({ extensions: [serverNameExtension('a'), [21, Buffer.alloc(2000)]] });

  it('is closed at max_client_hello_size', () => {
    for (const step of [1, 300, large.length]) {
      const {
        verdict,
        reason: why,
        used,
        processed,
        info,
      } = inspect(large, { maxClientHelloSize: 1000 }, step);
      expect([verdict, why]).toEqual(['close', 'ClientHelloTooLarge']);
      expect(used).toEqual({ 'tls_inspector.client_hello_too_large': 1 });
      expect(processed).toEqual([1000]);
      expect(info.requestedServerName).toBe('');
    }
  });

  it('is what fits into the limit not', () => {
    expect(inspect(large, { maxClientHelloSize: large.length }).info.transportProtocol).toBe('tls');
    // It has to end below the limit, else nobody knows of its end.
    expect(inspect(large, { maxClientHelloSize: large.length - 1 }).verdict).toBe('close');
  });

  it('is plaintext that fills the limit only when failures close', () => {
    const bytes = Buffer.alloc(20_000);
    expect(inspect(bytes).verdict).toBe('continue');
    const closing = inspect(bytes, { closeConnectionOnClientHelloParsingErrors: true });
    expect([closing.verdict, closing.reason]).toEqual(['close', 'ClientHelloTooLarge']);
    expect(closing.used).toEqual({ 'tls_inspector.client_hello_too_large': 1 });
  });

  it('asks for initial_read_buffer_size, then for twice as much, up to the limit', () => {
    const filter = tlsInspector.create(
      configOf({ initialReadBufferSize: 256, maxClientHelloSize: 900 }),
      testContext(),
    )();
    const { info, streamInfo } = inspect(Buffer.alloc(0));
    const asked = [filter.maxReadBytes];
    for (const length of [256, 300, 512]) {
      const peeked = large.subarray(0, length);
      expect(filter.onData?.({ info, streamInfo, descriptor: -1, peeked })).toBe('wait');
      asked.push(filter.maxReadBytes);
    }
    expect(asked).toEqual([256, 512, 512, 900]);
  });
});
