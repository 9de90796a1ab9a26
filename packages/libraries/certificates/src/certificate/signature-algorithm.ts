import { constants } from 'node:crypto';
import { contextConstructed, DerReader, reading, Tag, wholeOf } from '../der/reader.ts';
import { type Algorithm, readAlgorithm, readSmallInteger } from '../der/values.ts';

/** How strong a signature is, by the digest in it. */
export type SignatureStrength = 'strong' | 'sha1' | 'broken' | 'unknown';

interface Known {
  readonly key: 'rsa' | 'ec' | 'ed25519' | 'ed448' | 'ml-dsa';
  /** By node:crypto's name; null for algorithms with a digest of their own. */
  readonly digest: string | null;
  readonly strength: SignatureStrength;
}

const RSA = '1.2.840.113549.1.1.';
const ECDSA = '1.2.840.10045.4.';
const NIST = '2.16.840.1.101.3.4.3.';

function known(key: Known['key'], digest: string | null, strength: SignatureStrength = 'strong'): Known {
  return { key, digest, strength };
}

const ALGORITHMS: ReadonlyMap<string, Known> = new Map([
  [`${RSA}2`, known('rsa', 'md2', 'broken')],
  [`${RSA}3`, known('rsa', 'md4', 'broken')],
  [`${RSA}4`, known('rsa', 'md5', 'broken')],
  [`${RSA}5`, known('rsa', 'sha1', 'sha1')],
  [`${RSA}14`, known('rsa', 'sha224')],
  [`${RSA}11`, known('rsa', 'sha256')],
  [`${RSA}12`, known('rsa', 'sha384')],
  [`${RSA}13`, known('rsa', 'sha512')],
  [`${NIST}13`, known('rsa', 'sha3-224')],
  [`${NIST}14`, known('rsa', 'sha3-256')],
  [`${NIST}15`, known('rsa', 'sha3-384')],
  [`${NIST}16`, known('rsa', 'sha3-512')],
  [`${ECDSA}1`, known('ec', 'sha1', 'sha1')],
  [`${ECDSA}3.1`, known('ec', 'sha224')],
  [`${ECDSA}3.2`, known('ec', 'sha256')],
  [`${ECDSA}3.3`, known('ec', 'sha384')],
  [`${ECDSA}3.4`, known('ec', 'sha512')],
  [`${NIST}9`, known('ec', 'sha3-224')],
  [`${NIST}10`, known('ec', 'sha3-256')],
  [`${NIST}11`, known('ec', 'sha3-384')],
  [`${NIST}12`, known('ec', 'sha3-512')],
  ['1.3.101.112', known('ed25519', null)],
  ['1.3.101.113', known('ed448', null)],
  [`${NIST}17`, known('ml-dsa', null)],
  [`${NIST}18`, known('ml-dsa', null)],
  [`${NIST}19`, known('ml-dsa', null)],
]);

const RSA_PSS = `${RSA}10`;

const DIGESTS: Readonly<Record<string, string>> = {
  '1.3.14.3.2.26': 'sha1',
  '2.16.840.1.101.3.4.2.4': 'sha224',
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
};

/** What OpenSSL counts as enough from security level 2 on (112 bits) is `strong`; what BoringSSL does not take at all is `broken`. */
export function signatureStrength(algorithm: Algorithm): SignatureStrength {
  if (algorithm.oid === RSA_PSS) {
    const digest = pssDigest(algorithm)?.digest;
    if (digest === undefined) return 'unknown';
    return digest === 'sha1' ? 'sha1' : 'strong';
  }
  return ALGORITHMS.get(algorithm.oid)?.strength ?? 'unknown';
}

export interface NodeDigest {
  readonly name: string | null;
  readonly padding: { readonly padding: number; readonly saltLength: number } | undefined;
}

/** What `crypto.verify` has to be told; undefined when the algorithm is not one for this type of key. */
export function nodeDigest(algorithm: Algorithm, keyType: string | undefined): NodeDigest | undefined {
  if (keyType === undefined) return undefined;
  if (algorithm.oid === RSA_PSS) {
    const pss = pssDigest(algorithm);
    if (pss === undefined || (keyType !== 'rsa' && keyType !== 'rsa-pss')) return undefined;
    const padding = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: pss.saltLength };
    return { name: pss.digest, padding };
  }
  const found = ALGORITHMS.get(algorithm.oid);
  if (found === undefined || !(keyType === found.key || keyType.startsWith(`${found.key}-`)))
    return undefined;
  if (keyType === 'rsa-pss') return undefined;
  return { name: found.digest, padding: undefined };
}

/** The same digest for message and mask, which is what everybody has; SHA-1 is the default of both. */
function pssDigest({
  parameters,
}: Algorithm): { readonly digest: string; readonly saltLength: number } | undefined {
  if (parameters === undefined) return undefined;
  const result = reading(() => {
    const reader = wholeOf(parameters, Tag.sequence);
    const digest = algorithmIn(reader.enterOptional(contextConstructed(0)))?.oid ?? '1.3.14.3.2.26';
    const mask = algorithmIn(reader.enterOptional(contextConstructed(1)));
    const maskDigest =
      mask?.parameters === undefined ? '1.3.14.3.2.26' : readAlgorithm(new DerReader(mask.parameters)).oid;
    const salt = reader.enterOptional(contextConstructed(2));
    const saltLength = salt === undefined ? 20 : readSmallInteger(salt.expect(Tag.integer).body);
    return { digest, maskDigest, saltLength };
  });
  if (!result.ok || result.value.digest !== result.value.maskDigest) return undefined;
  const digest = DIGESTS[result.value.digest];
  return digest === undefined ? undefined : { digest, saltLength: result.value.saltLength };
}

function algorithmIn(reader: DerReader | undefined): Algorithm | undefined {
  return reader === undefined ? undefined : readAlgorithm(reader);
}
