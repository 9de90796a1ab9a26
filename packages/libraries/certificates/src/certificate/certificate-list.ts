import { verify } from 'node:crypto';
import {
  context,
  contextConstructed,
  DerError,
  type DerReader,
  reading,
  Tag,
  wholeOf,
} from '../der/reader.ts';
import {
  type Algorithm,
  checkInteger,
  readAlgorithm,
  readBoolean,
  readSmallInteger,
  readTime,
  readWholeBits,
} from '../der/values.ts';
import { failed, type Result } from '../result.ts';
import { attempt, type Certificate } from './certificate.ts';
import {
  type AuthorityKeyIdentifier,
  type Extension,
  ExtensionOid,
  readAuthorityKeyIdentifier,
  readExtensions,
  readPointName,
} from './extensions.ts';
import { type DistinguishedName, readName } from './name.ts';
import { nodeDigest } from './signature-algorithm.ts';

/** Which certificates a CRL is about (its issuingDistributionPoint). */
export interface CrlScope {
  /** Keys of general names; undefined when the point has no name. */
  readonly names: readonly string[] | undefined;
  readonly onlyUserCertificates: boolean;
  readonly onlyAuthorities: boolean;
  /** For attribute certificates, for some reasons, of other issuers, or contradictory: not used. */
  readonly unusable: boolean;
}

/** A certificate revocation list. */
export interface CertificateList {
  readonly issuer: DistinguishedName;
  /** Wall time in ms. */
  readonly thisUpdate: number;
  /** Wall time in ms; undefined when the list does not say. */
  readonly nextUpdate: number | undefined;
  /** Serials of revoked certificates, as hex of their two's complement bytes. */
  readonly revoked: ReadonlySet<string>;
  readonly scope: CrlScope | undefined;
  readonly authorityKeyIdentifier: AuthorityKeyIdentifier | undefined;
  /** The list or one of its entries has a critical extension that is not known here. */
  readonly unknownCritical: boolean;
  readonly signature: Algorithm;
  readonly signatureBits: Buffer;
  readonly toBeSigned: Buffer;
}

/** The largest CRL that is read, some 200,000 entries. */
export const MAX_CRL_BYTES: number = 8 * 1024 * 1024;

/** Reads the DER of a CRL. Never throws. */
export function readCertificateList(der: Buffer): Result<CertificateList> {
  if (der.length > MAX_CRL_BYTES) return failed(`a CRL has ${der.length} bytes, more than ${MAX_CRL_BYTES}`);
  return reading(() => readList(der));
}

function readList(der: Buffer): CertificateList {
  const outer = wholeOf(der, Tag.sequence);
  const toBeSigned = outer.expect(Tag.sequence);
  const algorithm = readAlgorithm(outer);
  const signatureBits = readWholeBits(outer.expect(Tag.bitString).body);
  outer.end();
  const reader = wholeOf(toBeSigned.whole, Tag.sequence);
  const version = reader.optional(Tag.integer);
  if (version !== undefined && readSmallInteger(version.body) !== 1)
    throw new DerError('not a version of a CRL');
  const signature = readAlgorithm(reader);
  if (!signature.whole.equals(algorithm.whole))
    throw new DerError('a CRL names two algorithms for its one signature');
  const issuer = readName(reader.any());
  const thisUpdate = readTime(reader.any());
  const hasNext = reader.tag === Tag.utcTime || reader.tag === Tag.generalizedTime;
  const nextUpdate = hasNext ? readTime(reader.any()) : undefined;
  const entries = readEntries(reader.enterOptional(Tag.sequence));
  const wrapped = reader.enterOptional(contextConstructed(0));
  reader.end();
  if (version === undefined && (wrapped !== undefined || entries.hasExtensions))
    throw new DerError('a CRL has extensions that is not of version 2');
  const extensions =
    wrapped === undefined ? new Map<string, Extension>() : readExtensions(wrapped.sequence());
  wrapped?.end();
  const scope = extensions.get(ExtensionOid.issuingDistributionPoint);
  const authority = extensions.get(ExtensionOid.authorityKeyIdentifier);
  return {
    issuer,
    thisUpdate,
    nextUpdate,
    revoked: entries.serials,
    scope: scope === undefined ? undefined : readScope(scope.value),
    authorityKeyIdentifier: authority === undefined ? undefined : readAuthorityKeyIdentifier(authority.value),
    unknownCritical: entries.hasCritical || [...extensions].some(isUnknownCritical),
    signature,
    signatureBits,
    toBeSigned: toBeSigned.whole,
  };
}

function isUnknownCritical([oid, { critical }]: readonly [string, Extension]): boolean {
  return (
    critical && oid !== ExtensionOid.issuingDistributionPoint && oid !== ExtensionOid.authorityKeyIdentifier
  );
}

interface Entries {
  readonly serials: ReadonlySet<string>;
  readonly hasExtensions: boolean;
  readonly hasCritical: boolean;
}

function readEntries(reader: DerReader | undefined): Entries {
  const serials = new Set<string>();
  let hasExtensions = false;
  let hasCritical = false;
  while (reader !== undefined && !reader.done) {
    const entry = reader.sequence();
    serials.add(checkInteger(entry.expect(Tag.integer).body).toString('hex'));
    readTime(entry.any());
    const list = entry.enterOptional(Tag.sequence);
    entry.end();
    if (list === undefined) continue;
    hasExtensions = true;
    for (const { critical } of readExtensions(list).values()) hasCritical ||= critical;
  }
  return { serials, hasExtensions, hasCritical };
}

function readScope(value: Buffer): CrlScope {
  const reader = wholeOf(value, Tag.sequence);
  const point = reader.enterOptional(contextConstructed(0));
  const flag = (number: number): boolean => {
    const found = reader.optional(context(number));
    return found !== undefined && readBoolean(found.body);
  };
  const onlyUserCertificates = flag(1);
  const onlyAuthorities = flag(2);
  const reasons = reader.optional(context(3));
  const indirect = flag(4);
  const onlyAttributes = flag(5);
  reader.end();
  return {
    names: point === undefined ? undefined : readPointName(point),
    onlyUserCertificates,
    onlyAuthorities,
    unusable:
      reasons !== undefined || indirect || onlyAttributes || (onlyUserCertificates && onlyAuthorities),
  };
}

/** Whether the key of `issuer` made the signature of a CRL. */
export function crlSignedBy(list: CertificateList, issuer: Certificate): boolean {
  const key = issuer.publicKey;
  const digest = nodeDigest(list.signature, key?.asymmetricKeyType);
  if (key === undefined || digest === undefined) return false;
  const options = digest.padding === undefined ? key : { key, ...digest.padding };
  return attempt(() => verify(digest.name, list.toBeSigned, options, list.signatureBits)) === true;
}
