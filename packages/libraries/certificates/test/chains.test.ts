import {
  DAY_MS,
  generateKey,
  HOUR_MS,
  type KeyPair,
  type PkiExtension,
  selfSigned,
  TestAuthority,
} from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import type { CertificateFailure } from '../src/index.ts';
import { Chain, chainDetail, verdict, verify } from './support.ts';

const now = Date.now();
const expired = { notBefore: now - 10 * DAY_MS, notAfter: now - DAY_MS };
const early = { notBefore: now + DAY_MS };
const unknownCritical: PkiExtension = { oid: '1.2.3.4', critical: true, value: Buffer.from([5, 0]) };
const pki = new Chain();

function check(
  chain: Chain,
  leaf: { readonly chainDer: readonly Buffer[] },
  config: Parameters<typeof verify>[0] = {},
  options: Parameters<typeof verify>[2] = {},
): string {
  return verdict(verify({ trustedCa: chain.root.pem, ...config }, leaf.chainDer, options));
}

describe('chains that are accepted', () => {
  it('takes a leaf below a root, and below an authority that the peer sends', () => {
    expect(verdict(verify({ trustedCa: pki.root.pem }, [pki.root.issue().der]))).toBe('ok');
    const leaf = pki.leaf();
    const result = verify({ trustedCa: pki.root.pem }, leaf.chainDer);
    expect(result).toEqual({
      ok: true,
      validated: true,
      tolerated: undefined,
      path: [leaf.der, pki.between.der, pki.root.der],
    });
  });

  it('takes every kind of key', () => {
    for (const key of ['rsa', 'rsa3072', 'p256', 'p384', 'p521', 'ed25519', 'ed448'] as const) {
      const chain = new Chain({ key }, { key });
      expect(check(chain, chain.leaf({ key })), key).toBe('ok');
    }
  });

  it('sorts out what the peer sends in any order, with certificates that do not matter', () => {
    const leaf = pki.leaf();
    const other = TestAuthority.root({ subject: 'CN=Other' });
    const sent = [leaf.der, other.der, pki.root.der, pki.between.der, leaf.der];
    expect(verdict(verify({ trustedCa: pki.root.pem }, sent))).toBe('ok');
  });

  it('ends at whatever is trusted: an authority in the middle, or the leaf itself', () => {
    const leaf = pki.leaf();
    expect(verdict(verify({ trustedCa: pki.between.pem }, [leaf.der]))).toBe('ok');
    expect(verdict(verify({ trustedCa: leaf.pem }, [leaf.der]))).toBe('ok');
    expect(verdict(verify({ trustedCa: leaf.pem }, leaf.chainDer))).toBe('ok');
    const own = selfSigned({ basicConstraints: null });
    expect(verdict(verify({ trustedCa: own.pem }, [own.der]))).toBe('ok');
  });

  it('takes a trusted root of version 1, which cannot say that it is an authority', () => {
    const silent = { basicConstraints: null, keyUsage: null, keyIdentifiers: false };
    const old = TestAuthority.root({ ...silent, version: 1 });
    const leaf = old.issue({ keyIdentifiers: false });
    expect(verdict(verify({ trustedCa: old.pem }, [leaf.der]))).toBe('ok');
    const silentRoot = TestAuthority.root(silent);
    expect(verdict(verify({ trustedCa: silentRoot.pem }, [silentRoot.issue().der]))).toBe('invalid_ca@1');
    const between = pki.root.intermediate({ ...silent, version: 1 });
    expect(verdict(verify({ trustedCa: pki.root.pem }, between.issue().chainDer))).toBe('invalid_ca@1');
  });

  it('finds the right one among authorities of one name', () => {
    const names = { subject: 'CN=Rolled', keyIdentifiers: false };
    const older = TestAuthority.root(names);
    const newer = TestAuthority.root(names);
    const leaf = newer.issue({ keyIdentifiers: false });
    for (const trustedCa of [older.pem + newer.pem, newer.pem + older.pem])
      expect(verdict(verify({ trustedCa }, [leaf.der]))).toBe('ok');
    expect(verdict(verify({ trustedCa: older.pem }, [leaf.der]))).toBe('signature_failure@0');
  });

  it('takes a renewed authority for the expired one with the same key', () => {
    const key = generateKey('p256');
    const old = TestAuthority.root({ key, ...expired });
    const renewed = TestAuthority.root({ key });
    const leaf = old.issue();
    for (const trustedCa of [old.pem + renewed.pem, renewed.pem + old.pem])
      expect(verdict(verify({ trustedCa }, [leaf.der]))).toBe('ok');
    expect(verdict(verify({ trustedCa: old.pem }, [leaf.der]))).toBe('expired@1');
  });

  it('takes another way round when two authorities signed each other', () => {
    const [keyA, keyB] = [generateKey('p256'), generateKey('p256')];
    const a = TestAuthority.root({ subject: 'CN=A', key: keyA });
    const b = TestAuthority.root({ subject: 'CN=B', key: keyB });
    const aByB = b.intermediate({ subject: 'CN=A', key: keyA, keyIdentifiers: false });
    const bByA = a.intermediate({ subject: 'CN=B', key: keyB, keyIdentifiers: false });
    const leaf = a.issue();
    const sent = [leaf.der, aByB.der, bByA.der];
    expect(verdict(verify({ trustedCa: b.pem }, sent))).toBe('ok');
    expect(verdict(verify({ trustedCa: a.pem }, sent))).toBe('ok');
    expect(verdict(verify({ trustedCa: pki.root.pem }, sent))).toMatch(/^unable_to_get_issuer_locally/);
  });
});

describe('chains that are refused', () => {
  const strangers = TestAuthority.root({ subject: 'CN=Strangers' });
  const table: readonly (readonly [string, CertificateFailure, number, () => string])[] = [
    ['from nobody who is trusted', 'unable_to_get_issuer_locally', 0, () => check(pki, strangers.issue())],
    [
      'without the authority between',
      'unable_to_get_issuer_locally',
      0,
      () => verdict(verify({ trustedCa: pki.root.pem }, [pki.leaf().der])),
    ],
    [
      'with an authority from nobody who is trusted',
      'unable_to_get_issuer_locally',
      1,
      () => check(pki, strangers.intermediate({ subject: 'CN=x' }).issue()),
    ],
    [
      'self-signed',
      'self_signed',
      0,
      () => check(pki, selfSigned({ keyUsage: ['keyCertSign', 'digitalSignature'] })),
    ],
    [
      'that brings a root along',
      'self_signed_in_chain',
      1,
      () => verdict(verify({ trustedCa: pki.root.pem }, [strangers.issue().der, strangers.der])),
    ],
    ['expired', 'expired', 0, () => check(pki, pki.leaf(expired))],
    ['not valid yet', 'not_yet_valid', 0, () => check(pki, pki.leaf(early))],
    [
      'with an expired authority',
      'expired',
      1,
      () => {
        const chain = new Chain({}, expired);
        return check(chain, chain.leaf());
      },
    ],
    [
      'with an expired root',
      'expired',
      2,
      () => {
        const chain = new Chain(expired);
        return check(chain, chain.leaf());
      },
    ],
    [
      'signed with another key than the name says',
      'signature_failure',
      0,
      () => {
        const names = { subject: 'CN=Twin', keyIdentifiers: false };
        const twin = TestAuthority.root(names);
        return verdict(
          verify({ trustedCa: twin.pem }, [TestAuthority.root(names).issue({ keyIdentifiers: false }).der]),
        );
      },
    ],
    [
      'issued by a leaf',
      'invalid_ca',
      1,
      () => {
        const chain = new Chain({}, { basicConstraints: null, keyUsage: null });
        return check(chain, chain.leaf());
      },
    ],
    [
      'issued by what says it is no authority',
      'invalid_ca',
      1,
      () => {
        const chain = new Chain({}, { basicConstraints: { ca: false }, keyUsage: null });
        return check(chain, chain.leaf());
      },
    ],
    [
      'issued by an authority whose key may not sign certificates',
      'unable_to_get_issuer_locally',
      0,
      () => {
        const chain = new Chain({}, { keyUsage: ['cRLSign', 'digitalSignature'] });
        return check(chain, chain.leaf());
      },
    ],
    [
      'with more authorities than one of them allows',
      'path_length_exceeded',
      2,
      () => {
        const root = TestAuthority.root();
        const top = root.intermediate({ subject: 'CN=1', basicConstraints: { ca: true, pathLength: 0 } });
        const leaf = top.intermediate({ subject: 'CN=2' }).issue();
        return verdict(verify({ trustedCa: root.pem }, leaf.chainDer));
      },
    ],
    [
      'with more authorities than the root allows',
      'path_length_exceeded',
      2,
      () => {
        const chain = new Chain({ basicConstraints: { ca: true, pathLength: 0 } });
        return check(chain, chain.leaf());
      },
    ],
    [
      'for clients only',
      'unsupported_purpose',
      0,
      () => check(pki, pki.leaf({ extendedKeyUsage: ['clientAuth'] })),
    ],
    [
      'for any purpose, which is none',
      'unsupported_purpose',
      0,
      () => check(pki, pki.leaf({ extendedKeyUsage: ['any'] })),
    ],
    [
      'from an authority for clients only',
      'unsupported_purpose',
      1,
      () => {
        const chain = new Chain({}, { extendedKeyUsage: ['clientAuth'] });
        return check(chain, chain.leaf());
      },
    ],
    [
      'with a key that may not sign',
      'unsupported_purpose',
      0,
      () => check(pki, pki.leaf({ keyUsage: ['keyCertSign'] })),
    ],
    [
      'with a critical extension that nobody knows',
      'unhandled_critical_extension',
      0,
      () => check(pki, pki.leaf({ extensions: [unknownCritical] })),
    ],
    [
      'from an authority with a critical extension that nobody knows',
      'unhandled_critical_extension',
      1,
      () => {
        const chain = new Chain({}, { extensions: [unknownCritical] });
        return check(chain, chain.leaf());
      },
    ],
    [
      'with broken subject alternative names',
      'invalid_extension',
      0,
      () =>
        check(pki, pki.leaf({ extensions: [{ oid: '2.5.29.17', value: Buffer.from('3003820561', 'hex') }] })),
    ],
    [
      'with a path length on a leaf',
      'invalid_extension',
      0,
      () =>
        check(
          pki,
          pki.leaf({
            extensions: [{ oid: '2.5.29.19', critical: true, value: Buffer.from('3003020100', 'hex') }],
          }),
        ),
    ],
    [
      'that demands a policy',
      'no_explicit_policy',
      0,
      () =>
        check(
          pki,
          pki.leaf({
            extensions: [{ oid: '2.5.29.36', critical: true, value: Buffer.from('3003800100', 'hex') }],
          }),
        ),
    ],
    ['signed with SHA-1', 'weak_signature', 0, () => check(pki, pki.leaf({ digest: 'sha1' }))],
    [
      'signed with MD5',
      'signature_failure',
      0,
      () => {
        const root = TestAuthority.root({ key: 'rsa' });
        return verdict(verify({ trustedCa: root.pem }, [root.issue({ digest: 'md5' }).der]));
      },
    ],
    [
      'with a key of a kind that nobody knows',
      'weak_key',
      0,
      () => {
        const spki = Buffer.from('3011300a06062a030405060705000303000102', 'hex');
        const { privateKey } = generateKey('p256');
        const publicKey = { export: () => spki } as unknown as KeyPair['publicKey'];
        return check(pki, pki.leaf({ key: { privateKey, publicKey } }));
      },
    ],
    ['with a short key', 'weak_key', 0, () => check(pki, pki.leaf({ key: 'rsa1024' }))],
    [
      'from an authority with a short key',
      'weak_authority_key',
      1,
      () => {
        const chain = new Chain({}, { key: 'rsa1024' });
        return check(chain, chain.leaf());
      },
    ],
    [
      'cut off',
      'malformed',
      0,
      () => verdict(verify({ trustedCa: pki.root.pem }, [pki.leaf().der.subarray(0, -1)])),
    ],
    [
      'with a certificate behind it that is none',
      'malformed',
      1,
      () => verdict(verify({ trustedCa: pki.root.pem }, [pki.leaf().der, Buffer.from('30820000', 'hex')])),
    ],
    [
      'of more certificates than one may send',
      'chain_too_long',
      32,
      () => verdict(verify({ trustedCa: pki.root.pem }, new Array(33).fill(pki.leaf().der))),
    ],
    ['of nothing', 'no_certificate', 0, () => verdict(verify({ trustedCa: pki.root.pem }, []))],
  ];

  for (const [name, reason, depth, run] of table)
    it(`refuses one ${name}`, () => expect(run()).toBe(`${reason}@${depth}`));

  it('says it as Envoy does', () => {
    const result = verify({ trustedCa: pki.root.pem }, pki.leaf(expired).chainDer);
    expect(result).toMatchObject({ ok: false, detail: chainDetail('expired', 0) });
  });

  it('does not take a root of the same name and key identifier for the trusted one', () => {
    const forged = TestAuthority.root();
    expect(verdict(verify({ trustedCa: pki.root.pem }, [forged.issue().der, forged.der]))).toBe(
      'self_signed_in_chain@1',
    );
  });
});

describe('purposes', () => {
  it('asks servers and clients for the usage that is theirs', () => {
    const client = pki.leaf({ extendedKeyUsage: ['clientAuth'] });
    const server = pki.leaf({ extendedKeyUsage: ['serverAuth'] });
    const none = pki.leaf({ extendedKeyUsage: undefined });
    expect(check(pki, client, {}, { peer: 'client' })).toBe('ok');
    expect(check(pki, server, {}, { peer: 'client' })).toBe('unsupported_purpose@0');
    expect(check(pki, server, {}, { peer: 'server' })).toBe('ok');
    expect(check(pki, none, {}, { peer: 'server' })).toBe('ok');
    expect(check(pki, none, {}, { peer: 'client' })).toBe('ok');
    const encipher = pki.leaf({ keyUsage: ['keyEncipherment'] });
    expect(check(pki, encipher, {}, { peer: 'server' })).toBe('ok');
    expect(check(pki, encipher, {}, { peer: 'client' })).toBe('unsupported_purpose@0');
  });
});

describe('times', () => {
  it('counts in seconds: valid from notBefore on, and no more at notAfter', () => {
    const start = Math.floor(now / 1000) * 1000 + HOUR_MS;
    const leaf = pki.leaf({ notBefore: start, notAfter: start + 60_000 });
    const at = (nowMs: number) => check(pki, leaf, {}, { nowMs });
    expect(at(start - 1)).toBe('not_yet_valid@0');
    expect(at(start)).toBe('ok');
    expect(at(start + 59_999)).toBe('ok');
    expect(at(start + 60_000)).toBe('expired@0');
  });

  const allow = { allowExpiredCertificate: true };
  it('forgives times when told to', () => {
    expect(check(pki, pki.leaf(expired), allow)).toBe('ok');
    expect(check(pki, pki.leaf(early), allow)).toBe('ok');
    const old = new Chain(expired, expired);
    expect(check(old, old.leaf(expired), allow)).toBe('ok');
  });

  it('forgives nothing else', () => {
    const strangers = TestAuthority.root();
    expect(check(pki, selfSigned({ ...expired, keyUsage: null }), allow)).toBe('self_signed@0');
    expect(check(pki, strangers.issue(expired), allow)).toBe('unable_to_get_issuer_locally@0');
    const leaf = pki.root.issue(expired);
    const crl = pki.root.crl({ revoked: [{ serial: leaf.serial }] });
    expect(check(pki, leaf, { ...allow, crl })).toBe('revoked@0');
    expect(check(pki, pki.leaf({ ...expired, extendedKeyUsage: ['clientAuth'] }), allow)).toBe(
      'unsupported_purpose@0',
    );
    expect(check(pki, pki.leaf({ ...expired, digest: 'sha1' }), allow)).toBe('weak_signature@0');
  });
});

describe('max_verify_depth', () => {
  it('counts authorities, and 0 as 1', () => {
    const leaf = pki.leaf();
    expect(check(pki, leaf, { maxVerifyDepth: 2 })).toBe('ok');
    expect(check(pki, leaf, { maxVerifyDepth: 1 })).toBe('unable_to_get_issuer_locally@1');
    expect(check(pki, pki.root.issue(), { maxVerifyDepth: 1 })).toBe('ok');
    expect(check(pki, pki.root.issue(), { maxVerifyDepth: 0 })).toBe('ok');
  });

  it('lets authorities that issued themselves not count for path lengths', () => {
    const root = TestAuthority.root();
    const top = root.intermediate({ subject: 'CN=Self', basicConstraints: { ca: true, pathLength: 0 } });
    const again = top.intermediate({ subject: 'CN=Self' });
    expect(verdict(verify({ trustedCa: root.pem }, again.issue().chainDer))).toBe('ok');
  });
});

describe('trust_chain_verification', () => {
  const accept = { trustChainVerification: 'ACCEPT_UNTRUSTED' } as const;
  it('accepts what is untrusted, and says that it is', () => {
    const result = verify({ trustedCa: pki.root.pem, ...accept }, [selfSigned().der]);
    expect(result).toMatchObject({ ok: true, validated: false, path: [] });
    expect(result.ok && result.tolerated?.reason).toBe('unable_to_get_issuer_locally');
    expect(verify({ trustedCa: pki.root.pem, ...accept }, pki.leaf().chainDer)).toMatchObject({
      ok: true,
      validated: true,
      tolerated: undefined,
    });
    expect(verify(accept, [selfSigned().der])).toMatchObject({ ok: true, validated: false });
  });

  it('does not accept what is no certificate', () => {
    expect(verdict(verify({ trustedCa: pki.root.pem, ...accept }, [Buffer.from('x')]))).toBe('malformed@0');
    expect(verdict(verify(accept, []))).toBe('no_certificate@0');
  });
});
