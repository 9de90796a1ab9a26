import { DerError, DerReader, type DerValue, Tag } from '../der/reader.ts';
import { textOf } from '../der/text.ts';
import { readOid } from '../der/values.ts';

export interface NameAttribute {
  readonly oid: string;
  readonly value: DerValue;
  /** Undefined for types that are no text. */
  readonly text: string | undefined;
}

/** A distinguished name. */
export interface DistinguishedName {
  readonly der: Buffer;
  /** Relative distinguished names in the order of the certificate; most have one attribute. */
  readonly rdns: readonly (readonly NameAttribute[])[];
  /** One text for each of `rdns`, alike for names that count as equal: case of ASCII and runs of blanks do not matter. */
  readonly canonical: readonly string[];
}

/** @param value a SEQUENCE OF RelativeDistinguishedName */
export function readName(value: DerValue): DistinguishedName {
  if (value.tag !== Tag.sequence) throw new DerError('a name is not a sequence');
  const reader = new DerReader(value.body);
  const rdns: NameAttribute[][] = [];
  while (!reader.done) rdns.push(readRdn(reader.enter(Tag.set)));
  return { der: value.whole, rdns, canonical: rdns.map(canonicalRdn) };
}

function readRdn(reader: DerReader): NameAttribute[] {
  const attributes: NameAttribute[] = [];
  do {
    const pair = reader.sequence();
    const oid = readOid(pair.expect(Tag.oid).body);
    const value = pair.any();
    pair.end();
    attributes.push({ oid, value, text: textOf(value) });
  } while (!reader.done);
  return attributes;
}

/** The same name, in the sense of RFC 5280 as BoringSSL reads it. */
export function sameName(a: DistinguishedName, b: DistinguishedName): boolean {
  return a.der.equals(b.der) || nameKey(a) === nameKey(b);
}

/** A text for maps: equal for names that are the same. */
export function nameKey(name: DistinguishedName): string {
  return name.canonical.join('\n');
}

/** `inner` lies in the tree of names below `base`, or is `base`. */
export function nameWithin(inner: DistinguishedName, base: DistinguishedName): boolean {
  return (
    base.canonical.length <= inner.canonical.length &&
    base.canonical.every((rdn, i) => rdn === inner.canonical[i])
  );
}

/** JSON keeps line feeds and quotes apart, so no two different names get one text. */
function canonicalRdn(attributes: readonly NameAttribute[]): string {
  const parts = attributes.map(({ oid, value, text }) =>
    text === undefined || value.tag === Tag.numericString
      ? JSON.stringify([oid, value.tag, value.body.toString('hex')])
      : JSON.stringify([oid, canonicalText(text)]),
  );
  return parts.sort().join('+');
}

function canonicalText(text: string): string {
  return text
    .replace(/^[\t-\r ]+/, '')
    .replace(/[\t-\r ]+/g, ' ')
    .replace(/ $/, '')
    .replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
