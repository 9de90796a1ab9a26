import type { Certificate } from '../certificate/certificate.ts';
import { keyTypeOf } from '../certificate/key-type.ts';
import { signatureStrength } from '../certificate/signature-algorithm.ts';
import type { CertificateFailure } from './failure-table.ts';

/**
 * OpenSSL's security level 2 (its default, and Node's): 112 bits. BoringSSL goes less far; it refuses MD5 and takes SHA-1 and any RSA
 * key of 512 bits.
 */
const MIN_RSA_BITS = 2048;

/** Verifying takes time that grows with the key; OpenSSL itself stops at this. */
const MAX_RSA_BITS = 16_384;

/** Named curves of 224 bits and more, by node:crypto's names. */
const CURVES: ReadonlySet<string> = new Set([
  'secp224r1',
  'prime256v1',
  'secp384r1',
  'secp521r1',
  'secp256k1',
  'brainpoolP256r1',
  'brainpoolP320r1',
  'brainpoolP384r1',
  'brainpoolP512r1',
]);

const OTHERS = new Set(['ed448', 'ml-dsa-44', 'ml-dsa-65', 'ml-dsa-87']);

/** Whether the key in a certificate is as long as it has to be, and of a kind that is known. */
export function hasStrongKey(certificate: Certificate): boolean {
  const type = keyTypeOf(certificate.publicKey);
  switch (type.kind) {
    case 'rsa':
      return type.bits >= MIN_RSA_BITS && type.bits <= MAX_RSA_BITS;
    case 'ecdsa':
      return CURVES.has(type.curve);
    case 'ed25519':
      return true;
    case 'other':
      return OTHERS.has(type.name);
  }
}

/** What is wrong with the algorithm of a certificate's signature. */
export function signatureWeakness(certificate: Certificate): CertificateFailure | undefined {
  switch (signatureStrength(certificate.signature)) {
    case 'strong':
      return undefined;
    case 'sha1':
      return 'weak_signature';
    default:
      return 'signature_failure';
  }
}
