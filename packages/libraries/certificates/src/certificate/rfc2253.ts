import { type DerValue, Tag } from '../der/reader.ts';
import type { DistinguishedName, NameAttribute } from './name.ts';

/** Short names of attribute types, as BoringSSL's table of objects has them. Others are printed as OIDs. */
const SHORT_NAMES: Readonly<Record<string, string>> = {
  '2.5.4.3': 'CN',
  '2.5.4.4': 'SN',
  '2.5.4.5': 'serialNumber',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
  '2.5.4.9': 'street',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
  '2.5.4.12': 'title',
  '2.5.4.13': 'description',
  '2.5.4.15': 'businessCategory',
  '2.5.4.16': 'postalAddress',
  '2.5.4.17': 'postalCode',
  '2.5.4.18': 'postOfficeBox',
  '2.5.4.20': 'telephoneNumber',
  '2.5.4.41': 'name',
  '2.5.4.42': 'GN',
  '2.5.4.43': 'initials',
  '2.5.4.44': 'generationQualifier',
  '2.5.4.45': 'x500UniqueIdentifier',
  '2.5.4.46': 'dnQualifier',
  '2.5.4.65': 'pseudonym',
  '2.5.4.72': 'role',
  '1.2.840.113549.1.9.1': 'emailAddress',
  '1.2.840.113549.1.9.2': 'unstructuredName',
  '1.2.840.113549.1.9.8': 'unstructuredAddress',
  '0.9.2342.19200300.100.1.1': 'UID',
  '0.9.2342.19200300.100.1.3': 'mail',
  '0.9.2342.19200300.100.1.25': 'DC',
};

/**
 * A name as Envoy prints it: RFC 2253 with the last attribute first, every byte beyond ASCII escaped (`CN=M\C3\BCller,O=a\, b`), types
 * and values that have no name or no text in hex. Line feeds, NUL and quotes come out escaped, so the text is safe in a header.
 */
export function formatName(name: DistinguishedName): string {
  return name.rdns
    .map((attributes) => attributes.map(formatAttribute).reverse().join('+'))
    .reverse()
    .join(',');
}

function formatAttribute({ oid, value, text }: NameAttribute): string {
  const type = SHORT_NAMES[oid];
  if (type === undefined) return `${oid}=${dump(value)}`;
  const time = value.tag === Tag.utcTime || value.tag === Tag.generalizedTime;
  const printed = time ? value.body.toString('latin1') : text;
  return `${type}=${printed === undefined ? dump(value) : escapeText(printed)}`;
}

function dump({ whole }: DerValue): string {
  return `#${whole.toString('hex').toUpperCase()}`;
}

/** A `#` that is all of a text is not escaped: OpenSSL and BoringSSL look at it as the last character only. */
function escapeText(text: string): string {
  if (/^[A-Za-z0-9.*@/:_=-]*$/.test(text)) return text;
  const bytes = Buffer.from(text, 'utf8');
  let out = '';
  bytes.forEach((byte, i) => {
    const character = String.fromCharCode(byte);
    const last = i === bytes.length - 1;
    const edge = i === 0 || last;
    if (byte < 0x20 || byte >= 0x7f) {
      out += `\\${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    } else if (
      ',+"\\<>;'.includes(character) ||
      (byte === 0x20 && edge) ||
      (byte === 0x23 && i === 0 && !last)
    ) {
      out += `\\${character}`;
    } else {
      out += character;
    }
  });
  return out;
}
