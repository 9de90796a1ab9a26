import { isUtf8 } from 'node:buffer';
import type { MetadataValue } from '@dragoman/core';
import { utf8Bytes } from '@dragoman/matching';

/**
 * Everything a formatter puts out is a string of bytes (latin1), as header values are: a header's bytes stand in the
 * line as they came, and texts become their UTF-8 bytes.
 */

/** Anything that could break a line, a terminal, or the one-byte string: controls but the tab, DEL, more than a byte. */
export const UNSAFE_IN_TEXT = /[^\t\x20-\x7e\x80-\xff]/;
const ALL_UNSAFE_IN_TEXT = /[^\t\x20-\x7e\x80-\xff]/g;

/** `value` with control characters written as `\n`, `\r` or `\xHH`. */
export function safeText(value: string): string {
  if (!UNSAFE_IN_TEXT.test(value)) return value;
  return wideToBytes(value).replace(ALL_UNSAFE_IN_TEXT, escapeCharacter);
}

const WIDE = /[^\x00-\xff]/;

/**
 * The UTF-8 bytes of a string that has characters beyond one byte: cut down to bytes as they are, one could become a
 * newline. For a string of bytes the test is free: V8 knows that its characters are single bytes.
 */
export function wideToBytes(value: string): string {
  return WIDE.test(value) ? utf8Bytes(value) : value;
}

function escapeCharacter(character: string): string {
  if (character === '\n') return '\\n';
  if (character === '\r') return '\\r';
  return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
}

/**
 * A string of bytes as a JSON string. As in Envoy, what is UTF-8 stays and what is not becomes U+FFFD, so that the line
 * is JSON whatever a peer sends.
 */
export function quoteJson(bytes: string): string {
  const quoted = JSON.stringify(bytes);
  return NOT_ASCII.test(quoted) ? quoteNotAscii(bytes, quoted) : quoted;
}

const NOT_ASCII = /[\x80-\uffff]/;

function quoteNotAscii(bytes: string, quoted: string): string {
  if (WIDE.test(bytes)) return quoteJson(utf8Bytes(bytes));
  const buffer = Buffer.from(bytes, 'latin1');
  return isUtf8(buffer) ? quoted : quoteTextJson(buffer.toString('utf8'));
}

/** A Unicode text as a JSON string of bytes. */
export function quoteTextJson(text: string): string {
  // A lone surrogate has no UTF-8 form: JSON.stringify escapes it.
  return utf8Bytes(JSON.stringify(text));
}

/** A value of metadata as JSON, in bytes, keys sorted as Envoy sorts them; a number that JSON does not know is null. */
export function valueJson(value: MetadataValue): string {
  if (value === null) return 'null';
  switch (typeof value) {
    case 'string':
      return quoteTextJson(value);
    case 'number':
      return Number.isFinite(value) ? String(value) : 'null';
    case 'boolean':
      return value ? 'true' : 'false';
    default:
      return Array.isArray(value)
        ? `[${value.map(valueJson).join(',')}]`
        : objectJson(value as { readonly [key: string]: MetadataValue });
  }
}

function objectJson(object: { readonly [key: string]: MetadataValue }): string {
  const fields = sortedKeys(object).map((key) => `${quoteTextJson(key)}:${valueJson(object[key])}`);
  return `{${fields.join(',')}}`;
}

/** Keys in the order of their UTF-8 bytes. */
export function sortedKeys(object: object): string[] {
  return Object.keys(object)
    .map((key) => ({ key, bytes: utf8Bytes(key) }))
    .sort((a, b) => (a.bytes < b.bytes ? -1 : a.bytes > b.bytes ? 1 : 0))
    .map(({ key }) => key);
}
