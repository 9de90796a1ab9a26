import { explicit, implicit, oid, sequence, setOf, tlv, utf8 } from './der-writer.ts';

/** One attribute of a name. `tag` is that of its string type, UTF8String (0x0c) when absent. */
export interface NameAttribute {
  readonly type: string;
  readonly value: string | Uint8Array;
  readonly tag?: number;
}

/**
 * A name: attributes in the order in which they stand in the certificate, or their text: `CN=a, O=b`. An inner list makes
 * an RDN of several attributes.
 */
export type PkiName = string | readonly (NameAttribute | readonly NameAttribute[])[];

const ATTRIBUTES: Readonly<Record<string, string>> = {
  CN: '2.5.4.3',
  SN: '2.5.4.4',
  serialNumber: '2.5.4.5',
  C: '2.5.4.6',
  L: '2.5.4.7',
  ST: '2.5.4.8',
  street: '2.5.4.9',
  O: '2.5.4.10',
  OU: '2.5.4.11',
  emailAddress: '1.2.840.113549.1.9.1',
  UID: '0.9.2342.19200300.100.1.1',
  DC: '0.9.2342.19200300.100.1.25',
};

export function encodeName(name: PkiName): Buffer {
  const attributes = typeof name === 'string' ? parseName(name) : name;
  return sequence(
    ...attributes.map((attribute) => {
      const several = Array.isArray(attribute) ? attribute : [attribute as NameAttribute];
      return setOf(...several.map(encodeAttribute).sort(Buffer.compare));
    }),
  );
}

function parseName(text: string): NameAttribute[] {
  if (text === '') return [];
  return text.split(', ').map((part) => {
    const equals = part.indexOf('=');
    return { type: part.slice(0, equals), value: part.slice(equals + 1) };
  });
}

function encodeAttribute({ type, value, tag = 0x0c }: NameAttribute): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : value;
  return sequence(oid(ATTRIBUTES[type] ?? type), tlv(tag, bytes));
}

/**
 * A general name. Texts are put down as they are, whatever bytes they have: `{ dns: 'good.example\0.evil.example' }`.
 * `raw` is the DER of a whole GeneralName.
 */
export type SanEntry =
  | { readonly dns: string }
  | { readonly uri: string }
  | { readonly email: string }
  /** Address as text, or bytes of any length. */
  | { readonly ip: string | Uint8Array }
  /** `value` as text becomes a UTF8String, bytes are the DER of any value. */
  | { readonly otherName: { readonly oid: string; readonly value: string | Uint8Array } }
  | { readonly directoryName: PkiName }
  | { readonly registeredId: string }
  | { readonly raw: Uint8Array };

export function encodeGeneralName(entry: SanEntry): Buffer {
  if ('dns' in entry) return implicit(2, Buffer.from(entry.dns, 'latin1'));
  if ('uri' in entry) return implicit(6, Buffer.from(entry.uri, 'latin1'));
  if ('email' in entry) return implicit(1, Buffer.from(entry.email, 'latin1'));
  if ('ip' in entry) return implicit(7, typeof entry.ip === 'string' ? ipBytes(entry.ip) : entry.ip);
  if ('directoryName' in entry) return explicit(4, encodeName(entry.directoryName));
  if ('registeredId' in entry) return implicit(8, oid(entry.registeredId).subarray(2));
  if ('raw' in entry) return Buffer.from(entry.raw);
  const { value } = entry.otherName;
  return explicit(0, oid(entry.otherName.oid), explicit(0, typeof value === 'string' ? utf8(value) : value));
}

/** `10.0.0.1` or `2001:db8::1` as bytes; with `/8` behind it, address and mask as name constraints have them. */
export function ipBytes(text: string): Buffer {
  const [address, prefix] = text.split('/');
  const bytes = address.includes(':') ? ipv6Bytes(address) : Buffer.from(address.split('.').map(Number));
  if (prefix === undefined) return bytes;
  const mask = Buffer.alloc(bytes.length);
  for (let bit = 0; bit < Number(prefix); bit++) mask[bit >> 3] |= 0x80 >> (bit & 7);
  return Buffer.concat([bytes, mask]);
}

function ipv6Bytes(address: string): Buffer {
  const [head, tail] = address.split('::');
  const words = (part: string | undefined) =>
    part === undefined || part === '' ? [] : part.split(':').map((word) => Number.parseInt(word, 16));
  const before = words(head);
  const after = words(tail);
  const bytes = Buffer.alloc(16);
  before.forEach((word, i) => {
    bytes.writeUInt16BE(word, i * 2);
  });
  after.forEach((word, i) => {
    bytes.writeUInt16BE(word, (8 - after.length + i) * 2);
  });
  return bytes;
}
