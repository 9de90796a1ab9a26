import type { KeyObject } from 'node:crypto';

export type KeyType =
  | { readonly kind: 'rsa'; readonly bits: number }
  /** `curve` by the name node:crypto has for it: `prime256v1` is P-256, `secp384r1` P-384. */
  | { readonly kind: 'ecdsa'; readonly curve: string }
  | { readonly kind: 'ed25519' }
  /** Anything else, by node:crypto's name; `unknown` when it cannot read the key. */
  | { readonly kind: 'other'; readonly name: string };

export function keyTypeOf(key: KeyObject | undefined): KeyType {
  const name = key?.asymmetricKeyType;
  const details = key?.asymmetricKeyDetails;
  switch (name) {
    case 'rsa':
    case 'rsa-pss':
      return { kind: 'rsa', bits: details?.modulusLength ?? 0 };
    case 'ec':
      return { kind: 'ecdsa', curve: details?.namedCurve ?? 'unknown' };
    case 'ed25519':
      return { kind: 'ed25519' };
    default:
      return { kind: 'other', name: name ?? 'unknown' };
  }
}
