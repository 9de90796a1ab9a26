import { nearest } from '@dragoman/api';
import { ConfigError } from '@dragoman/core';
import { bytesOperator, type OperatorSpec, type OperatorTable } from '../operator.ts';

const HEADER = 'x-forwarded-client-cert';

/** The keys of an element of `x-forwarded-client-cert`; they count in any case. */
const KEYS = ['by', 'hash', 'cert', 'chain', 'subject', 'uri', 'dns', 'issuer'];

/**
 * Where the part that begins at `start` ends: at the next separator outside quotes, or at the end. -1 when a quote is
 * not closed. A quote after an odd number of backslashes is none.
 */
function endOfPart(text: string, start: number, separator: string): number {
  let quoted = false;
  let backslashes = 0;
  for (let i = start; i < text.length; i++) {
    const character = text[i];
    if (character === '\\') {
      backslashes++;
      continue;
    }
    if (character === separator && !quoted) return i;
    if (character === '"' && backslashes % 2 === 0) quoted = !quoted;
    backslashes = 0;
  }
  return quoted ? -1 : text.length;
}

function isBlank(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code === 0x20 || (code >= 0x09 && code <= 0x0d);
}

/** Without ASCII white space at both ends. By hand: a regular expression takes quadratic time over blanks in the middle. */
function stripped(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text, start)) start++;
  while (end > start && isBlank(text, end - 1)) end--;
  return text.slice(start, end);
}

/** The value of `key=value` without its quotes; undefined for another key. */
function valueOfPair(pair: string, key: string): string | undefined {
  const equals = pair.indexOf('=');
  const name = stripped(equals < 0 ? pair : pair.slice(0, equals));
  if (name.length !== key.length || name.toLowerCase() !== key) return undefined;
  const raw = equals < 0 ? '' : stripped(pair.slice(equals + 1));
  const bare = raw.length >= 2 && raw.startsWith('"') && raw.endsWith('"') ? raw.slice(1, -1) : raw;
  return bare.replace(/\\(["\\])/g, '$1');
}

/** The first value of a key: elements are separated by commas, the oldest, which is the client's, comes first. */
export function xfccValue(header: string, key: string): string | undefined {
  for (let start = 0; start <= header.length; ) {
    const end = endOfPart(header, start, ',');
    if (end < 0) return undefined;
    const element = header.slice(start, end);
    for (let from = 0; from <= element.length; ) {
      const to = endOfPart(element, from, ';');
      const value = valueOfPair(element.slice(from, to), key);
      if (value !== undefined) return value;
      from = to + 1;
    }
    start = end + 1;
  }
  return undefined;
}

/** `%XFCC_VALUE(KEY)%`: one key of `x-forwarded-client-cert`. */
const xfcc: OperatorSpec = {
  parameters: 'required',
  length: false,
  compile(parameter) {
    const key = parameter.toLowerCase();
    if (!KEYS.includes(key)) {
      throw ConfigError.at(
        '',
        `"${parameter}" is not a key of ${HEADER}: use ${KEYS.join(', ')}`,
        nearest(key, KEYS),
      );
    }
    return bytesOperator(({ request }) => {
      const header = request?.getJoined(HEADER);
      return header === undefined || header === '' ? undefined : xfccValue(header, key);
    });
  },
};

/** Operators about the certificates that proxies before this one saw. */
export const xfccOperators: OperatorTable = { XFCC_VALUE: xfcc };
