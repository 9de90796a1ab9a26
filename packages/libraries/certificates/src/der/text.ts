import { DerError, type DerValue, Tag } from './reader.ts';

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Undefined when the bytes are not UTF-8. */
export function utf8(bytes: Buffer): string | undefined {
  try {
    return UTF8.decode(bytes);
  } catch {
    return undefined;
  }
}

/**
 * The text of a string type, as BoringSSL decodes it: T61String and its like count as Latin-1. Undefined for types that are no text.
 * @throws {DerError} when the bytes are no text of the type
 */
export function textOf({ tag, body }: DerValue): string | undefined {
  switch (tag) {
    case Tag.utf8String: {
      const text = utf8(body);
      if (text === undefined) throw new DerError('a UTF8String is not UTF-8');
      return text;
    }
    case Tag.printableString:
    case Tag.t61String:
    case Tag.ia5String:
    case Tag.visibleString:
    case Tag.numericString:
      return body.toString('latin1');
    case Tag.bmpString:
      return codePoints(body, 2);
    case Tag.universalString:
      return codePoints(body, 4);
    default:
      return undefined;
  }
}

/** UCS-2 or UCS-4, big-endian: surrogates and what lies beyond Unicode are no characters. */
function codePoints(body: Buffer, width: 2 | 4): string {
  if (body.length % width !== 0) throw new DerError('a string ends within a character');
  const parts: string[] = [];
  for (let at = 0; at < body.length; at += width) {
    const point = body.readUIntBE(at, width);
    if (point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
      throw new DerError('a string has a character that does not exist');
    parts.push(String.fromCodePoint(point));
  }
  return parts.join('');
}
