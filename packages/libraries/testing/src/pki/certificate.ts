import { createHash, randomBytes } from 'node:crypto';
import {
  bitString,
  boolean,
  explicit,
  implicit,
  integer,
  namedBits,
  octets,
  oid,
  sequence,
  time,
} from './der-writer.ts';
import { type KeyPair, type SignatureDigest, signatureAlgorithm, signWith } from './keys.ts';
import { encodeGeneralName, encodeName, type PkiName, type SanEntry } from './names.ts';

/** An extension as it stands in a certificate. `value` is the DER inside the OCTET STRING, or any bytes to break it. */
export interface PkiExtension {
  readonly oid: string;
  readonly critical?: boolean;
  readonly value: Uint8Array;
}

export type KeyUsage =
  | 'digitalSignature'
  | 'nonRepudiation'
  | 'keyEncipherment'
  | 'dataEncipherment'
  | 'keyAgreement'
  | 'keyCertSign'
  | 'cRLSign';

const KEY_USAGES: readonly KeyUsage[] = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
];

const PURPOSES: Readonly<Record<string, string>> = {
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  codeSigning: '1.3.6.1.5.5.7.3.3',
  OCSPSigning: '1.3.6.1.5.5.7.3.9',
  any: '2.5.29.37.0',
};

export interface NameConstraints {
  /** An `ip` has its prefix length behind it: `{ ip: '10.0.0.0/8' }`. */
  readonly permitted?: readonly SanEntry[];
  readonly excluded?: readonly SanEntry[];
}

export interface CertificateContent {
  readonly subject: PkiName;
  /** 3 when absent. Version 1 has no extensions: `null` and `keyIdentifiers: false` leave them out. */
  readonly version?: 1 | 3;
  /** A random number of 16 bytes when absent. */
  readonly serial?: bigint;
  /** Wall time in ms. An hour ago when absent. */
  readonly notBefore?: number;
  /** Wall time in ms. In a year when absent. */
  readonly notAfter?: number;
  /** Subject alternative names, no extension when absent. */
  readonly san?: readonly SanEntry[];
  readonly sanCritical?: boolean;
  /** basicConstraints; absent for leaves, `{ ca: true }` for authorities, `null` to leave the extension out. */
  readonly basicConstraints?: { readonly ca: boolean; readonly pathLength?: number } | null;
  readonly keyUsage?: readonly KeyUsage[] | null;
  /** Names of `PURPOSES` (`serverAuth`, `clientAuth`, `any`, …) or OIDs. */
  readonly extendedKeyUsage?: readonly string[];
  readonly nameConstraints?: NameConstraints;
  /** TLS features: 5 is OCSP must-staple. */
  readonly tlsFeatures?: readonly number[];
  /** Further extensions, after all others. */
  readonly extensions?: readonly PkiExtension[];
  /** `false` leaves subjectKeyIdentifier and authorityKeyIdentifier out. */
  readonly keyIdentifiers?: boolean;
  /** Digest of the signature, `sha256` when absent. */
  readonly digest?: SignatureDigest;
}

export const HOUR_MS: number = 3_600_000;
export const DAY_MS: number = 86_400_000;

export interface Issuer {
  readonly name: Buffer;
  readonly keys: KeyPair;
}

/** The DER of a certificate for `keys`, signed by `issuer`. */
export function encodeCertificate(content: CertificateContent, keys: KeyPair, issuer: Issuer): Buffer {
  const digest = content.digest ?? 'sha256';
  const now = Date.now();
  const algorithm = signatureAlgorithm(issuer.keys.privateKey, digest);
  const extensions = encodeExtensions(content, keys, issuer);
  const toBeSigned = sequence(
    ...(content.version === 1 ? [] : [explicit(0, integer(2))]),
    integer(content.serial ?? randomSerial()),
    algorithm,
    issuer.name,
    sequence(time(content.notBefore ?? now - HOUR_MS), time(content.notAfter ?? now + 365 * DAY_MS)),
    encodeName(content.subject),
    keys.publicKey.export({ type: 'spki', format: 'der' }),
    ...(extensions.length === 0 ? [] : [explicit(3, sequence(...extensions))]),
  );
  return sequence(toBeSigned, algorithm, bitString(signWith(issuer.keys.privateKey, digest, toBeSigned)));
}

export function randomSerial(): bigint {
  return BigInt(`0x01${randomBytes(15).toString('hex')}`);
}

function encodeExtensions(content: CertificateContent, keys: KeyPair, issuer: Issuer): Buffer[] {
  const list: PkiExtension[] = [];
  const { basicConstraints, keyUsage, san, nameConstraints } = content;
  if (basicConstraints) {
    const { ca, pathLength } = basicConstraints;
    const parts = [
      ...(ca ? [boolean(true)] : []),
      ...(pathLength === undefined ? [] : [integer(pathLength)]),
    ];
    list.push({ oid: '2.5.29.19', critical: true, value: sequence(...parts) });
  }
  if (keyUsage) {
    const bits = keyUsage.map((usage) => KEY_USAGES.indexOf(usage));
    list.push({ oid: '2.5.29.15', critical: true, value: namedBits(bits) });
  }
  if (content.extendedKeyUsage !== undefined) {
    const value = sequence(...content.extendedKeyUsage.map((usage) => oid(PURPOSES[usage] ?? usage)));
    list.push({ oid: '2.5.29.37', value });
  }
  if (san !== undefined) {
    const value = sequence(...san.map(encodeGeneralName));
    list.push({ oid: '2.5.29.17', critical: content.sanCritical ?? false, value });
  }
  if (nameConstraints !== undefined) {
    const trees = (number: number, entries: readonly SanEntry[] | undefined) =>
      entries === undefined
        ? []
        : [explicit(number, ...entries.map((entry) => sequence(encodeGeneralName(entry))))];
    const value = sequence(...trees(0, nameConstraints.permitted), ...trees(1, nameConstraints.excluded));
    list.push({ oid: '2.5.29.30', critical: true, value });
  }
  if (content.tlsFeatures !== undefined)
    list.push({ oid: '1.3.6.1.5.5.7.1.24', value: sequence(...content.tlsFeatures.map(integer)) });
  if (content.keyIdentifiers !== false) {
    list.push({ oid: '2.5.29.14', value: octets(keyIdentifier(keys)) });
    list.push({ oid: '2.5.29.35', value: sequence(implicit(0, keyIdentifier(issuer.keys))) });
  }
  list.push(...(content.extensions ?? []));
  return list.map(encodeExtension);
}

export function encodeExtension({ oid: type, critical = false, value }: PkiExtension): Buffer {
  return sequence(oid(type), ...(critical ? [boolean(true)] : []), octets(value));
}

/** SHA-1 of the bits of a public key. */
export function keyIdentifier({ publicKey }: KeyPair): Buffer {
  return createHash('sha1')
    .update(publicKeyBits(publicKey.export({ type: 'spki', format: 'der' })))
    .digest();
}

/** What a SubjectPublicKeyInfo has in its BIT STRING. */
function publicKeyBits(spki: Buffer): Buffer {
  const outer = header(spki, 0);
  const algorithm = header(spki, outer.start);
  const bits = header(spki, algorithm.end);
  return spki.subarray(bits.start + 1, bits.end);
}

function header(der: Buffer, at: number): { readonly start: number; readonly end: number } {
  const first = der[at + 1];
  if (first < 0x80) return { start: at + 2, end: at + 2 + first };
  const count = first & 0x7f;
  const start = at + 2 + count;
  return { start, end: start + der.readUIntBE(at + 2, count) };
}
