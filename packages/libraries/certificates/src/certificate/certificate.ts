import { createHash, type KeyObject, X509Certificate } from 'node:crypto';
import { contextConstructed, DerError, reading, Tag, wholeOf } from '../der/reader.ts';
import { type Algorithm, checkInteger, readAlgorithm, readSmallInteger, readTime } from '../der/values.ts';
import { failed, type Result } from '../result.ts';
import {
  type AuthorityKeyIdentifier,
  type BasicConstraints,
  type DistributionPoint,
  type Extension,
  ExtensionOid,
  type NameConstraints,
  readAuthorityKeyIdentifier,
  readBasicConstraints,
  readDistributionPoints,
  readExtendedKeyUsage,
  readExtensions,
  readKeyIdentifier,
  readKeyUsage,
  readNameConstraints,
  readRequiresPolicy,
  readSubjectAltName,
  readTlsFeatures,
} from './extensions.ts';
import type { GeneralName } from './general-name.ts';
import { type DistinguishedName, readName } from './name.ts';

/** The largest certificate that is read. TLS stacks take some 100 KB for a whole chain. */
export const MAX_CERTIFICATE_BYTES: number = 100 * 1024;

/** The known extensions of a certificate, read. Absent ones are undefined. */
export interface KnownExtensions {
  readonly basicConstraints: BasicConstraints | undefined;
  /** See `KeyUsageBit`. */
  readonly keyUsage: number | undefined;
  /** OIDs. */
  readonly extendedKeyUsage: ReadonlySet<string> | undefined;
  readonly subjectAltName: readonly GeneralName[] | undefined;
  readonly nameConstraints: NameConstraints | undefined;
  readonly subjectKeyIdentifier: Buffer | undefined;
  readonly authorityKeyIdentifier: AuthorityKeyIdentifier | undefined;
  readonly distributionPoints: readonly DistributionPoint[];
  readonly requiresPolicy: boolean;
  readonly tlsFeatures: readonly number[];
}

const NO_EXTENSIONS: KnownExtensions = {
  basicConstraints: undefined,
  keyUsage: undefined,
  extendedKeyUsage: undefined,
  subjectAltName: undefined,
  nameConstraints: undefined,
  subjectKeyIdentifier: undefined,
  authorityKeyIdentifier: undefined,
  distributionPoints: [],
  requiresPolicy: false,
  tlsFeatures: [],
};

/** The parts of a TBSCertificate. */
interface Parts {
  readonly version: number;
  readonly serial: Buffer;
  readonly signature: Algorithm;
  readonly issuer: DistinguishedName;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly subject: DistinguishedName;
  readonly spki: Buffer;
  readonly extensions: ReadonlyMap<string, Extension>;
}

/** A certificate, read from DER. Made by {@link readCertificate}; holds views of the bytes it was read from. */
export class Certificate {
  readonly der: Buffer;
  /** 1 to 3. */
  readonly version: number;
  /** Two's complement bytes. */
  readonly serial: Buffer;
  readonly signature: Algorithm;
  readonly issuer: DistinguishedName;
  readonly subject: DistinguishedName;
  /** Wall time in ms. */
  readonly notBefore: number;
  /** Wall time in ms: from then on it is not valid any more. */
  readonly notAfter: number;
  /** The DER of the SubjectPublicKeyInfo. */
  readonly spki: Buffer;
  readonly extensions: ReadonlyMap<string, Extension>;
  /** All undefined when one of them is broken. */
  readonly known: KnownExtensions;
  /** What is wrong with the extensions. Such a certificate is never valid. */
  readonly brokenExtension: string | undefined;
  #x509: X509Certificate | null | undefined;
  #key: KeyObject | null | undefined;

  constructor(der: Buffer, parts: Parts) {
    this.der = der;
    this.version = parts.version;
    this.serial = parts.serial;
    this.signature = parts.signature;
    this.issuer = parts.issuer;
    this.subject = parts.subject;
    this.notBefore = parts.notBefore;
    this.notAfter = parts.notAfter;
    this.spki = parts.spki;
    this.extensions = parts.extensions;
    const known = reading(() => readKnown(parts.extensions));
    this.known = known.ok ? known.value : NO_EXTENSIONS;
    this.brokenExtension = known.ok ? undefined : known.error;
  }

  /** The same certificate as node:crypto reads it; undefined when that cannot. */
  get x509(): X509Certificate | undefined {
    if (this.#x509 === undefined) this.#x509 = attempt(() => new X509Certificate(this.der)) ?? null;
    return this.#x509 ?? undefined;
  }

  /** Undefined when it is of a kind that node:crypto does not know. */
  get publicKey(): KeyObject | undefined {
    if (this.#key === undefined) this.#key = attempt(() => this.x509?.publicKey) ?? null;
    return this.#key ?? undefined;
  }

  /** Lower-case hex, as Envoy prints fingerprints. */
  fingerprint(digest: 'sha256' | 'sha1'): string {
    return createHash(digest).update(this.der).digest('hex');
  }
}

/** For node:crypto, which throws at what it cannot read. */
export function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch {
    return undefined;
  }
}

/** Reads the DER of one certificate, with nothing behind it. Never throws. */
export function readCertificate(der: Buffer): Result<Certificate> {
  if (der.length > MAX_CERTIFICATE_BYTES)
    return failed(`a certificate has ${der.length} bytes, more than ${MAX_CERTIFICATE_BYTES}`);
  return reading(() => new Certificate(der, readParts(der)));
}

function readParts(der: Buffer): Parts {
  const outer = wholeOf(der, Tag.sequence);
  const reader = outer.sequence();
  const algorithm = readAlgorithm(outer);
  outer.expect(Tag.bitString);
  outer.end();
  const written = reader.enterOptional(contextConstructed(0));
  const version = written === undefined ? 0 : readSmallInteger(written.expect(Tag.integer).body);
  written?.end();
  if (version < 0 || version > 2 || (written !== undefined && version === 0))
    throw new DerError('not a version of a certificate');
  const serial = checkInteger(reader.expect(Tag.integer).body);
  const signature = readAlgorithm(reader);
  if (!signature.whole.equals(algorithm.whole))
    throw new DerError('a certificate names two algorithms for its one signature');
  const issuer = readName(reader.any());
  const validity = reader.sequence();
  const notBefore = readTime(validity.any());
  const notAfter = readTime(validity.any());
  validity.end();
  const subject = readName(reader.any());
  const spki = reader.expect(Tag.sequence).whole;
  const uniqueIds = [reader.optional(0x81), reader.optional(0x82)];
  const wrapped = reader.enterOptional(contextConstructed(3));
  reader.end();
  if (uniqueIds.some((id) => id !== undefined) && version === 0)
    throw new DerError('a certificate of version 1 has unique ids');
  if (wrapped !== undefined && version !== 2)
    throw new DerError('a certificate has extensions that is not of version 3');
  const list = wrapped?.sequence();
  wrapped?.end();
  if (list?.done) throw new DerError('a list of extensions is empty');
  const extensions = list === undefined ? new Map<string, Extension>() : readExtensions(list);
  return {
    version: version + 1,
    serial,
    signature,
    issuer,
    notBefore,
    notAfter,
    subject,
    spki,
    extensions,
  };
}

function readKnown(extensions: ReadonlyMap<string, Extension>): KnownExtensions {
  const read = <T>(oid: string, parse: (value: Buffer) => T): T | undefined => {
    const extension = extensions.get(oid);
    if (extension === undefined) return undefined;
    const result = reading(() => parse(extension.value));
    if (!result.ok) throw new DerError(`extension ${oid}: ${result.error}`);
    return result.value;
  };
  return {
    basicConstraints: read(ExtensionOid.basicConstraints, readBasicConstraints),
    keyUsage: read(ExtensionOid.keyUsage, readKeyUsage),
    extendedKeyUsage: read(ExtensionOid.extendedKeyUsage, readExtendedKeyUsage),
    subjectAltName: read(ExtensionOid.subjectAltName, readSubjectAltName),
    nameConstraints: read(ExtensionOid.nameConstraints, readNameConstraints),
    subjectKeyIdentifier: read(ExtensionOid.subjectKeyIdentifier, readKeyIdentifier),
    authorityKeyIdentifier: read(ExtensionOid.authorityKeyIdentifier, readAuthorityKeyIdentifier),
    distributionPoints: read(ExtensionOid.crlDistributionPoints, readDistributionPoints) ?? [],
    requiresPolicy: read(ExtensionOid.policyConstraints, readRequiresPolicy) ?? false,
    tlsFeatures: read(ExtensionOid.tlsFeature, readTlsFeatures) ?? [],
  };
}
