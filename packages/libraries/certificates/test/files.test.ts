import { generateKeyPairSync } from 'node:crypto';
import { selfSigned, TestAuthority } from '@dragoman/testing';
import { afterAll, describe, expect, it } from 'vitest';
import {
  keyMatches,
  readBundle,
  readCertificate,
  readCertificates,
  readPem,
  readPkcs12,
  readPrivateKey,
  type Result,
  writePem,
} from '../src/index.ts';
import { OpenSsl } from './openssl.ts';

const openssl = new OpenSsl();
afterAll(() => openssl[Symbol.dispose]());

const root = TestAuthority.root();
const leaf = root.intermediate().issue({ subject: 'CN=leaf' });

function must<T>(result: Result<T>): T {
  if (!result.ok) throw new Error(result.error);
  return result.value;
}

function errorOf(result: Result<unknown>): string {
  return result.ok ? '' : result.error;
}

describe('PEM', () => {
  it('reads several blocks with anything between', () => {
    const text = `# a comment\r\nsubject=CN = x\r\n${root.pem.replaceAll('\n', '\r\n')}\n  junk: 1\n\n${leaf.keyPem}\nmore -----\n${root.crl()}`;
    expect(must(readPem(text)).map(({ label }) => label)).toEqual(['CERTIFICATE', 'PRIVATE KEY', 'X509 CRL']);
    expect(must(readPem(text))[0]?.der.equals(root.der)).toBe(true);
    expect(must(readPem('nothing here'))).toEqual([]);
  });

  it('writes what it reads', () => {
    for (const { pem, der } of [root, leaf]) {
      expect(writePem('CERTIFICATE', der)).toBe(pem);
      expect(must(readPem(pem))[0]?.der).toEqual(der);
    }
  });

  it('refuses blocks that are broken, rather than skip them', () => {
    const table: readonly (readonly [string, string])[] = [
      [root.pem.slice(0, -30), 'PEM block 1 (CERTIFICATE) is not closed'],
      [root.pem.replace('END CERT', 'END X509 CERT'), 'PEM block 1 (CERTIFICATE) is not closed'],
      [`${root.pem}-----BEGIN CERTIFICATE-----\n${root.pem}`, 'PEM block 2 (CERTIFICATE) is not closed'],
      ['-----END CERTIFICATE-----', 'PEM block 1 ends before it begins'],
      [root.pem.replace('MII', 'M!I'), 'PEM block 1 (CERTIFICATE) is no base64'],
      [root.pem.replace('MII', 'MI'), 'PEM block 1 (CERTIFICATE) is no base64'],
      ['-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----', 'PEM block 1 (CERTIFICATE) is no base64'],
    ];
    for (const [text, error] of table) expect(errorOf(readPem(text))).toBe(error);
    expect(errorOf(readPem(' '.repeat(8 * 1024 * 1024 + 1)))).toMatch(/are more than 8388608/);
  });
});

describe('bundles', () => {
  it('reads certificates and CRLs, and passes over keys', () => {
    const bundle = must(readBundle(leaf.keyPem + leaf.chainPem + root.crl()));
    expect(bundle.certificates.map(({ der }) => der)).toEqual(leaf.chainDer);
    expect(bundle.crls).toHaveLength(1);
  });

  it('reads DER', () => {
    expect(must(readCertificates(leaf.der))[0]?.der).toEqual(leaf.der);
    expect(must(readCertificates(Buffer.from(leaf.chainPem)))).toHaveLength(2);
  });

  it('says which block is wrong', () => {
    const cut = writePem('CERTIFICATE', leaf.der.subarray(0, -1));
    expect(errorOf(readBundle(root.pem + cut))).toBe(
      'PEM block 2 (CERTIFICATE): a value is longer than what it stands in',
    );
    expect(errorOf(readCertificates(leaf.keyPem))).toBe('there is no certificate');
    expect(errorOf(readBundle(root.pem.replaceAll('CERTIFICATE', 'TRUSTED CERTIFICATE')))).toMatch(
      /write it as CERTIFICATE/,
    );
  });
});

describe('private keys', () => {
  const certificate = must(readCertificate(leaf.der));

  it('reads them in every form', () => {
    for (const key of ['rsa', 'p256'] as const) {
      const own = selfSigned({ key });
      const forms = [
        own.keyPem,
        own.encryptedKeyPem('secret'),
        own.encryptedKeyPem('secret', 'traditional'),
        own.privateKey.export({ type: key === 'rsa' ? 'pkcs1' : 'sec1', format: 'pem' }) as string,
        own.privateKey.export({ type: 'pkcs8', format: 'der' }),
      ];
      for (const form of forms)
        expect(must(readPrivateKey(form, 'secret')).equals(own.privateKey)).toBe(true);
    }
  });

  it('says why it cannot, without the key', () => {
    const encrypted = leaf.encryptedKeyPem('secret');
    expect(errorOf(readPrivateKey(encrypted))).toBe('the private key is encrypted, and there is no password');
    expect(errorOf(readPrivateKey(encrypted, 'wrong'))).toMatch(/the password may be wrong/);
    expect(errorOf(readPrivateKey('x'))).toMatch(/^not a private key/);
    expect(errorOf(readPrivateKey(leaf.pem))).toMatch(/^not a private key/);
  });

  it('tells whether a key is that of a certificate', () => {
    expect(keyMatches(certificate, leaf.privateKey)).toBe(true);
    expect(keyMatches(certificate, generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey)).toBe(
      false,
    );
    expect(keyMatches(certificate, generateKeyPairSync('ed25519').privateKey)).toBe(false);
  });
});

describe('PKCS#12', () => {
  it('reads key and certificates, that of the key first', () => {
    for (const encryption of ['modern', 'legacy'] as const) {
      const { privateKey, certificates } = must(
        readPkcs12(leaf.pkcs12('pass wörd', encryption), 'pass wörd'),
      );
      expect(privateKey?.equals(leaf.privateKey)).toBe(true);
      expect(certificates.map(({ der }) => der)).toEqual(leaf.chainDer);
    }
  });

  it('reads what OpenSSL writes', () => {
    const files = [openssl.file(leaf.keyPem), openssl.file(leaf.chainPem)] as const;
    const variants: readonly (readonly string[])[] = [
      [],
      ['-certpbe', 'PBE-SHA1-3DES', '-keypbe', 'PBE-SHA1-3DES', '-macalg', 'sha1'],
      ['-certpbe', 'NONE', '-keypbe', 'NONE'],
      ['-certpbe', 'aes-128-cbc', '-keypbe', 'aes-192-cbc', '-macalg', 'sha384', '-iter', '10'],
      ['-macalg', 'sha512', '-certpbe', 'des-ede3-cbc'],
    ];
    for (const [i, variant] of variants.entries()) {
      for (const password of ['secret', '']) {
        const out = openssl.path(`${i}.p12`);
        const args = ['-inkey', files[0], '-in', files[1], '-out', out, '-passout', `pass:${password}`];
        const { status, output } = openssl.run('pkcs12', '-export', ...args, ...variant);
        expect(status, output).toBe(0);
        const read = readPkcs12(openssl.read(out), password);
        expect(
          must(read).certificates.map(({ der }) => der),
          variant.join(' '),
        ).toEqual(leaf.chainDer);
        expect(must(read).privateKey?.equals(leaf.privateKey)).toBe(true);
      }
    }
  });

  it('says why it cannot', () => {
    const der = leaf.pkcs12('secret');
    expect(errorOf(readPkcs12(der, 'wrong'))).toMatch(/the password may be wrong/);
    expect(errorOf(readPkcs12(der))).toMatch(/the password may be wrong/);
    expect(errorOf(readPkcs12(leaf.der, 'x'))).toMatch(/^expected integer/);
    expect(errorOf(readPkcs12(Buffer.from('3003020101', 'hex')))).toBe('not a PKCS#12 file of version 3');
    expect(errorOf(readPkcs12(Buffer.alloc(1024 * 1024 + 1)))).toMatch(/more than 1048576/);
    const changed = Buffer.from(der);
    changed[200] = (changed[200] as number) ^ 1;
    expect(errorOf(readPkcs12(changed, 'secret'))).not.toBe('');
  });

  it('names encryption that is too old', () => {
    const out = openssl.path('old.p12');
    const args = ['-inkey', openssl.file(leaf.keyPem), '-in', openssl.file(leaf.pem), '-out', out];
    const { status } = openssl.run(
      'pkcs12',
      '-export',
      '-legacy',
      ...args,
      '-passout',
      'pass:x',
      '-certpbe',
      'PBE-SHA1-RC2-40',
    );
    if (status !== 0) return; // no legacy provider here
    expect(errorOf(readPkcs12(openssl.read(out), 'x'))).toMatch(
      /1\.2\.840\.113549\.1\.12\.1\.6, which OpenSSL 3 counts as legacy/,
    );
  });
});
