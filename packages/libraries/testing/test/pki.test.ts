import { execFileSync } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { afterAll, describe, expect, it } from 'vitest';
import { DAY_MS, type KeyKind, selfSigned, TestAuthority } from '../src/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'pki-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string | Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

function openssl(...args: readonly string[]): string {
  return execFileSync('openssl', [...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

describe('TestAuthority', () => {
  it('makes chains of every kind of key that OpenSSL accepts', () => {
    for (const key of ['rsa', 'p256', 'p384', 'ed25519'] as readonly KeyKind[]) {
      const root = TestAuthority.root({ key });
      const between = root.intermediate({ key, basicConstraints: { ca: true, pathLength: 0 } });
      const leaf = between.issue({ key, subject: 'CN=a.example, O=Ä & B', san: [{ dns: 'a.example' }] });
      expect(leaf.chain).toEqual([between]);
      const args = ['-x509_strict', '-purpose', 'sslserver', '-verify_hostname', 'a.example'];
      const files = [
        file('root.pem', root.pem),
        file('between.pem', between.pem),
        file('leaf.pem', leaf.pem),
      ];
      expect(
        openssl('verify', ...args, '-CAfile', files[0], '-untrusted', files[1], files[2]),
        key,
      ).toContain('OK');
      createSecureContext({ key: leaf.keyPem, cert: leaf.chainPem });
    }
  });

  it('writes names as they are given, NUL and all', () => {
    const leaf = selfSigned({
      subject: [
        { type: 'CN', value: 'x' },
        [
          { type: 'O', value: 'y' },
          { type: '1.2.3.4', value: 'z', tag: 0x13 },
        ],
      ],
      san: [
        { dns: 'a\0b' },
        { ip: '10.0.0.1' },
        { ip: '2001:db8::1' },
        { uri: 'spiffe://a/b' },
        { email: 'a@b' },
      ],
    });
    const parsed = new X509Certificate(leaf.der);
    expect(parsed.subject).toBe('CN=x\n1.2.3.4=z + O=y');
    expect(parsed.subjectAltName).toContain(
      'IP Address:10.0.0.1, IP Address:2001:DB8:0:0:0:0:0:1, URI:spiffe://a/b',
    );
    expect(leaf.der.includes(Buffer.from('a\0b'))).toBe(true);
  });

  it('has authorities and leaves out of date', () => {
    const now = Date.now();
    const leaf = TestAuthority.root().issue({ notBefore: now - 2 * DAY_MS, notAfter: now - DAY_MS });
    expect(Date.parse(new X509Certificate(leaf.der).validTo)).toBe(Math.floor((now - DAY_MS) / 1000) * 1000);
    const late = TestAuthority.root({ notAfter: Date.UTC(2050, 0, 1) });
    expect(new X509Certificate(late.der).validTo).toContain('2050');
  });

  it('revokes', () => {
    const root = TestAuthority.root();
    const good = root.issue();
    const bad = root.issue();
    const crl = root.crl({ revoked: [{ serial: bad.serial, reason: 1 }] });
    const args = ['-CAfile', file('r.pem', root.pem), '-CRLfile', file('crl.pem', crl), '-crl_check'];
    expect(openssl('verify', ...args, file('good.pem', good.pem))).toContain('OK');
    expect(() => openssl('verify', ...args, file('bad.pem', bad.pem))).toThrow(/certificate revoked/);
  });

  it('answers about revocation', () => {
    const root = TestAuthority.root();
    const leaf = root.issue();
    const ca = file('o.pem', root.pem);
    for (const status of ['good', 'revoked', 'unknown'] as const) {
      for (const responder of ['name', 'key'] as const) {
        const answer = file('ocsp.der', root.ocsp(leaf, { status, responder }));
        const cert = file('leaf.pem', leaf.pem);
        const args = ['-respin', answer, '-issuer', ca, '-CAfile', ca, '-cert', cert];
        expect(openssl('ocsp', ...args)).toContain(`: ${status}`);
      }
    }
    expect(root.ocsp(leaf, { responseStatus: 6 })).toEqual(Buffer.from('30030a0106', 'hex'));
  });

  it('packs PKCS#12 and encrypts keys', () => {
    for (const key of ['rsa', 'p256'] as const) {
      const leaf = TestAuthority.root().intermediate().issue({ key });
      for (const encryption of ['modern', 'legacy'] as const) {
        const pfx = leaf.pkcs12('pass wörd', encryption);
        createSecureContext({ pfx, passphrase: 'pass wörd' });
        expect(() => createSecureContext({ pfx, passphrase: 'wrong' })).toThrow(/mac verify/);
      }
      for (const form of ['pkcs8', 'traditional'] as const) {
        const text = leaf.encryptedKeyPem('secret', form);
        expect(createPrivateKey({ key: text, passphrase: 'secret' }).equals(leaf.privateKey)).toBe(true);
        expect(() => createPrivateKey({ key: text, passphrase: 'wrong' })).toThrow();
      }
    }
  });
});
