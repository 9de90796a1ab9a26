import { context, contextConstructed, DerError, DerReader, Tag, wholeOf } from '../der/reader.ts';
import { checkInteger, readBoolean, readNamedBits, readOid, readSmallInteger } from '../der/values.ts';
import { type GeneralName, generalNameKey, readGeneralName, readGeneralNames } from './general-name.ts';

export const ExtensionOid = {
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  crlDistributionPoints: '2.5.29.31',
  certificatePolicies: '2.5.29.32',
  policyMappings: '2.5.29.33',
  authorityKeyIdentifier: '2.5.29.35',
  policyConstraints: '2.5.29.36',
  extendedKeyUsage: '2.5.29.37',
  inhibitAnyPolicy: '2.5.29.54',
  issuingDistributionPoint: '2.5.29.28',
  tlsFeature: '1.3.6.1.5.5.7.1.24',
} as const;

/** Bits of keyUsage. */
export const KeyUsageBit = {
  digitalSignature: 0x01,
  keyEncipherment: 0x04,
  keyAgreement: 0x10,
  keyCertSign: 0x20,
  crlSign: 0x40,
} as const;

export interface Extension {
  readonly critical: boolean;
  readonly value: Buffer;
}

/** Extensions by OID. RFC 5280 allows each once. */
export function readExtensions(reader: DerReader): Map<string, Extension> {
  const extensions = new Map<string, Extension>();
  while (!reader.done) {
    const extension = reader.sequence();
    const oid = readOid(extension.expect(Tag.oid).body);
    const critical = extension.optional(Tag.boolean);
    const value = extension.expect(Tag.octetString).body;
    extension.end();
    if (extensions.has(oid)) throw new DerError(`extension ${oid} is there twice`);
    extensions.set(oid, { critical: critical !== undefined && readBoolean(critical.body), value });
  }
  return extensions;
}

export interface BasicConstraints {
  readonly ca: boolean;
  readonly pathLength: number | undefined;
}

export function readBasicConstraints(value: Buffer): BasicConstraints {
  const reader = wholeOf(value, Tag.sequence);
  const flag = reader.optional(Tag.boolean);
  const ca = flag !== undefined && readBoolean(flag.body);
  const length = reader.optional(Tag.integer);
  reader.end();
  if (length === undefined) return { ca, pathLength: undefined };
  // Longer than any chain: no constraint.
  if (checkInteger(length.body).length > 4 && (length.body[0] as number) < 0x80)
    return { ca, pathLength: undefined };
  const pathLength = readSmallInteger(length.body);
  if (pathLength < 0 || !ca) throw new DerError('basicConstraints has a path length that means nothing');
  return { ca, pathLength };
}

export function readKeyUsage(value: Buffer): number {
  const reader = new DerReader(value);
  const bits = readNamedBits(reader.expect(Tag.bitString).body);
  reader.end();
  return bits;
}

export function readExtendedKeyUsage(value: Buffer): ReadonlySet<string> {
  const reader = wholeOf(value, Tag.sequence);
  const purposes = new Set<string>();
  do purposes.add(readOid(reader.expect(Tag.oid).body));
  while (!reader.done);
  return purposes;
}

export function readSubjectAltName(value: Buffer): readonly GeneralName[] {
  return readGeneralNames(wholeOf(value, Tag.sequence));
}

export function readKeyIdentifier(value: Buffer): Buffer {
  const reader = new DerReader(value);
  const { body } = reader.expect(Tag.octetString);
  reader.end();
  return body;
}

export interface AuthorityKeyIdentifier {
  readonly keyIdentifier: Buffer | undefined;
  readonly issuer: readonly GeneralName[];
  readonly serial: Buffer | undefined;
}

export function readAuthorityKeyIdentifier(value: Buffer): AuthorityKeyIdentifier {
  const reader = wholeOf(value, Tag.sequence);
  const keyIdentifier = reader.optional(context(0))?.body;
  const issuer = reader.enterOptional(contextConstructed(1));
  const serial = reader.optional(context(2))?.body;
  reader.end();
  return {
    keyIdentifier,
    issuer: issuer === undefined ? [] : readGeneralNames(issuer),
    serial: serial === undefined ? undefined : checkInteger(serial),
  };
}

/** One tree of names, with the bounds that RFC 5280 does not allow and nobody has. */
export interface Subtree {
  readonly base: GeneralName;
  readonly hasBounds: boolean;
}

export interface NameConstraints {
  readonly permitted: readonly Subtree[];
  readonly excluded: readonly Subtree[];
}

export function readNameConstraints(value: Buffer): NameConstraints {
  const reader = wholeOf(value, Tag.sequence);
  const permitted = readSubtrees(reader.enterOptional(contextConstructed(0)));
  const excluded = readSubtrees(reader.enterOptional(contextConstructed(1)));
  reader.end();
  return { permitted, excluded };
}

function readSubtrees(reader: DerReader | undefined): Subtree[] {
  const trees: Subtree[] = [];
  while (reader !== undefined && !reader.done) {
    const tree = reader.sequence();
    const base = readGeneralName(tree.any());
    const minimum = tree.optional(context(0));
    const maximum = tree.optional(context(1));
    tree.end();
    // The minimum is 0 unless it is written, and some write it.
    const bounded = minimum !== undefined && readSmallInteger(minimum.body) !== 0;
    trees.push({ base, hasBounds: bounded || maximum !== undefined });
  }
  return trees;
}

/** True when a policy has to be valid for the chain, from wherever on. */
export function readRequiresPolicy(value: Buffer): boolean {
  const reader = wholeOf(value, Tag.sequence);
  const required = reader.optional(context(0));
  reader.optional(context(1));
  reader.end();
  return required !== undefined;
}

/** Where CRLs are that cover a certificate: keys of names (see `generalNameKey`). */
export interface DistributionPoint {
  /** Undefined when the point has no name. */
  readonly names: readonly string[] | undefined;
  /** For some reasons only, or from another issuer: such points are not used. */
  readonly partial: boolean;
}

export function readDistributionPoints(value: Buffer): readonly DistributionPoint[] {
  const reader = wholeOf(value, Tag.sequence);
  const points: DistributionPoint[] = [];
  while (!reader.done) {
    const point = reader.sequence();
    const name = point.enterOptional(contextConstructed(0));
    const reasons = point.optional(context(1));
    const issuer = point.optional(contextConstructed(2));
    point.end();
    const partial = reasons !== undefined || issuer !== undefined;
    points.push({ names: name === undefined ? undefined : readPointName(name), partial });
  }
  return points;
}

/** A name relative to the issuer's is read as one that equals no other: nobody has those. */
export function readPointName(reader: DerReader): readonly string[] {
  const full = reader.enterOptional(contextConstructed(0));
  if (full === undefined) reader.expect(contextConstructed(1));
  reader.end();
  return full === undefined ? [] : readGeneralNames(full).map(generalNameKey);
}

/** TLS features (RFC 7633): 5 is OCSP must-staple. */
export function readTlsFeatures(value: Buffer): readonly number[] {
  const reader = wholeOf(value, Tag.sequence);
  const features: number[] = [];
  while (!reader.done) features.push(readSmallInteger(reader.expect(Tag.integer).body));
  return features;
}
