import { constants, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { explicit, integer, nothing, oid, sequence } from './der-writer.ts';

/** RSA keys take 50 ms and more to make, the others under 1 ms. `rsa` is 2048 bits. */
export type KeyKind = 'rsa' | `rsa${number}` | 'p256' | 'p384' | 'p521' | 'secp256k1' | 'ed25519' | 'ed448';

export interface KeyPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

const CURVES = { p256: 'P-256', p384: 'P-384', p521: 'P-521', secp256k1: 'secp256k1' } as const;

export function generateKey(kind: KeyKind): KeyPair {
  if (kind === 'ed25519') return generateKeyPairSync('ed25519');
  if (kind === 'ed448') return generateKeyPairSync('ed448');
  if (kind in CURVES) return generateKeyPairSync('ec', { namedCurve: CURVES[kind as keyof typeof CURVES] });
  const bits = kind === 'rsa' ? 2048 : Number(kind.slice(3));
  return generateKeyPairSync('rsa', { modulusLength: bits });
}

/** Digest of a signature; `pss-` is RSASSA-PSS. Ed25519 and Ed448 have their own and take no notice. */
export type SignatureDigest = PlainDigest | PssDigest;
type PlainDigest = 'md5' | 'sha1' | 'sha256' | 'sha384' | 'sha512';
type PssDigest = 'pss-sha1' | 'pss-sha256' | 'pss-sha384';

/** Digests of RSASSA-PSS, and the lengths of the salts that go with them. */
const PSS: Readonly<Record<PssDigest, readonly [name: string, oid: string, salt: number]>> = {
  'pss-sha1': ['sha1', '1.3.14.3.2.26', 20],
  'pss-sha256': ['sha256', '2.16.840.1.101.3.4.2.1', 32],
  'pss-sha384': ['sha384', '2.16.840.1.101.3.4.2.2', 48],
};

const RSA: Readonly<Record<PlainDigest, string>> = {
  md5: '1.2.840.113549.1.1.4',
  sha1: '1.2.840.113549.1.1.5',
  sha256: '1.2.840.113549.1.1.11',
  sha384: '1.2.840.113549.1.1.12',
  sha512: '1.2.840.113549.1.1.13',
};

const ECDSA: Readonly<Record<Exclude<PlainDigest, 'md5'>, string>> = {
  sha1: '1.2.840.10045.4.1',
  sha256: '1.2.840.10045.4.3.2',
  sha384: '1.2.840.10045.4.3.3',
  sha512: '1.2.840.10045.4.3.4',
};

/** The AlgorithmIdentifier of what `signWith` makes. */
export function signatureAlgorithm(key: KeyObject, digest: SignatureDigest): Buffer {
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return digest in PSS
        ? pssAlgorithm(digest as PssDigest)
        : sequence(oid(RSA[digest as PlainDigest]), nothing());
    case 'ec':
      return sequence(oid(ECDSA[digest as keyof typeof ECDSA]));
    case 'ed25519':
      return sequence(oid('1.3.101.112'));
    case 'ed448':
      return sequence(oid('1.3.101.113'));
    default:
      throw new Error(`no signatures with keys of type ${key.asymmetricKeyType}`);
  }
}

/** The parameters of SHA-1 are the defaults, and left out. */
function pssAlgorithm(digest: PssDigest): Buffer {
  const [, digestOid, salt] = PSS[digest];
  const algorithm = sequence(oid(digestOid), nothing());
  const mask = sequence(oid('1.2.840.113549.1.1.8'), algorithm);
  const parameters =
    digest === 'pss-sha1' ? [] : [explicit(0, algorithm), explicit(1, mask), explicit(2, integer(salt))];
  return sequence(oid('1.2.840.113549.1.1.10'), sequence(...parameters));
}

export function signWith(key: KeyObject, digest: SignatureDigest, bytes: Uint8Array): Buffer {
  if (digest in PSS && key.asymmetricKeyType === 'rsa') {
    const [name, , saltLength] = PSS[digest as PssDigest];
    return sign(name, bytes, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength });
  }
  const ownDigest = key.asymmetricKeyType === 'ed25519' || key.asymmetricKeyType === 'ed448';
  return sign(ownDigest ? null : digest, bytes, key);
}
