import { isUtf8 } from 'node:buffer';

/** Which of the `%XX` of a path become the character they stand for. */
export type UnescapeSpec = 'all-but-reserved' | 'all-but-slash' | 'all';

const PERCENT = 0x25;
const PLUS = 0x2b;
const SLASH = 0x2f;
/** RFC 6570, section 1.5: reserved. */
const RESERVED: ReadonlySet<number> = new Set(Buffer.from("!#$&'()*+,/:;=?@[]"));

/**
 * Takes back percent coding, byte by byte: the text and what comes of it are strings of bytes, as header values are. A `%`
 * without two hex digits behind it stays.
 * @param plus `+` stands for a space
 */
export function unescapeBytes(text: string, spec: UnescapeSpec, plus = false): string {
  if (!text.includes('%') && !(plus && text.includes('+'))) return text;
  let out = '';
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    const byte = code === PERCENT ? escapedByte(text, at) : -1;
    if (byte >= 0 && mayUnescape(byte, spec)) {
      out += String.fromCharCode(byte);
      at += 2;
    } else out += plus && code === PLUS ? ' ' : text.charAt(at);
  }
  return out;
}

function mayUnescape(byte: number, spec: UnescapeSpec): boolean {
  if (spec === 'all') return true;
  return spec === 'all-but-slash' ? byte !== SLASH : !RESERVED.has(byte);
}

function escapedByte(text: string, at: number): number {
  const high = hexDigit(text.charCodeAt(at + 1));
  const low = hexDigit(text.charCodeAt(at + 2));
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/** −1 for anything else, NaN too. */
function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** A string of bytes as text; undefined when the bytes are no UTF-8. */
export function textOfBytes(bytes: string): string | undefined {
  if (!/[\x80-\xff]/.test(bytes)) return bytes;
  const buffer = Buffer.from(bytes, 'latin1');
  return isUtf8(buffer) ? buffer.toString('utf8') : undefined;
}
