/**
 * What could end a line, move a terminal's cursor or turn its text around: C0 and C1 controls, DEL, line and paragraph
 * separators, and the marks of writing direction.
 */
const CONTROL = /[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/;
const CONTROLS = new RegExp(CONTROL, 'g');
const CONTROLS_AND_QUOTES = new RegExp(`${CONTROL.source}|[\\\\"']`, 'g');

const SHORT: Readonly<Record<string, string>> = {
  '\x07': '\\a',
  '\b': '\\b',
  '\t': '\\t',
  '\n': '\\n',
  '\v': '\\v',
  '\f': '\\f',
  '\r': '\\r',
  '\\': '\\\\',
  '"': '\\"',
  "'": "\\'",
};

function escapeOne(character: string): string {
  const short = SHORT[character];
  if (short !== undefined) return short;
  const code = character.charCodeAt(0);
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : unicodeEscape(code);
}

function unicodeEscape(code: number): string {
  return `\\u${code.toString(16).padStart(4, '0')}`;
}

/** One line, whatever the text holds: control characters as `\n`, `\x1b`, `\u2028`. */
export function escapeControls(text: string): string {
  return CONTROL.test(text) ? text.replace(CONTROLS, escapeOne) : text;
}

/** The same and every other C escape too (backslash, quotes), so that it can be undone (`--log-format-escaped`). */
export function escapeAll(text: string): string {
  return text.replace(CONTROLS_AND_QUOTES, escapeOne);
}

/** JSON, with what JSON itself leaves bare of the above escaped as well. */
export function toJsonLine(value: unknown): string {
  const json = JSON.stringify(value);
  return CONTROL.test(json)
    ? json.replace(CONTROLS, (character) => unicodeEscape(character.charCodeAt(0)))
    : json;
}
