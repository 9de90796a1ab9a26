import { context, contextConstructed, DerError, DerReader, type DerValue, Tag } from '../der/reader.ts';
import { textOf, utf8 } from '../der/text.ts';
import { checkInteger, readBigInteger, readBoolean, readOid } from '../der/values.ts';
import { ipText } from './ip-text.ts';
import { type DistinguishedName, readName } from './name.ts';

export type SanKind = 'dns' | 'uri' | 'email' | 'ip' | 'other';

/** A subject alternative name that is text, or that Envoy makes text of. */
export interface AlternativeName {
  readonly kind: SanKind;
  /** All of it: nothing is cut at a NUL, nothing is quoted. */
  readonly text: string;
  /** False for names which no rule may match: a NUL within, bytes that are no text, an address of a length that none has. */
  readonly matchable: boolean;
  /** The type of an `other` name. */
  readonly oid?: string | undefined;
  /** As it stands in the certificate. */
  readonly bytes: Buffer;
}

/** A name of a kind that is read for constraints and scopes only. */
export type OtherGeneralName =
  | { readonly kind: 'directory'; readonly name: DistinguishedName; readonly bytes: Buffer }
  | { readonly kind: 'unsupported'; readonly tag: number; readonly bytes: Buffer };

export type GeneralName = AlternativeName | OtherGeneralName;

/** GeneralNames: a SEQUENCE, of which this is the inside. */
export function readGeneralNames(reader: DerReader): GeneralName[] {
  const names: GeneralName[] = [];
  while (!reader.done) names.push(readGeneralName(reader.any()));
  return names;
}

export function readGeneralName(value: DerValue): GeneralName {
  const { tag, body } = value;
  switch (tag) {
    case context(1):
      return plain('email', body);
    case context(2):
      return plain('dns', body);
    case context(6):
      return plain('uri', body);
    case context(7): {
      const text = ipText(body);
      return { kind: 'ip', text: text ?? '', matchable: text !== undefined, bytes: body };
    }
    case contextConstructed(0):
      return otherName(body);
    case contextConstructed(4): {
      const inner = new DerReader(body);
      const name = readName(inner.any());
      inner.end();
      return { kind: 'directory', name, bytes: body };
    }
    case contextConstructed(3):
    case contextConstructed(5):
    case context(8):
      return { kind: 'unsupported', tag, bytes: body };
    default:
      throw new DerError(`0x${tag.toString(16)} is the tag of no general name`);
  }
}

/** Two names that are the same have the same key. */
export function generalNameKey(name: GeneralName): string {
  if (name.kind === 'directory') return `directory ${name.name.canonical.join('\n')}`;
  const kind = name.kind === 'unsupported' ? name.tag : name.kind;
  return `${kind} ${name.bytes.toString('hex')}`;
}

function plain(kind: SanKind, bytes: Buffer): AlternativeName {
  return decoded(kind, bytes, utf8(bytes));
}

/** Text that did not decode is shown byte by byte, and matched by nothing. */
function decoded(
  kind: SanKind,
  bytes: Buffer,
  text: string | undefined,
  oid?: string | undefined,
): AlternativeName {
  const matchable = text !== undefined && !text.includes('\0');
  return { kind, text: text ?? bytes.toString('latin1'), matchable, oid, bytes };
}

function otherName(bytes: Buffer): AlternativeName {
  const reader = new DerReader(bytes);
  const oid = readOid(reader.expect(Tag.oid).body);
  const inner = reader.enter(contextConstructed(0));
  reader.end();
  const value = inner.any();
  inner.end();
  return decoded('other', value.body, otherText(value), oid);
}

/** Integers of otherNames beyond this many bytes are not written out: decimal digits cost time that grows with the square. */
const MAX_INTEGER_BYTES = 64;

/** The text that Envoy matches an otherName by; undefined for types that it has none for. */
function otherText(value: DerValue): string | undefined {
  const { tag, body, whole } = value;
  switch (tag) {
    case Tag.null:
      return '';
    case Tag.boolean:
      return readBoolean(body) ? 'true' : 'false';
    case Tag.integer:
    case Tag.enumerated:
      return checkInteger(body).length > MAX_INTEGER_BYTES ? undefined : String(readBigInteger(body));
    case Tag.oid:
      return readOid(body);
    case Tag.bitString:
      return utf8(body.subarray(1));
    case Tag.sequence:
    case Tag.set:
      return utf8(whole);
    case Tag.bmpString:
    case Tag.universalString:
      return textOf(value);
    case Tag.utf8String:
    case Tag.octetString:
    case Tag.printableString:
    case Tag.t61String:
    case Tag.ia5String:
    case Tag.generalString:
    case Tag.visibleString:
    case Tag.utcTime:
    case Tag.generalizedTime:
      return utf8(body);
    default:
      return undefined;
  }
}
