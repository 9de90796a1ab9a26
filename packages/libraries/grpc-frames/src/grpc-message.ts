const PERCENT = 0x25;
const SPACE = 0x20;
const TILDE = 0x7e;
const HEX = '0123456789ABCDEF';

/**
 * A text as the value of `grpc-message`: bytes (of a string: its UTF-8) outside the printable ASCII, `%` and, as Envoy does,
 * `~` become `%XX`.
 */
export function encodeGrpcMessage(text: string | Uint8Array): string {
  const bytes = typeof text === 'string' ? Buffer.from(text) : text;
  let value = '';
  for (const byte of bytes) {
    value +=
      byte >= SPACE && byte < TILDE && byte !== PERCENT
        ? String.fromCharCode(byte)
        : `%${HEX.charAt(byte >> 4)}${HEX.charAt(byte & 15)}`;
  }
  return value;
}

/**
 * The text of a `grpc-message` (a string of bytes, as header values are). A `%` that no two hex digits follow stands for
 * itself, bytes that are no UTF-8 become U+FFFD: nothing is refused.
 */
export function decodeGrpcMessage(value: string): string {
  const bytes = Buffer.from(value, 'latin1');
  let at = bytes.indexOf(PERCENT);
  if (at < 0) return bytes.toString('utf8');
  let length = at;
  for (; at < bytes.length; at++) {
    const byte = bytes[at] as number;
    const decoded = byte === PERCENT ? hexByte(bytes[at + 1], bytes[at + 2]) : -1;
    bytes[length++] = decoded < 0 ? byte : decoded;
    if (decoded >= 0) at += 2;
  }
  return bytes.toString('utf8', 0, length);
}

function hexByte(high: number | undefined, low: number | undefined): number {
  const a = hexDigit(high);
  const b = hexDigit(low);
  return a < 0 || b < 0 ? -1 : a * 16 + b;
}

function hexDigit(code: number | undefined): number {
  return code === undefined ? -1 : HEX.indexOf(String.fromCharCode(code).toUpperCase());
}
