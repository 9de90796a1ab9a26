import { createHash } from 'node:crypto';
import { selfSigned, TestAuthority } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import {
  CertificateValidator,
  FAILURE_TABLE,
  type SanMatcher,
  transportFailureReason,
  type ValidatorConfig,
} from '../src/index.ts';
import { verdict, verify } from './support.ts';

const root = TestAuthority.root();
const leaf = root.issue({ san: [{ dns: 'a.example' }] });
const other = root.issue({ san: [{ dns: 'b.example' }] });
const hash = createHash('sha256').update(leaf.der).digest('hex');
const colons = hash.toUpperCase().replace(/..(?=.)/g, '$&:');
const spki = createHash('sha256')
  .update(leaf.keys.publicKey.export({ type: 'spki', format: 'der' }))
  .digest('base64');
const zeros = '0'.repeat(64);
const zeroSpki = `${'A'.repeat(43)}=`;
const named: SanMatcher = { kind: 'dns', exact: 'a.example', matches: () => false };

function check(config: ValidatorConfig, one = leaf): string {
  return verdict(verify(config, [one.der]));
}

describe('hashes', () => {
  it('compares the certificate, in either notation, and its key', () => {
    for (const config of [
      { verifyCertificateHash: [hash] },
      { verifyCertificateHash: [colons] },
      { verifyCertificateHash: [zeros, hash] },
      { verifyCertificateSpki: [spki] },
    ]) {
      expect(check(config)).toBe('ok');
      expect(check(config, other)).toBe('certificate_hash@0');
    }
  });

  it('is content with either, and with nothing less when there is no trusted_ca', () => {
    expect(check({ verifyCertificateHash: [zeros], verifyCertificateSpki: [spki] })).toBe('ok');
    expect(check({ verifyCertificateHash: [hash], verifyCertificateSpki: [zeroSpki] })).toBe('ok');
    const neither = { verifyCertificateHash: [zeros], verifyCertificateSpki: [zeroSpki] };
    expect(verify(neither, [leaf.der])).toMatchObject({
      ok: false,
      reason: 'certificate_hash',
      detail: 'verify cert failed: cert hash and spki',
    });
  });

  it('adds to chains and names, and replaces neither', () => {
    const stranger = selfSigned();
    const pin = createHash('sha256').update(stranger.der).digest('hex');
    expect(check({ verifyCertificateHash: [pin] }, stranger)).toBe('ok');
    expect(check({ trustedCa: root.pem, verifyCertificateHash: [pin] }, stranger)).toBe(
      'unable_to_get_issuer_locally@0',
    );
    const all = { trustedCa: root.pem, verifyCertificateHash: [hash], subjectAltNames: [named] };
    expect(check(all)).toBe('ok');
    expect(check(all, other)).toBe('san_matcher@0');
    expect(check({ ...all, verifyCertificateHash: [zeros] })).toBe('certificate_hash@0');
  });
});

describe('what is validated', () => {
  const validated = (config: ValidatorConfig, one = leaf) => {
    const result = verify(config, [one.der]);
    return result.ok && result.validated;
  };
  it('is nothing without a rule', () => {
    expect(check({})).toBe('ok');
    expect(validated({})).toBe(false);
    expect(validated({ trustedCa: root.pem })).toBe(true);
    expect(validated({ verifyCertificateHash: [hash] })).toBe(true);
    const accept = { trustChainVerification: 'ACCEPT_UNTRUSTED', trustedCa: root.pem } as const;
    expect(validated({ ...accept, subjectAltNames: [named] })).toBe(true);
    const result = verify({ ...accept, subjectAltNames: [named] }, [other.der]);
    expect(result).toMatchObject({ ok: true, validated: false, tolerated: { reason: 'san_matcher' } });
  });
});

describe('whether a certificate is asked for', () => {
  const modeOf = (config: ValidatorConfig) => new CertificateValidator(config).mode;
  const accept = { trustChainVerification: 'ACCEPT_UNTRUSTED' } as const;
  it('follows from the rules, as in Envoy', () => {
    expect(modeOf({})).toBe('none');
    expect(modeOf({ trustedCa: root.pem })).toBe('request');
    expect(modeOf(accept)).toBe('request');
    expect(modeOf({ verifyCertificateHash: [hash] })).toBe('require');
    expect(modeOf({ verifyCertificateSpki: [spki] })).toBe('require');
    expect(modeOf({ trustedCa: root.pem, subjectAltNames: [named] })).toBe('require');
    expect(modeOf({ trustedCa: root.pem, subjectAltNames: [named], ...accept })).toBe('request');
  });
});

describe('configs that are refused', () => {
  const table: readonly (readonly [ValidatorConfig, string])[] = [
    [{ trustedCa: 'x' }, 'ctx.trusted_ca: holds no certificate'],
    [{ trustedCa: leaf.keyPem }, 'ctx.trusted_ca: holds no certificate'],
    [{ trustedCa: root.pem.slice(0, -40) }, 'ctx.trusted_ca: not a bundle of certificates'],
    [
      {
        trustedCa: root.pem + selfSigned({ extensions: [{ oid: '2.5.29.17', value: Buffer.from([1]) }] }).pem,
      },
      'ctx.trusted_ca: certificate 2: extension 2.5.29.17',
    ],
    [{ crl: root.crl() }, 'ctx.crl: needs trusted_ca'],
    [{ trustedCa: root.pem, crl: 'x' }, 'ctx.crl: holds no CRL'],
    [
      { subjectAltNames: [named] },
      'SAN-based verification of peer certificates without trusted CA is insecure',
    ],
    [{ allowExpiredCertificate: true }, 'certificate validity period is always ignored without trusted CA'],
    [{ autoSniSanValidation: true }, 'ctx.auto_sni_san_validation: needs trusted_ca'],
    [{ verifyCertificateHash: [hash, 'xy'] }, 'ctx.verify_certificate_hash[1]: not a SHA-256 in hex'],
    [{ verifyCertificateHash: [`${hash}00`] }, 'ctx.verify_certificate_hash[0]'],
    [{ verifyCertificateHash: [colons.replace(':', '-')] }, 'ctx.verify_certificate_hash[0]'],
    [{ verifyCertificateSpki: ['QUJD'] }, 'ctx.verify_certificate_spki[0]: not a SHA-256 in base64'],
    [{ trustedCa: root.pem, maxVerifyDepth: 101 }, 'ctx.max_verify_depth: 101 is not a whole number'],
  ];
  for (const [config, message] of table)
    it(message, () => expect(() => new CertificateValidator(config, 'ctx')).toThrow(message));
});

describe('the authorities of the system', () => {
  it('are trusted when told so, besides others', () => {
    const config = { systemRootCerts: true };
    expect(check(config)).toBe('unable_to_get_issuer_locally@0');
    expect(check({ ...config, trustedCa: root.pem })).toBe('ok');
    expect(new CertificateValidator(config).mode).toBe('request');
  });
});

describe('the table of failures', () => {
  it('has words for each, and charges each to a counter', () => {
    for (const [reason, { text, about, counter, own }] of Object.entries(FAILURE_TABLE)) {
      expect(text, reason).not.toBe('');
      if (about === 'chain') expect(counter, reason).toBe('fail_verify_error');
      expect(own === undefined || counter === 'fail_verify_error', reason).toBe(true);
    }
    const charged = (counter: string) =>
      Object.entries(FAILURE_TABLE).flatMap(([reason, row]) => (row.counter === counter ? [reason] : []));
    expect(charged('fail_verify_no_cert')).toEqual(['no_certificate']);
    expect(charged('fail_verify_san')).toEqual(['san_list', 'san_matcher', 'spiffe_san']);
    expect(charged('fail_verify_cert_hash')).toEqual(['certificate_hash']);
  });

  it('makes what Envoy prints', () => {
    const reasonOf = (result: ReturnType<typeof verify>) =>
      result.ok ? '' : transportFailureReason(result).replaceAll(' ', '_');
    expect(reasonOf(verify({ trustedCa: root.pem }, [selfSigned().der]))).toBe(
      'TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_X509_verify_cert:_certificate_verification_error_at_depth_0:_unable_to_get_local_issuer_certificate:TLS_error_end',
    );
    expect(reasonOf(verify({ trustedCa: root.pem }, []))).toBe(
      'TLS_error:|268435648:SSL_routines:OPENSSL_internal:PEER_DID_NOT_RETURN_A_CERTIFICATE:peer_did_not_provide_required_client_certificate:TLS_error_end',
    );
    expect(reasonOf(verify({ verifyCertificateHash: [zeros] }, [leaf.der]))).toBe(
      'TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_cert_hash_and_spki:TLS_error_end',
    );
  });
});
