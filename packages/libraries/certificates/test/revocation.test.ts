import { DAY_MS, generateKey, type PkiExtension, TestAuthority } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { readCertificateList, readPem } from '../src/index.ts';
import { Chain, verdict, verify } from './support.ts';

const now = Date.now();
const pki = new Chain();
const leaf = pki.leaf();
const rootCrl = pki.root.crl();
const betweenCrl = pki.between.crl();

function check(crl: string, config: Parameters<typeof verify>[0] = {}, one = leaf, chain = pki): string {
  return verdict(verify({ trustedCa: chain.root.pem, crl, ...config }, one.chainDer));
}

describe('CRLs', () => {
  it('accepts a chain that none of them names', () => {
    expect(check(rootCrl + betweenCrl)).toBe('ok');
    expect(check(betweenCrl + rootCrl + TestAuthority.root({ subject: 'CN=Other' }).crl())).toBe('ok');
    expect(check(rootCrl + pki.between.crl({ nextUpdate: null }))).toBe('ok');
  });

  it('refuses the leaf, and any authority, that is revoked', () => {
    expect(check(rootCrl + pki.between.crl({ revoked: [{ serial: leaf.serial, reason: 1 }] }))).toBe(
      'revoked@0',
    );
    expect(check(pki.root.crl({ revoked: [{ serial: pki.between.serial }] }) + betweenCrl)).toBe('revoked@1');
    expect(check(pki.root.crl({ revoked: [{ serial: pki.root.serial }] }) + betweenCrl)).toBe('revoked@2');
    const many = Array.from({ length: 300 }, (_, i) => ({ serial: BigInt(i + 1) }));
    expect(check(rootCrl + pki.between.crl({ revoked: [...many, { serial: leaf.serial }] }))).toBe(
      'revoked@0',
    );
    expect(check(rootCrl + pki.between.crl({ revoked: many }))).toBe('ok');
  });

  it('wants one for every certificate, as soon as there is any', () => {
    expect(check(rootCrl)).toBe('no_crl@0');
    expect(check(betweenCrl)).toBe('no_crl@1');
    expect(check(TestAuthority.root({ subject: 'CN=Other' }).crl())).toBe('no_crl@0');
  });

  it('wants one for the leaf only, when told so', () => {
    const only = { onlyVerifyLeafCertCrl: true };
    expect(check(betweenCrl, only)).toBe('ok');
    expect(check(rootCrl, only)).toBe('no_crl@0');
    expect(check(pki.root.crl({ revoked: [{ serial: pki.between.serial }] }) + betweenCrl, only)).toBe('ok');
    expect(check(pki.between.crl({ revoked: [{ serial: leaf.serial }] }), only)).toBe('revoked@0');
  });

  it('reads those among the trusted authorities', () => {
    const trustedCa = pki.root.pem + rootCrl;
    expect(verdict(verify({ trustedCa }, leaf.chainDer))).toBe('no_crl@0');
    expect(verdict(verify({ trustedCa, crl: betweenCrl }, leaf.chainDer))).toBe('ok');
  });

  it('refuses what ends at an authority that is not its own issuer: nobody has a CRL for it', () => {
    const result = verify({ trustedCa: pki.between.pem, crl: betweenCrl + rootCrl }, [leaf.der]);
    expect(verdict(result)).toBe('no_crl@1');
    const only = { onlyVerifyLeafCertCrl: true };
    expect(verdict(verify({ trustedCa: pki.between.pem, crl: betweenCrl, ...only }, [leaf.der]))).toBe('ok');
  });

  it('looks at their times', () => {
    const late = { thisUpdate: now - 9 * DAY_MS, nextUpdate: now - DAY_MS };
    const early = { thisUpdate: now + DAY_MS, nextUpdate: now + 2 * DAY_MS };
    expect(check(rootCrl + pki.between.crl(late))).toBe('crl_expired@0');
    expect(check(pki.root.crl(early) + betweenCrl)).toBe('crl_not_yet_valid@1');
    expect(check(rootCrl + pki.between.crl(late), { allowExpiredCertificate: true })).toBe('ok');
    expect(check(rootCrl + pki.between.crl(late) + betweenCrl)).toBe('ok');
  });

  it('takes the newest of several', () => {
    const revoked = [{ serial: leaf.serial }];
    const older = pki.between.crl({ thisUpdate: now - 5 * DAY_MS });
    const newer = pki.between.crl({ thisUpdate: now - 1000 * 60, revoked });
    expect(check(rootCrl + older + newer)).toBe('revoked@0');
    expect(check(rootCrl + newer + older)).toBe('revoked@0');
  });

  it('verifies their signatures', () => {
    const forged = pki.between.crl({ signer: generateKey('p256') });
    expect(check(rootCrl + forged)).toBe('crl_signature_failure@0');
    expect(check(rootCrl + forged, { onlyVerifyLeafCertCrl: true })).toBe('crl_signature_failure@0');
    for (const key of ['rsa', 'p384', 'ed25519'] as const) {
      const chain = new Chain({ key }, { key });
      const crl = chain.root.crl({ digest: 'sha384' }) + chain.between.crl();
      expect(check(crl, {}, chain.leaf(), chain), key).toBe('ok');
    }
  });

  it('verifies RSASSA-PSS', () => {
    for (const digest of ['pss-sha256', 'pss-sha384', 'pss-sha1'] as const) {
      const chain = new Chain({ key: 'rsa' }, { key: 'rsa' });
      const crl = chain.root.crl({ digest }) + chain.between.crl({ digest });
      expect(check(crl, {}, chain.leaf(), chain), digest).toBe('ok');
      const forged = chain.root.crl() + chain.between.crl({ digest, signer: generateKey('rsa') });
      expect(check(forged, {}, chain.leaf(), chain), digest).toBe('crl_signature_failure@0');
      const leaf = verify({ trustedCa: chain.between.pem }, [chain.leaf({ digest }).der]);
      expect(verdict(leaf), digest).toBe(digest === 'pss-sha1' ? 'weak_signature@0' : 'ok');
    }
  });

  it('does not take them from a key that may not sign them', () => {
    const chain = new Chain({}, { keyUsage: ['keyCertSign'] });
    const crl = chain.root.crl() + chain.between.crl();
    expect(check(crl, {}, chain.leaf(), chain)).toBe('crl_signing_not_allowed@0');
  });

  it('refuses critical extensions that it does not know, of the list and of its entries', () => {
    const critical: PkiExtension = { oid: '1.2.3', critical: true, value: Buffer.from([5, 0]) };
    expect(check(rootCrl + pki.between.crl({ extensions: [critical] }))).toBe(
      'crl_unhandled_critical_extension@0',
    );
    const entry = { serial: 1n, extensions: [critical] };
    expect(check(rootCrl + pki.between.crl({ revoked: [entry] }))).toBe('crl_unhandled_critical_extension@0');
    const delta: PkiExtension = { oid: '2.5.29.27', critical: true, value: Buffer.from('020101', 'hex') };
    expect(check(rootCrl + pki.between.crl({ extensions: [delta] }))).toBe(
      'crl_unhandled_critical_extension@0',
    );
    const harmless = { ...critical, critical: false };
    expect(check(rootCrl + pki.between.crl({ extensions: [harmless] }))).toBe('ok');
  });
});

describe('the scope of CRLs', () => {
  const scope = (hex: string): PkiExtension => ({
    oid: '2.5.29.28',
    critical: true,
    value: Buffer.from(hex, 'hex'),
  });
  const uri = (text: string) => {
    const bytes = Buffer.from(text);
    return Buffer.concat([Buffer.from([0x86, bytes.length]), bytes]);
  };
  const wrap = (tag: number, inner: Buffer) => Buffer.concat([Buffer.from([tag, inner.length]), inner]);
  const point = (text: string) => wrap(0xa0, wrap(0xa0, uri(text)));
  const withPoint = (text: string): PkiExtension => ({
    oid: '2.5.29.31',
    value: wrap(0x30, wrap(0x30, point(text))),
  });

  it('knows those for leaves and those for authorities', () => {
    expect(check(rootCrl + pki.between.crl({ extensions: [scope('30038101ff')] }))).toBe('ok');
    expect(check(rootCrl + pki.between.crl({ extensions: [scope('30038201ff')] }))).toBe('crl_scope@0');
    const forAuthorities = pki.root.crl({ extensions: [scope('30038201ff')] });
    expect(check(forAuthorities + betweenCrl)).toBe('ok');
    const forLeaves = pki.root.crl({ extensions: [scope('30038101ff')] });
    expect(check(forLeaves + betweenCrl)).toBe('crl_scope@1');
    expect(check(forLeaves + forAuthorities + betweenCrl)).toBe('ok');
  });

  it('does not use those that are indirect, for some reasons, for attributes, or contradictory', () => {
    for (const hex of ['30038401ff', '3004830201fe', '30038501ff', '30068101ff8201ff'])
      expect(check(rootCrl + pki.between.crl({ extensions: [scope(hex)] })), hex).toBe('no_crl@0');
  });

  it('compares distribution points', () => {
    const at = (text: string) =>
      rootCrl + pki.between.crl({ extensions: [scope(wrap(0x30, point(text)).toString('hex'))] });
    const one = pki.leaf({ extensions: [withPoint('http://a/1.crl')] });
    expect(check(at('http://a/1.crl'), {}, one)).toBe('ok');
    expect(check(at('http://a/2.crl'), {}, one)).toBe('crl_scope@0');
    expect(check(at('http://a/1.crl'))).toBe('crl_scope@0');
    expect(check(rootCrl + betweenCrl, {}, one)).toBe('ok');
  });
});

describe('what is no CRL', () => {
  it('is refused with a reason', () => {
    const block = readPem(rootCrl);
    const der = block.ok ? (block.value[0]?.der as Buffer) : Buffer.alloc(0);
    expect(readCertificateList(der).ok).toBe(true);
    expect(readCertificateList(der.subarray(0, -1))).toMatchObject({ ok: false });
    expect(readCertificateList(leaf.der)).toMatchObject({ ok: false });
    expect(readCertificateList(Buffer.alloc(8 * 1024 * 1024 + 1))).toMatchObject({ ok: false });
    expect(() => check(pki.root.pem)).toThrow('crl: holds no CRL');
    expect(() => check(rootCrl.slice(0, -30))).toThrow('crl: not a list of CRLs in PEM');
  });
});
