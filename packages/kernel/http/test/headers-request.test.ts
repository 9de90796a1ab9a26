import {
  Address,
  type ConnectionInfo,
  type EarlyHeaderMutation,
  type OriginalIpDetection,
  RequestHeaders,
  type RequestIds,
} from '@dragoman/core';
import { describe, expect, it } from 'vitest';
import {
  ClientCertPolicy,
  compileRequestMutation,
  type RequestMutationOptions,
} from '../src/headers/index.ts';
import { streamInfo } from './routes-support.ts';

/** Ids `id-1`, `id-2`, …: enough to see who made one. */
class CountingIds implements RequestIds {
  readonly useForTraceSampling = true;
  private made = 0;

  set(headers: RequestHeaders, force: boolean): void {
    if (force || !headers.has('x-request-id')) headers.set('x-request-id', `id-${++this.made}`);
  }
  setInResponse(): void {}
  get(headers: RequestHeaders): string {
    return headers.get('x-request-id') ?? '';
  }
  toInteger(): number | undefined {
    return undefined;
  }
  traceReason(): 'not-traceable' {
    return 'not-traceable';
  }
  setTraceReason(): void {}
}

const DEFAULTS: RequestMutationOptions = {
  useRemoteAddress: false,
  xffNumTrustedHops: 0,
  skipXffAppend: false,
  appendXForwardedPort: false,
  internalAddresses: undefined,
  via: '',
  userAgent: undefined,
  generateRequestId: true,
  preserveExternalRequestId: false,
  schemeToOverwrite: undefined,
  schemeMatchUpstream: false,
  clientCert: new ClientCertPolicy('sanitize'),
  earlyMutations: [],
  originalIpDetection: [],
  requestIds: new CountingIds(),
  localInfo: { cluster: 'local-cluster', node: 'local-node', zone: '', address: '10.9.9.9' },
};

function headersOf(fields: Record<string, string | string[]>): RequestHeaders {
  const headers = new RequestHeaders();
  headers.method = 'GET';
  headers.path = '/';
  headers.authority = 'example.com';
  for (const [name, value] of Object.entries(fields))
    for (const each of [value].flat()) headers.append(name, each);
  return headers;
}

function run(
  options: Partial<RequestMutationOptions>,
  fields: Record<string, string | string[]> = {},
  connection: Partial<ConnectionInfo> = {},
  internalOnly?: readonly string[],
) {
  const headers = headersOf(fields);
  const info = streamInfo(connection);
  const mutate = compileRequestMutation({ ...DEFAULTS, requestIds: new CountingIds(), ...options });
  const result = mutate(headers, info, internalOnly);
  return { headers, info, result };
}

const EXTERNAL = { remoteAddress: Address.ip('203.0.113.7', 4321) };
const INTERNAL = { remoteAddress: Address.ip('10.0.0.5', 4321) };
const LOOPBACK = { remoteAddress: Address.ip('127.0.0.1', 4321) };

describe("the client's address", () => {
  it.each([
    // use_remote_address, hops, x-forwarded-for, peer → client, internal, x-forwarded-for upstream
    [true, 0, undefined, '203.0.113.7', '203.0.113.7', false, '203.0.113.7'],
    [true, 0, undefined, '10.0.0.5', '10.0.0.5', true, '10.0.0.5'],
    [true, 0, '10.0.0.1', '10.0.0.5', '10.0.0.5', false, '10.0.0.1,10.0.0.5'],
    [true, 0, '1.2.3.4', '203.0.113.7', '203.0.113.7', false, '1.2.3.4,203.0.113.7'],
    [true, 0, undefined, '127.0.0.1', '127.0.0.1', true, '10.9.9.9'],
    [true, 0, '1.2.3.4', '127.0.0.1', '127.0.0.1', false, '1.2.3.4,10.9.9.9'],
    [true, 0, undefined, '::1', '::1', true, '10.9.9.9'],
    [true, 0, undefined, 'fd12::1', 'fd12::1', true, 'fd12::1'],
    [true, 1, '1.2.3.4', '10.0.0.5', '1.2.3.4', false, '1.2.3.4,10.0.0.5'],
    [true, 1, '9.9.9.9, 1.2.3.4', '10.0.0.5', '1.2.3.4', false, '9.9.9.9, 1.2.3.4,10.0.0.5'],
    [true, 2, '9.9.9.9, 1.2.3.4', '10.0.0.5', '9.9.9.9', false, '9.9.9.9, 1.2.3.4,10.0.0.5'],
    [true, 3, '9.9.9.9, 1.2.3.4', '10.0.0.5', '10.0.0.5', false, '9.9.9.9, 1.2.3.4,10.0.0.5'],
    [true, 1, 'nonsense', '203.0.113.7', '203.0.113.7', false, 'nonsense,203.0.113.7'],
    [false, 0, undefined, '10.0.0.5', '10.0.0.5', false, undefined],
    [false, 0, '10.0.0.1', '203.0.113.7', '10.0.0.1', true, '10.0.0.1'],
    [false, 0, '1.2.3.4', '10.0.0.5', '1.2.3.4', false, '1.2.3.4'],
    [false, 0, '1.2.3.4, 10.0.0.1', '10.0.0.5', '10.0.0.1', false, '1.2.3.4, 10.0.0.1'],
    [false, 1, '1.2.3.4, 10.0.0.1', '10.0.0.5', '1.2.3.4', false, '1.2.3.4, 10.0.0.1'],
    [false, 1, '10.0.0.2', '10.0.0.5', '10.0.0.5', false, '10.0.0.2'],
    [false, 0, '', '10.0.0.5', '10.0.0.5', false, ''],
    [false, 0, '10.0.0.1,', '10.0.0.5', '10.0.0.5', false, '10.0.0.1,'],
    [false, 0, '[::1]', '10.0.0.5', '10.0.0.5', false, '[::1]'],
    [false, 0, 'fe80::1%eth0', '10.0.0.5', '10.0.0.5', false, 'fe80::1%eth0'],
    [false, 0, '::ffff:10.0.0.1', '203.0.113.7', '10.0.0.1', true, '::ffff:10.0.0.1'],
  ] as const)(
    'use_remote_address %s, %d trusted hops, %s from %s',
    (useRemoteAddress, xffNumTrustedHops, forwardedFor, peer, client, internal, upstream) => {
      const { headers, info, result } = run(
        { useRemoteAddress, xffNumTrustedHops },
        forwardedFor === undefined ? {} : { 'x-forwarded-for': forwardedFor },
        { remoteAddress: Address.ip(peer, 1) },
      );
      expect(info.remoteAddress.ip).toBe(client);
      expect(result).toMatchObject({ rejectStatus: 0, internal, edge: useRemoteAddress && !internal });
      expect(headers.getJoined('x-forwarded-for')).toBe(upstream);
      expect(headers.get('x-envoy-internal')).toBe(internal ? 'true' : undefined);
      expect(headers.get('x-envoy-external-address')).toBe(
        useRemoteAddress && !internal ? client : undefined,
      );
    },
  );

  it('reads several lines of x-forwarded-for as one list', () => {
    const { headers, info } = run(
      { useRemoteAddress: true, xffNumTrustedHops: 1 },
      { 'x-forwarded-for': ['1.1.1.1', '2.2.2.2'] },
      EXTERNAL,
    );
    expect(info.remoteAddress.ip).toBe('2.2.2.2');
    expect(headers.getAll('x-forwarded-for')).toEqual(['1.1.1.1,2.2.2.2,203.0.113.7']);
  });

  it('leaves x-forwarded-for alone with skip_xff_append', () => {
    const { headers } = run(
      { useRemoteAddress: true, skipXffAppend: true },
      { 'x-forwarded-for': '1.1.1.1' },
      EXTERNAL,
    );
    expect(headers.get('x-forwarded-for')).toBe('1.1.1.1');
  });

  it('knows which addresses are internal from the config', () => {
    const internalAddresses = {
      unixSockets: true,
      cidrRanges: [{ addressPrefix: '203.0.113.0', prefixLen: 24 }],
    };
    const options = { useRemoteAddress: true, internalAddresses };
    expect(run(options, {}, EXTERNAL).result.internal).toBe(true);
    expect(run(options, {}, INTERNAL).result.internal).toBe(false);
    expect(run(options, {}, { remoteAddress: Address.pipe('/run/a.sock') }).result.internal).toBe(true);
    expect(
      run({ useRemoteAddress: true }, {}, { remoteAddress: Address.pipe('/run/a.sock') }).result.internal,
    ).toBe(false);
    expect(() =>
      run({
        internalAddresses: { unixSockets: false, cidrRanges: [{ addressPrefix: 'x', prefixLen: 1 }] },
      }),
    ).toThrow(/cidr_ranges\[0\]\.address_prefix/);
    expect(() =>
      run({
        internalAddresses: {
          unixSockets: false,
          cidrRanges: [{ addressPrefix: '10.0.0.0', prefixLen: 33 }],
        },
      }),
    ).toThrow(/prefix_len/);
  });

  it('asks the extensions in order, when the peer does not count', () => {
    const answer = (address: string | undefined, trusted: boolean): OriginalIpDetection => ({
      detect: () => ({ address: address === undefined ? undefined : Address.ip(address, 0), trusted }),
    });
    const extensions = [answer(undefined, true), answer('10.0.0.1', true), answer('1.1.1.1', true)];
    const { info, result } = run({ originalIpDetection: extensions }, {}, EXTERNAL);
    expect([info.remoteAddress.ip, result.internal]).toEqual(['10.0.0.1', true]);
    expect(run({ originalIpDetection: [answer('10.0.0.1', false)] }).result.internal).toBe(false);
    const refusing: OriginalIpDetection = {
      detect: () => ({ address: undefined, trusted: false, rejectStatus: 403 }),
    };
    expect(run({ originalIpDetection: [refusing] }).result.rejectStatus).toBe(403);
    expect(run({ originalIpDetection: [refusing] }).result.details).toBe(
      'rejecting_because_detection_failed',
    );
  });

  const found = { address: Address.ip('198.51.100.1', 0), trusted: false };
  const missed = { address: undefined, trusted: false };
  it.each([
    ['who finds it says so', [{ ...found, appendPeer: true }], EXTERNAL, '1.1.1.1,203.0.113.7'],
    ['who finds it does not', [{ ...found, appendPeer: false }], EXTERNAL, '1.1.1.1'],
    ['nothing is said', [found], EXTERNAL, '1.1.1.1'],
    ['who misses it says so', [{ ...missed, appendPeer: true }, found], EXTERNAL, '1.1.1.1,203.0.113.7'],
    [
      'two say so: once',
      [
        { ...missed, appendPeer: true },
        { ...found, appendPeer: true },
      ],
      EXTERNAL,
      '1.1.1.1,203.0.113.7',
    ],
    ['who is not asked says so', [found, { ...missed, appendPeer: true }], EXTERNAL, '1.1.1.1'],
    ['the peer is this machine', [{ ...found, appendPeer: true }], LOOPBACK, '1.1.1.1,10.9.9.9'],
  ])('x-forwarded-for gets the peer when %s', (_what, answers, connection, expected) => {
    const { headers } = run(
      { originalIpDetection: answers.map((answer) => ({ detect: () => answer })) },
      { 'x-forwarded-for': '1.1.1.1' },
      connection,
    );
    expect(headers.get('x-forwarded-for')).toBe(expected);
  });
});

describe('early header mutations', () => {
  const setting = (name: string, value: string, goOn = true): EarlyHeaderMutation => ({
    mutate(headers) {
      headers.append(name, value);
      return goOn;
    },
  });

  it.each([
    ['in their order', [setting('x-a', '1'), setting('x-a', '2')], 'x-a', '1,2'],
    ['until one ends it', [setting('x-a', '1', false), setting('x-a', '2')], 'x-a', '1'],
    [
      'before headers from outside are removed',
      [setting('x-envoy-retry-on', '5xx')],
      'x-envoy-retry-on',
      undefined,
    ],
    ['before hop-by-hop headers are', [setting('keep-alive', '1')], 'keep-alive', undefined],
    ['before a request id is made', [setting('x-request-id', 'early')], 'x-request-id', 'early'],
  ])('run %s', (_what, earlyMutations, name, expected) => {
    expect(run({ earlyMutations }, {}, EXTERNAL).headers.getJoined(name)).toBe(expected);
  });

  it("run before the client's address is looked for", () => {
    const { info } = run({ earlyMutations: [setting('x-forwarded-for', '198.51.100.3')] }, {}, EXTERNAL);
    expect(info.remoteAddress.ip).toBe('198.51.100.3');
  });
});

describe('scheme and port', () => {
  const tls = { tls: { version: 'TLSv1.3', cipher: '' } };
  it.each([
    ['edge, plaintext, forged', { useRemoteAddress: true }, 'https', EXTERNAL, 'http'],
    ['edge, TLS, forged', { useRemoteAddress: true }, 'http', { ...EXTERNAL, ...tls }, 'https'],
    ['behind a trusted hop', { useRemoteAddress: true, xffNumTrustedHops: 1 }, 'https', EXTERNAL, 'https'],
    [
      'behind a trusted hop, absent',
      { useRemoteAddress: true, xffNumTrustedHops: 1 },
      undefined,
      EXTERNAL,
      'http',
    ],
    ['inside', {}, 'https', EXTERNAL, 'https'],
    ['inside, absent', {}, undefined, { ...EXTERNAL, ...tls }, 'https'],
    ['overwritten', { schemeToOverwrite: 'https' }, 'http', EXTERNAL, 'https'],
  ] as const)('%s', (_name, options, sent, connection, expected) => {
    const { headers } = run(options, sent === undefined ? {} : { 'x-forwarded-proto': sent }, connection);
    expect(headers.get('x-forwarded-proto')).toBe(expected);
    expect(headers.scheme).toBe(expected);
  });

  it('does not take a scheme that is none from x-forwarded-proto', () => {
    expect(run({}, { 'x-forwarded-proto': 'gopher' }).headers.scheme).toBe('http');
  });

  it.each([
    [{ useRemoteAddress: true, appendXForwardedPort: true }, '1', '8080'],
    [{ useRemoteAddress: true, appendXForwardedPort: true, xffNumTrustedHops: 1 }, '1', '1'],
    [{ appendXForwardedPort: true }, undefined, '8080'],
    [{ appendXForwardedPort: true }, '1', '1'],
    [{}, undefined, undefined],
  ] as const)('x-forwarded-port with %o and %s: %s', (options, sent, expected) => {
    const { headers } = run(options, sent === undefined ? {} : { 'x-forwarded-port': sent });
    expect(headers.get('x-forwarded-port')).toBe(expected);
  });
});

describe('headers from outside', () => {
  it('never takes x-envoy-internal or x-envoy-external-address from the edge', () => {
    const { headers } = run(
      { useRemoteAddress: true },
      { 'x-envoy-internal': 'true', 'x-envoy-external-address': '10.0.0.1' },
      EXTERNAL,
    );
    expect(headers.get('x-envoy-internal')).toBe(undefined);
    expect(headers.getAll('x-envoy-external-address')).toEqual(['203.0.113.7']);
  });

  it.each([
    ['sanitize', {}, undefined],
    ['sanitize', { peerFingerprint256: 'ab' }, undefined],
    ['forward-only', {}, undefined],
    ['forward-only', { peerFingerprint256: 'ab' }, 'sent'],
    ['always-forward-only', {}, 'sent'],
  ] as const)('x-forwarded-client-cert: %s, %o', (forwardClientCert, tls, expected) => {
    const { headers } = run(
      { clientCert: new ClientCertPolicy(forwardClientCert) },
      { 'x-forwarded-client-cert': 'sent' },
      { tls: { version: '', cipher: '', ...tls } },
    );
    expect(headers.get('x-forwarded-client-cert')).toBe(expected);
  });
});

describe('hop by hop', () => {
  it('removes what is for this hop', () => {
    const { headers } = run(
      {},
      {
        connection: 'keep-alive, x-nominated',
        'keep-alive': 'timeout=5',
        'proxy-connection': 'keep-alive',
        'transfer-encoding': 'chunked',
        upgrade: 'h2c',
        te: 'gzip, trailers;q=1',
        'x-nominated': 'gone',
        'x-kept': '1',
      },
    );
    for (const name of [
      'connection',
      'keep-alive',
      'proxy-connection',
      'transfer-encoding',
      'upgrade',
      'x-nominated',
    ])
      expect(headers.get(name)).toBe(undefined);
    expect(headers.get('te')).toBe('trailers');
    expect(headers.get('x-kept')).toBe('1');
  });

  it('removes te without trailers', () => {
    expect(run({}, { te: 'gzip' }).headers.has('te')).toBe(false);
  });

  it('keeps what asks for an upgrade', () => {
    const { headers } = run({}, { connection: 'keep-alive, Upgrade', upgrade: 'websocket' });
    expect(headers.get('upgrade')).toBe('websocket');
    expect(headers.get('connection')).toBe('keep-alive, Upgrade');
  });

  it.each([
    'x-forwarded-for',
    'close, X-Forwarded-Host',
    'x-forwarded-proto',
    'x-envoy-internal',
    'x-real-ip',
    'forwarded',
    'x-request-id',
    'host',
    ':path',
    'content-length',
    'a,b,c,d,e,f,g,h,i,j',
  ])('refuses a connection header that nominates %s', (connection) => {
    const { result, headers } = run({}, { connection, 'x-forwarded-for': '1.1.1.1' });
    expect(result).toMatchObject({ rejectStatus: 400, details: 'http1.connection_header_rejected' });
    expect(headers.get('x-forwarded-for')).toBe('1.1.1.1');
  });

  it.each([
    ['https://example.com/a?b', 'https://example.com/a?b'],
    ['/relative', undefined],
    ['junk', undefined],
    [['https://a.com/', 'https://b.com/'], undefined],
  ] as const)('referer %s → %s', (sent, expected) => {
    expect(run({}, { referer: sent as string | string[] }).headers.get('referer')).toBe(expected);
  });
});

describe('request id, via, user agent', () => {
  it.each([
    ['edge makes a new one', { useRemoteAddress: true }, 'sent', EXTERNAL, 'id-1'],
    [
      'edge keeps it when told to',
      { useRemoteAddress: true, preserveExternalRequestId: true },
      'sent',
      EXTERNAL,
      'sent',
    ],
    ['inside keeps it', { useRemoteAddress: true }, 'sent', INTERNAL, 'sent'],
    ['past the edge keeps it', {}, 'sent', EXTERNAL, 'sent'],
    ['makes one when there is none', {}, undefined, EXTERNAL, 'id-1'],
    ['makes none when off', { generateRequestId: false }, undefined, EXTERNAL, ''],
  ] as const)('%s', (_name, options, sent, connection, expected) => {
    const { headers, info } = run(options, sent === undefined ? {} : { 'x-request-id': sent }, connection);
    expect(info.requestId).toBe(expected);
    expect(headers.get('x-request-id') ?? '').toBe(expected);
  });

  it('appends via', () => {
    expect(run({ via: '1.1 me' }).headers.get('via')).toBe('1.1 me');
    expect(run({ via: '1.1 me' }, { via: ['1.0 a', '1.1 b'] }).headers.getAll('via')).toEqual([
      '1.0 a,1.1 b, 1.1 me',
    ]);
  });

  it('says who sends, with add_user_agent', () => {
    const { headers } = run({ userAgent: 'local-cluster' });
    expect(headers.get('user-agent')).toBe('local-cluster');
    expect(headers.get('x-envoy-downstream-service-cluster')).toBe('local-cluster');
    expect(headers.get('x-envoy-downstream-service-node')).toBe('local-node');
    expect(run({ userAgent: 'local-cluster' }, { 'user-agent': 'curl' }).headers.get('user-agent')).toBe(
      'curl',
    );
  });

  it('takes a plain request from this machine without further ado', () => {
    const { headers } = run({}, { 'user-agent': 'curl', accept: '*/*' }, LOOPBACK);
    expect(headers.entries().filter(([name]) => !name.startsWith(':'))).toEqual([
      ['user-agent', 'curl'],
      ['accept', '*/*'],
      ['x-forwarded-proto', 'http'],
      ['x-request-id', 'id-1'],
    ]);
  });
});
