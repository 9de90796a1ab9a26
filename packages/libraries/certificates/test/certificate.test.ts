import { createHash, X509Certificate } from 'node:crypto';
import { DAY_MS, type NameAttribute, type PkiName, selfSigned, TestAuthority } from '@dragoman/testing';
import { afterAll, describe, expect, it } from 'vitest';
import {
  alternativeNames,
  type Certificate,
  type CertificateDetails,
  daysUntilExpiration,
  formatName,
  readCertificate,
  readCertificateDetails,
} from '../src/index.ts';
import { OpenSsl } from './openssl.ts';

const openssl = new OpenSsl();
afterAll(() => openssl[Symbol.dispose]());

function read(der: Buffer): Certificate {
  const result = readCertificate(der);
  if (!result.ok) throw new Error(result.error);
  return result.value;
}

function details(der: Buffer): CertificateDetails {
  const result = readCertificateDetails(der);
  if (!result.ok) throw new Error(result.error);
  return result.value;
}

function subjectOf(subject: PkiName): string {
  return formatName(read(selfSigned({ subject }).der).subject);
}

describe('details', () => {
  const from = Date.UTC(2024, 1, 29, 12, 30, 15);
  const to = Date.UTC(2051, 6, 1);
  const root = TestAuthority.root({ subject: 'CN=Root, O=Müller & Co' });
  const leaf = root.issue({
    subject: 'C=DE, O=a, CN=b',
    serial: 0x0ab3n,
    notBefore: from,
    notAfter: to,
    key: 'p384',
    san: [
      { dns: 'a.example' },
      { uri: 'spiffe://td/a' },
      { ip: '10.0.0.1' },
      { ip: '2001:db8::1' },
      { email: 'a@b.example' },
      { otherName: { oid: '1.3.6.1.4.1.311.20.2.3', value: 'upn@b' } },
      { dns: '*.b.example' },
      { registeredId: '1.2.3' },
      { directoryName: 'CN=x' },
    ],
    tlsFeatures: [5],
  });

  it('tells all that Envoy tells', () => {
    expect(details(leaf.der)).toEqual({
      subject: 'CN=b,O=a,C=DE',
      issuer: 'O=M\\C3\\BCller & Co,CN=Root',
      serialNumber: '0ab3',
      fingerprint256: createHash('sha256').update(leaf.der).digest('hex'),
      fingerprint1: createHash('sha1').update(leaf.der).digest('hex'),
      validFrom: from,
      validTo: to,
      keyType: { kind: 'ecdsa', curve: 'secp384r1' },
      dnsSans: ['a.example', '*.b.example'],
      uriSans: ['spiffe://td/a'],
      ipSans: ['10.0.0.1', '2001:db8::1'],
      emailSans: ['a@b.example'],
      otherNameSans: ['upn@b'],
      unusableSans: [],
      mustStaple: true,
    });
  });

  it('agrees with node:crypto', () => {
    const node = new X509Certificate(leaf.der);
    expect(details(leaf.der).fingerprint256).toBe(node.fingerprint256.replaceAll(':', '').toLowerCase());
    expect(details(leaf.der).serialNumber).toBe(node.serialNumber.toLowerCase());
    expect(details(leaf.der).validFrom).toBe(node.validFromDate.getTime());
    expect(details(leaf.der).validTo).toBe(node.validToDate.getTime());
  });

  it('knows kinds of keys', () => {
    const kindOf = (key: 'rsa' | 'p256' | 'ed25519' | 'ed448') => details(selfSigned({ key }).der).keyType;
    expect(kindOf('rsa')).toEqual({ kind: 'rsa', bits: 2048 });
    expect(kindOf('p256')).toEqual({ kind: 'ecdsa', curve: 'prime256v1' });
    expect(kindOf('ed25519')).toEqual({ kind: 'ed25519' });
    expect(kindOf('ed448')).toEqual({ kind: 'other', name: 'ed448' });
  });

  it('prints serials as BN_bn2hex of BoringSSL does', () => {
    const serialOf = (serial: bigint) => details(selfSigned({ serial }).der).serialNumber;
    expect(serialOf(0n)).toBe('0');
    expect(serialOf(10n)).toBe('0a');
    expect(serialOf(0xffn)).toBe('ff');
    expect(serialOf(0x0100n)).toBe('0100');
    expect(serialOf(-1n)).toBe('-01');
    expect(serialOf(-0x1234n)).toBe('-1234');
    expect(serialOf(0xb13ff63f2dbc118bn)).toBe('b13ff63f2dbc118b');
  });

  it('has nothing of a certificate without names, nor of one whose names are broken', () => {
    const plain = details(selfSigned().der);
    expect([plain.dnsSans, plain.uriSans, plain.ipSans, plain.mustStaple]).toEqual([[], [], [], false]);
    const broken = selfSigned({
      extensions: [{ oid: '2.5.29.17', value: Buffer.from('3003820561', 'hex') }],
    });
    expect(details(broken.der).dnsSans).toEqual([]);
    expect(read(broken.der).brokenExtension).toMatch(/^extension 2\.5\.29\.17: a value is longer/);
  });

  it('counts days down', () => {
    const now = 1_700_000_000_500;
    expect(daysUntilExpiration(now + DAY_MS, now)).toBe(1);
    expect(daysUntilExpiration(1_700_086_399_000, now)).toBe(0);
    expect(daysUntilExpiration(1_700_086_400_000, now)).toBe(1);
    expect(daysUntilExpiration(1_700_000_000_000, now)).toBe(0);
    expect(daysUntilExpiration(1_699_999_999_000, now)).toBeUndefined();
    expect(daysUntilExpiration(now + 365 * DAY_MS, now)).toBe(365);
  });
});

describe('alternative names', () => {
  it('neither cuts nor quotes', () => {
    const texts = ['good.example\0.evil.example', 'a, DNS:b', '"x"', 'a\nb', ' '];
    const leaf = selfSigned({ san: texts.map((dns) => ({ dns })) });
    expect(details(leaf.der).dnsSans).toEqual(texts.slice(1));
    expect(details(leaf.der).unusableSans).toEqual(texts.slice(0, 1));
    const names = alternativeNames(read(leaf.der));
    expect(names.map(({ matchable }) => matchable)).toEqual([false, true, true, true, true]);
  });

  it('shows bytes that are no text, and lets nothing match them', () => {
    const [name] = alternativeNames(read(selfSigned({ san: [{ dns: '\xe4.example' }] }).der));
    expect(name).toMatchObject({ text: 'ä.example', matchable: false });
    const [utf] = alternativeNames(read(selfSigned({ san: [{ dns: '\xc3\xa4.example' }] }).der));
    expect(utf).toMatchObject({ text: 'ä.example', matchable: true });
  });

  it('writes addresses as inet_ntop does, and leaves out what is none', () => {
    const table = {
      '0a000001': '10.0.0.1',
      '00000000000000000000000000000000': '::',
      '00000000000000000000000000000001': '::1',
      '20010db8000000000000000000000001': '2001:db8::1',
      '20010db8000100000000000000000000': '2001:db8:1::',
      '20010db8000000010001000100010001': '2001:db8:0:1:1:1:1:1',
      '00010000000000020000000000000003': '1:0:0:2::3',
      '00010000000000020000000000030004': '1::2:0:0:3:4',
      '00000000000000000000ffff0a000001': '::ffff:10.0.0.1',
      '0000000000000000000000000a000001': '::10.0.0.1',
      fe80000000000000000000000000abcd: 'fe80::abcd',
    };
    const san = [...Object.keys(table), '', '0a0000', '0a00000100'].map((hex) => ({
      ip: Buffer.from(hex, 'hex'),
    }));
    expect(details(selfSigned({ san }).der).ipSans).toEqual(Object.values(table));
  });

  it('makes of other names what Envoy makes of them', () => {
    const oid = '1.2.3.4';
    const table: readonly (readonly [string, string, boolean])[] = [
      ['0500', '', true],
      ['0101ff', 'true', true],
      ['010100', 'false', true],
      ['02021558', '5464', true],
      ['0201ff', '-1', true],
      ['0a0105', '5', true],
      ['060a2b060104018237140203', '1.3.6.1.4.1.311.20.2.3', true],
      ['0303006162', 'ab', true],
      ['04026162', 'ab', true],
      ['0c02c3a4', 'ä', true],
      ['0c01e4', 'ä', false],
      ['0c03610062', 'a\0b', false],
      ['1301ff', 'ÿ', false],
      ['13026162', 'ab', true],
      ['16026162', 'ab', true],
      ['1e0400610062', 'ab', true],
      ['1e06006100000062', 'a\0b', false],
      ['1c0800000061000000e4', 'aä', true],
      ['170d3233303631363132303030305a', '230616120000Z', true],
      ['180f32303233303631363132303030305a', '20230616120000Z', true],
      ['300202ff', '0\x02\x02ÿ', false],
      ['12023132', '12', false],
      [`0242${'7f'.repeat(66)}`, '\x7f'.repeat(66), false],
    ];
    for (const [hex, text, matchable] of table) {
      const value = Buffer.from(hex, 'hex');
      const [name] = alternativeNames(read(selfSigned({ san: [{ otherName: { oid, value } }] }).der));
      if (matchable || hex.startsWith('0c') || hex.startsWith('13'))
        expect(name, hex).toMatchObject({ kind: 'other', oid, text, matchable });
      else expect(name, hex).toMatchObject({ kind: 'other', oid, matchable });
    }
  });
});

describe('names as RFC 2253', () => {
  const attribute = (type: string, value: string | Buffer, tag?: number): NameAttribute => ({
    type,
    value,
    tag,
  });
  const subjects: readonly PkiName[] = [
    'CN=a',
    'C=DE, ST=b, L=c, O=d, OU=e, CN=f',
    'CN=Steve Kille, O=Isode Limited, C=GB',
    [attribute('O', 'Sue, Grabbit and Runn')],
    [[attribute('OU', 'Sales'), attribute('CN', 'J. Smith')], attribute('O', 'Widget Inc.')],
    [
      attribute('CN', ' leading'),
      attribute('CN', 'trailing '),
      attribute('CN', '#hash'),
      attribute('CN', 'a#b c'),
    ],
    [attribute('CN', 'a+b"c\\d<e>f;g=h,i/j')],
    [attribute('CN', 'Ä€😀')],
    [attribute('CN', 'a\r\nb\0c\x7fd\te')],
    [
      attribute('CN', Buffer.from('\xc4b', 'latin1'), 0x14),
      attribute('CN', Buffer.from('\xe4', 'latin1'), 0x16),
    ],
    [attribute('CN', Buffer.from('004100c40041', 'hex'), 0x1e)],
    [attribute('CN', Buffer.from('000000410001f600', 'hex'), 0x1c)],
    [attribute('CN', '1234', 0x12), attribute('CN', 'y', 0x16)],
    [attribute('1.2.3.4.5', 'unknown'), attribute('2.999.1', 'x', 0x13)],
    [attribute('CN', Buffer.from('0c0161', 'hex'), 0x30)],
    [attribute('CN', ''), attribute('CN', ' '), attribute('CN', '#')],
    'SN=a, serialNumber=b, street=c, emailAddress=d@e, UID=f, DC=g',
    [
      '2.5.4.12',
      '2.5.4.13',
      '2.5.4.15',
      '2.5.4.16',
      '2.5.4.17',
      '2.5.4.18',
      '2.5.4.20',
      '2.5.4.41',
      '2.5.4.42',
      '2.5.4.43',
      '2.5.4.44',
      '2.5.4.45',
      '2.5.4.46',
      '2.5.4.65',
      '2.5.4.72',
      '1.2.840.113549.1.9.2',
      '1.2.840.113549.1.9.8',
      '0.9.2342.19200300.100.1.3',
    ].map((type) => attribute(type, 'v')),
    '',
  ];

  it('prints what OpenSSL prints with XN_FLAG_RFC2253', () => {
    for (const subject of subjects) {
      const certificate = selfSigned({ subject });
      const file = openssl.file(certificate.pem);
      const { output } = openssl.run('x509', '-in', file, '-noout', '-subject', '-nameopt', 'RFC2253');
      expect(`subject=${subjectOf(subject)}\n`, JSON.stringify(subject)).toBe(output);
    }
  });

  it('dumps types that are no text, and prints VisibleString, which OpenSSL does not take in names', () => {
    const subject = [attribute('CN', Buffer.from('0101', 'hex'), 0x04), attribute('CN', 'x', 0x1a)];
    expect(subjectOf(subject)).toBe('CN=x,CN=#04020101');
  });

  it('refuses text that is not of its type, as BoringSSL does', () => {
    for (const [value, tag] of [
      ['ff', 0x0c],
      ['00', 0x1e],
      ['d800', 0x1e],
      ['000000', 0x1c],
      ['00110000', 0x1c],
    ] as const) {
      const subject = [{ type: 'CN', value: Buffer.from(value, 'hex'), tag }];
      expect(readCertificate(selfSigned({ subject }).der).ok, value).toBe(false);
    }
  });
});

describe('what is no certificate', () => {
  const { der } = selfSigned();
  const refused = (bytes: Buffer) => {
    const result = readCertificate(bytes);
    return result.ok ? 'read' : result.error;
  };

  it('is refused with a reason', () => {
    expect(refused(Buffer.alloc(0))).toBe('expected sequence, found the end');
    expect(refused(Buffer.concat([der, Buffer.from([0])]))).toBe('there is more than expected');
    expect(refused(der.subarray(0, 100))).toBe('a value is longer than what it stands in');
    expect(refused(Buffer.from('3080', 'hex'))).toBe('a length is indefinite, too large or cut off');
    expect(refused(Buffer.from('308101', 'hex'))).toBe('a length is not in its shortest form');
    expect(refused(Buffer.from('30850000000001', 'hex'))).toBe(
      'a length is indefinite, too large or cut off',
    );
    expect(refused(Buffer.from('1f8100', 'hex'))).toMatch(/^expected sequence/);
    expect(refused(Buffer.alloc(100 * 1024 + 1))).toMatch(/more than 102400/);
  });

  it('is refused when an extension is there twice, or a time does not exist', () => {
    const twice = { oid: '1.2.3', value: Buffer.from([5, 0]) };
    expect(refused(selfSigned({ extensions: [twice, twice] }).der)).toBe('extension 1.2.3 is there twice');
    const bad = Buffer.from(selfSigned({ notAfter: Date.UTC(2030, 0, 31) }).der);
    bad.write('300231', bad.indexOf('300131'), 'latin1');
    expect(refused(bad)).toBe('a time that does not exist');
    const offset = Buffer.from(selfSigned({ notAfter: Date.UTC(2030, 0, 31) }).der);
    offset.write('+', offset.indexOf('Z', offset.indexOf('300131')), 'latin1');
    expect(refused(offset)).toBe('not a time');
  });

  it('is refused when it names two algorithms', () => {
    const other = Buffer.from(der);
    const oid = Buffer.from('2a8648ce3d040302', 'hex');
    other[other.lastIndexOf(oid) + oid.length - 1] = 3;
    expect(refused(other)).toBe('a certificate names two algorithms for its one signature');
  });
});
