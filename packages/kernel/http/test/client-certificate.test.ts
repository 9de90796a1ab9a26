import { Address, RequestHeaders, type TlsInfo } from '@dragoman/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type ClientCertDetails,
  ClientCertPolicy,
  clientCertElement,
  type ForwardClientCert,
} from '../src/headers/index.ts';
import { streamInfo } from './routes-support.ts';

const NAME = 'x-forwarded-client-cert';
const FORWARDS: readonly ForwardClientCert[] = [
  'sanitize',
  'forward-only',
  'append-forward',
  'sanitize-set',
  'always-forward-only',
];
const NONE: ClientCertDetails = {
  cert: false,
  chain: false,
  subject: false,
  uri: false,
  dns: false,
  issuer: false,
};
const ALL: ClientCertDetails = {
  cert: true,
  chain: true,
  subject: true,
  uri: true,
  dns: true,
  issuer: true,
};

/** foo.com/fe calls foo.com/be over mutual TLS. */
const MUTUAL: TlsInfo = {
  version: 'TLSv1.3',
  cipher: 'TLS_AES_128_GCM_SHA256',
  localUriSans: ['test://foo.com/be'],
  peerFingerprint256: 'abcdefg',
  peerUriSans: ['test://foo.com/fe'],
  peerDnsSans: ['www.example.com'],
  peerSubject: '/C=US/ST=CA/L=San Francisco/OU=Lyft/CN=test.com',
  peerIssuer: 'CN=Issuer,O=Lyft',
  peerCertificatePem: '==abc\nde=',
  peerChainPem: '==abc\nde=\n==lk/j +',
};
/** The client has shown none. */
const SERVER_ONLY: TlsInfo = { version: 'TLSv1.3', cipher: 'x', localUriSans: ['test://foo.com/be'] };

function after(
  forward: ForwardClientCert,
  details: Partial<ClientCertDetails>,
  tls: TlsInfo | undefined,
  ...before: string[]
): readonly string[] {
  const headers = new RequestHeaders();
  for (const value of before) headers.append(NAME, value);
  const policy = new ClientCertPolicy(forward, { ...NONE, ...details });
  policy.apply(headers, streamInfo({ tls, remoteAddress: Address.ip('10.0.0.3', 50_000) }));
  return headers.getAll(NAME);
}

describe('who gets which header', () => {
  const THEIRS = 'By=test://foo.com/fe;Hash=abc;URI=test://bar.com/be';
  const OURS = 'By=test://foo.com/be;Hash=abcdefg';

  it.each<[string, TlsInfo | undefined, Record<ForwardClientCert, string[]>]>([
    [
      'plaintext',
      undefined,
      {
        sanitize: [],
        'forward-only': [],
        'append-forward': [],
        'sanitize-set': [],
        'always-forward-only': [THEIRS],
      },
    ],
    [
      'TLS',
      SERVER_ONLY,
      {
        sanitize: [],
        'forward-only': [],
        'append-forward': [],
        'sanitize-set': [],
        'always-forward-only': [THEIRS],
      },
    ],
    [
      'mutual TLS',
      MUTUAL,
      {
        sanitize: [],
        'forward-only': [THEIRS],
        'append-forward': [`${THEIRS},${OURS}`],
        'sanitize-set': [OURS],
        'always-forward-only': [THEIRS],
      },
    ],
  ])('%s, with a header', (_, tls, expected) => {
    for (const forward of FORWARDS)
      expect([forward, ...after(forward, {}, tls, THEIRS)]).toEqual([forward, ...expected[forward]]);
  });

  it.each<[ForwardClientCert, string[]]>([
    ['sanitize', []],
    ['forward-only', []],
    ['append-forward', [OURS]],
    ['sanitize-set', [OURS]],
    ['always-forward-only', []],
  ])('mutual TLS, without a header: %s', (forward, expected) => {
    expect(after(forward, {}, MUTUAL)).toEqual(expected);
  });

  it('takes several lines for one', () => {
    expect(after('append-forward', {}, MUTUAL, 'Hash=1', 'Hash=2')).toEqual([`Hash=1,Hash=2,${OURS}`]);
    expect(after('sanitize-set', {}, MUTUAL, 'Hash=1', 'Hash=2')).toEqual([OURS]);
    expect(after('forward-only', {}, MUTUAL, 'Hash=1', 'Hash=2')).toEqual(['Hash=1', 'Hash=2']);
    expect(after('sanitize', {}, MUTUAL, 'Hash=1', 'Hash=2')).toEqual([]);
    expect(after('append-forward', {}, MUTUAL, '')).toEqual([OURS]);
  });

  it('knows connections apart', () => {
    const policy = new ClientCertPolicy('sanitize-set', { ...NONE, uri: true });
    const of = (tls: TlsInfo) => {
      const headers = new RequestHeaders();
      policy.apply(headers, streamInfo({ tls }));
      return headers.get(NAME);
    };
    const other: TlsInfo = { ...MUTUAL, peerFingerprint256: 'xyz', peerUriSans: ['test://other'] };
    expect([of(MUTUAL), of(other), of(MUTUAL)]).toEqual([
      `${OURS};URI=test://foo.com/fe`,
      'By=test://foo.com/be;Hash=xyz;URI=test://other',
      `${OURS};URI=test://foo.com/fe`,
    ]);
  });
});

describe('an element', () => {
  const BY = 'By=test://foo.com/be;Hash=abcdefg';
  const SUBJECT = 'Subject="/C=US/ST=CA/L=San Francisco/OU=Lyft/CN=test.com"';
  const CERT = 'Cert="%3D%3Dabc%0Ade%3D"';
  const CHAIN = 'Chain="%3D%3Dabc%0Ade%3D%0A%3D%3Dlk%2Fj%20%2B"';

  it.each<[string, Partial<ClientCertDetails>, Partial<TlsInfo>, string]>([
    ['nothing asked for', {}, {}, BY],
    [
      'uri, cert, dns',
      { uri: true, cert: true, dns: true },
      {},
      `${BY};${CERT};URI=test://foo.com/fe;DNS=www.example.com`,
    ],
    ['uri, chain', { uri: true, chain: true }, {}, `${BY};${CHAIN};URI=test://foo.com/fe`],
    ['subject, uri', { subject: true, uri: true }, {}, `${BY};${SUBJECT};URI=test://foo.com/fe`],
    [
      'everything',
      ALL,
      {},
      `${BY};${CERT};${CHAIN};${SUBJECT};URI=test://foo.com/fe;DNS=www.example.com;Issuer="CN=Issuer,O=Lyft"`,
    ],
    ['no URI of our own', { uri: true }, { localUriSans: [] }, 'Hash=abcdefg;URI=test://foo.com/fe'],
    [
      'several URIs of our own',
      {},
      { localUriSans: ['test://foo.com/be', 'test://foo.com/b'] },
      'By=test://foo.com/be;By=test://foo.com/b;Hash=abcdefg',
    ],
    ['no URI of the client', { subject: true, uri: true }, { peerUriSans: [] }, `${BY};${SUBJECT};URI=`],
    ['several URIs', { uri: true }, { peerUriSans: ['a://b', 'c://d'] }, `${BY};URI=a://b;URI=c://d`],
    ['several DNS names', { dns: true }, { peerDnsSans: ['a.b', 'c.d'] }, `${BY};DNS=a.b;DNS=c.d`],
    ['no DNS names', { dns: true }, { peerDnsSans: [] }, BY],
    [
      'no names',
      { subject: true, issuer: true },
      { peerSubject: '', peerIssuer: '' },
      `${BY};Subject="";Issuer=""`,
    ],
    ['no PEM', { cert: true, chain: true }, { peerCertificatePem: '', peerChainPem: '' }, BY],
    // An equals sign in a value is as Envoy has it: the first one of a pair divides.
    ['a query', { uri: true }, { peerUriSans: ['a://b?c=d'] }, `${BY};URI=a://b?c=d`],
    [
      'escapes of RFC 2253',
      { subject: true },
      { peerSubject: 'CN=a\\"b\\,c\\\\' },
      `${BY};Subject="CN=a\\"b\\,c\\\\"`,
    ],
    // What a hostile certificate may say.
    [
      'a pair in a URI',
      { uri: true },
      { peerUriSans: ['a://b;URI=spiffe://admin'] },
      `${BY};URI="a://b;URI=spiffe://admin"`,
    ],
    ['an element in a name', { dns: true }, { peerDnsSans: ['a,By=x'] }, `${BY};DNS="a,By=x"`],
    ['quotes in a URI', { uri: true }, { peerUriSans: ['a";URI=\\"x'] }, `${BY};URI="a\\";URI=\\\\\\"x"`],
    [
      'quotes in a subject',
      { subject: true },
      { peerSubject: 'CN=a";URI="x\\' },
      `${BY};Subject="CN=a\\";URI=\\"x\\\\"`,
    ],
    ['another line', { uri: true }, { peerUriSans: ['a\r\nx-admin: 1\0'] }, `${BY};URI=a%0D%0Ax-admin: 1%00`],
    [
      'no ASCII',
      { subject: true, dns: true },
      { peerSubject: 'CN=é', peerDnsSans: ['ü😀'] },
      `${BY};Subject="CN=%C3%A9";DNS=%C3%BC%F0%9F%98%80`,
    ],
  ])('%s', (_, details, changes, expected) => {
    expect(clientCertElement({ ...MUTUAL, ...changes }, { ...NONE, ...details })).toBe(expected);
  });

  it('has only the pairs that it should have, whatever a certificate says', () => {
    const text = fc.string({ unit: fc.constantFrom(...'a=;,"\\ :/\r\né') });
    fc.assert(
      fc.property(fc.array(text), fc.array(text), text, text, (uris, names, subject, issuer) => {
        const tls = {
          ...MUTUAL,
          peerUriSans: uris,
          peerDnsSans: names,
          peerSubject: subject,
          peerIssuer: issuer,
        };
        const element = clientCertElement(tls, ALL);
        expect(element).toMatch(/^[\x20-\x7e]*$/);
        const keys = [
          'By',
          'Hash',
          'Cert',
          'Chain',
          'Subject',
          ...(uris.length > 0 ? uris : ['']).map(() => 'URI'),
          ...names.map(() => 'DNS'),
          'Issuer',
        ];
        expect(keysOf(element)).toEqual(keys);
      }),
      { numRuns: 2000 },
    );
  });
});

/** As a reader of the format finds them. Throws for a comma outside quotes, and for quotes that do not end. */
function keysOf(element: string): string[] {
  const keys: string[] = [];
  let pair = '';
  let quoted = false;
  for (let i = 0; i < element.length; i++) {
    const character = element[i] as string;
    if (quoted && character === '\\') {
      i++;
      continue;
    }
    if (character === '"') quoted = !quoted;
    if (!quoted && character === ',') throw new Error('another element');
    if (!quoted && character === ';') {
      keys.push(pair.split('=', 1)[0] as string);
      pair = '';
    } else pair += character;
  }
  if (quoted) throw new Error('quotes without an end');
  keys.push(pair.split('=', 1)[0] as string);
  return keys;
}
