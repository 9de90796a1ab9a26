import { ConfigError } from '@dragoman/core';
import { type PkiExtension, TestAuthority, type TestCertificate } from '@dragoman/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  CertificateValidator,
  readBundle,
  readCertificateDetails,
  readCertificateList,
  readOcspResponse,
  readPem,
  readPkcs12,
  SpiffeValidator,
} from '../src/index.ts';
import { Chain } from './support.ts';

const now = Date.now();
const pki = new Chain({}, { nameConstraints: { excluded: [{ dns: 'evil' }, { ip: '10.0.0.0/8' }] } });
const leaf = pki.leaf({
  subject: 'C=DE, O=a, CN=b',
  san: [{ dns: 'a.example' }, { uri: 'spiffe://td/a' }, { ip: '192.168.0.1' }, { email: 'a@b' }],
});
const crl = pki.root.crl() + pki.between.crl();
const validator = new CertificateValidator({ trustedCa: pki.root.pem });
const withCrl = new CertificateValidator({ trustedCa: pki.root.pem, crl });
const spiffe = new SpiffeValidator({ trustDomains: [{ name: 'td', trustBundle: pki.root.pem }] });

interface Change {
  readonly kind: 'set' | 'cut' | 'insert' | 'remove' | 'length';
  /** Where, as a part of the whole. */
  readonly at: number;
  readonly byte: number;
}

const change: fc.Arbitrary<Change> = fc.record({
  kind: fc.constantFrom('set', 'cut', 'insert', 'remove', 'length'),
  at: fc.double({ min: 0, max: 0.9999, noNaN: true }),
  byte: fc.integer({ min: 0, max: 255 }),
});

function changed(bytes: Buffer, changes: readonly Change[]): Buffer {
  let out = Buffer.from(bytes);
  for (const { kind, at, byte } of changes) {
    const index = Math.floor(at * out.length);
    if (out.length === 0) return out;
    if (kind === 'set') out[index] = byte;
    else if (kind === 'length') out[index] = ((out[index] as number) + (byte % 3) - 1) & 0xff;
    else if (kind === 'cut') out = out.subarray(0, index);
    else if (kind === 'insert')
      out = Buffer.concat([out.subarray(0, index), Buffer.from([byte]), out.subarray(index)]);
    else out = Buffer.concat([out.subarray(0, index), out.subarray(index + 1)]);
  }
  return out;
}

const changes = fc.array(change, { minLength: 1, maxLength: 3 });
const runs = { numRuns: 2000 };

/** DER of any shape, down to some depth. */
const der: fc.Arbitrary<Buffer> = fc.letrec<{ node: Buffer }>((tie) => ({
  node: fc
    .tuple(
      fc.constantFrom(
        0x01,
        0x02,
        0x03,
        0x04,
        0x06,
        0x0c,
        0x16,
        0x17,
        0x18,
        0x30,
        0x31,
        0x80,
        0x81,
        0x82,
        0x86,
        0x87,
        0xa0,
        0xa1,
        0xa4,
      ),
      fc.oneof({ maxDepth: 4 }, fc.uint8Array({ maxLength: 24 }), fc.array(tie('node'), { maxLength: 4 })),
    )
    .map(([tag, content]) => {
      const body = Array.isArray(content) ? Buffer.concat(content) : Buffer.from(content);
      const length = body.length < 0x80 ? [body.length] : [0x82, body.length >> 8, body.length & 0xff];
      return Buffer.concat([Buffer.from([tag, ...length]), body]);
    }),
})).node;

describe('a certificate that was changed', () => {
  it('is never accepted, and nothing throws', () => {
    expect(validator.verify(leaf.chainDer, now, { peer: 'server' }).ok).toBe(true);
    fc.assert(
      fc.property(changes, fc.boolean(), (list, first) => {
        const chain = leaf.chainDer;
        const at = first ? 0 : 1;
        const bytes = changed(chain[at] as Buffer, list);
        fc.pre(!bytes.equals(chain[at] as Buffer));
        chain[at] = bytes;
        readCertificateDetails(bytes);
        expect(validator.verify(chain, now, { peer: 'server' }).ok).toBe(false);
        expect(withCrl.verify(chain, now, { peer: 'client' }).ok).toBe(false);
        expect(spiffe.verify(chain, now).ok).toBe(false);
      }),
      runs,
    );
  });

  it('is never accepted with an extension that is made up', () => {
    const oids = [
      '2.5.29.14',
      '2.5.29.15',
      '2.5.29.17',
      '2.5.29.19',
      '2.5.29.30',
      '2.5.29.31',
      '2.5.29.32',
      '2.5.29.33',
      '2.5.29.35',
      '2.5.29.36',
      '2.5.29.37',
      '2.5.29.54',
      '1.3.6.1.5.5.7.1.24',
    ];
    fc.assert(
      fc.property(
        fc.constantFrom(...oids),
        fc.oneof(der, fc.uint8Array({ maxLength: 40 })),
        fc.boolean(),
        (oid, value, critical) => {
          const extension: PkiExtension = { oid, value, critical };
          const bare = {
            keyUsage: null,
            extendedKeyUsage: undefined,
            keyIdentifiers: false,
            extensions: [extension],
          };
          const one = pki.between.issue(bare);
          const peer = { peer: 'server' } as const;
          readCertificateDetails(one.der);
          validator.verify(one.chainDer, now, peer);
          withCrl.verify(one.chainDer, now, peer);
          spiffe.verify(one.chainDer, now);
          const above = pki.root.intermediate({ ...bare, basicConstraints: null });
          const below = above.issue({ subject: 'CN=x', san: [{ dns: 'x' }] });
          const accepted = validator.verify(below.chainDer, now, peer).ok;
          // It is an authority only if the extension says so.
          expect(accepted && oid !== '2.5.29.19').toBe(false);
        },
      ),
      { numRuns: 600 },
    );
  });
});

describe('other files that were changed', () => {
  it('never hide that a certificate is revoked', () => {
    const revoked = pki.between.crl({ revoked: [{ serial: leaf.serial }] });
    const block = readPem(revoked);
    const bytes = block.ok ? (block.value[0]?.der as Buffer) : Buffer.alloc(0);
    fc.assert(
      fc.property(changes, (list) => {
        const other = changed(bytes, list);
        readCertificateList(other);
        const pem = `-----BEGIN X509 CRL-----\n${other.toString('base64')}\n-----END X509 CRL-----\n`;
        try {
          const strict = new CertificateValidator({ trustedCa: pki.root.pem, crl: pki.root.crl() + pem });
          expect(strict.verify(leaf.chainDer, now, { peer: 'server' }).ok).toBe(false);
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('are read, or refused', () => {
    const ocsp = pki.between.ocsp(leaf);
    const pfx = leaf.pkcs12('x');
    fc.assert(
      fc.property(changes, (list) => {
        readOcspResponse(changed(ocsp, list));
        expect(readBundle(changed(Buffer.from(leaf.chainPem), list))).toHaveProperty('ok');
      }),
      runs,
    );
    fc.assert(
      fc.property(changes, (list) => {
        const bytes = changed(pfx, list);
        const read = readPkcs12(bytes, 'x');
        if (read.ok) expect(read.value.certificates.map((one) => one.der)).toEqual(leaf.chainDer);
      }),
      { numRuns: 300 },
    );
  });
});

describe('bytes of any kind', () => {
  it('are refused without a throw', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), der), (bytes) => {
        const buffer = Buffer.from(bytes);
        for (const read of [readCertificateDetails, readCertificateList, readOcspResponse])
          expect(read(buffer).ok).toBe(false);
        expect(readPkcs12(buffer, '').ok).toBe(false);
        expect(validator.verify([buffer], now, { peer: 'client' }).ok).toBe(false);
      }),
      runs,
    );
  });
});

describe('what a peer can make us work', () => {
  const cost = (chain: readonly Buffer[]): number => {
    const started = performance.now();
    expect(validator.verify(chain, now, { peer: 'server' }).ok).toBe(false);
    return performance.now() - started;
  };

  it('is bounded, for chains that lead nowhere in many ways', () => {
    const names = { subject: 'CN=Maze', keyIdentifiers: false };
    let authority: TestAuthority = TestAuthority.root(names);
    const sent: TestCertificate[] = [];
    for (let i = 0; i < 31; i++) {
      authority = authority.intermediate(names);
      sent.push(authority);
    }
    // Each of them is of one name, so each may have issued each other.
    const maze = authority.issue({ keyIdentifiers: false });
    expect(cost([maze.der, ...sent.map((one) => one.der)])).toBeLessThan(2000);
  });

  it('is bounded, for certificates of many names and deep ones', () => {
    const many = pki.between.issue({ san: Array.from({ length: 5000 }, (_, i) => ({ dns: `${i}.a` })) });
    expect(validator.verify(many.chainDer, now, { peer: 'server' }).ok).toBe(true);
    let deep = Buffer.alloc(0);
    for (let i = 0; i < 20_000; i++)
      deep = deep.length > 60_000 ? deep : Buffer.concat([head(deep.length), deep]);
    const one = pki.between.issue({ extensions: [{ oid: '2.5.29.17', value: deep }] });
    expect(cost(one.chainDer)).toBeLessThan(2000);
  });
});

function head(length: number): Buffer {
  return length < 0x80
    ? Buffer.from([0x30, length])
    : length < 256
      ? Buffer.from([0x30, 0x81, length])
      : Buffer.from([0x30, 0x82, length >> 8, length & 0xff]);
}
