/*
 * Header values are strings whose characters are bytes. A pattern means code points, so a text that is not ASCII is read as UTF-8
 * before it is matched. What comes out is a string of symbols for a RegExp without the `u` flag (the linear engine knows no `u`):
 * a code point is its UTF-16 form, and lone surrogates, which no text can hold, stand for what needs a symbol of its own.
 */

/** Behind these lie the bytes 0x80 … 0xff that are not part of valid UTF-8: one character each, matched by `.` and by classes that exclude. */
export const INVALID_SYMBOLS = [0xdf80, 0xdfff] as const;
const INVALID_BASE = 0xdf00;

/** What JavaScript takes for line ends and RE2 does not: hidden, so that `(?m)^` and `(?m)$` stop at `\n` alone. */
export const HIDDEN_LINE_ENDS: ReadonlyMap<number, number> = new Map([
  [0x0d, 0xdf00],
  [0x2028, 0xdf01],
  [0x2029, 0xdf02],
]);

/** One symbol in a decoded text, as regex source: keeps a search from beginning inside a pair. */
export const SYMBOL_SOURCE = '(?:[\\ud800-\\udbff][\\udc00-\\udfff]|[^\\ud800-\\udbff])';

const LINE_ENDS_SHOWN: ReadonlyMap<number, number> = new Map(
  [...HIDDEN_LINE_ENDS].map(([shown, hidden]) => [hidden, shown]),
);
const REPLACEMENT = '\ufffd';

/** The symbols of `text`. A text with a character above U+00FF holds code points already; any other holds bytes. */
export function decodeSymbols(text: string): string {
  return isBytes(text) ? decodeBytes(text) : decodePoints(text);
}

/** The way back: what a piece of the symbols of a text stood for. `bytes`: the text held bytes. */
export function encodeSymbols(symbols: string, bytes: boolean): string {
  let text = '';
  for (const char of symbols) {
    const unit = char.charCodeAt(0);
    const hidden = char.length === 1 && unit >= INVALID_BASE ? LINE_ENDS_SHOWN.get(unit) : undefined;
    if (char.length === 1 && unit >= INVALID_SYMBOLS[0] && unit <= INVALID_SYMBOLS[1]) {
      text += String.fromCharCode(unit - INVALID_BASE);
    } else {
      const shown = hidden === undefined ? char : String.fromCharCode(hidden);
      text += bytes ? toByteString(shown) : shown;
    }
  }
  return text;
}

/** Whether every character of `text` is a byte. */
export function isBytes(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0xff) return false;
  return true;
}

function decodeBytes(text: string): string {
  let symbols = '';
  let at = 0;
  while (at < text.length) {
    const length = sequenceLength(text, at);
    if (length === 0) symbols += String.fromCharCode(INVALID_BASE + text.charCodeAt(at));
    else symbols += symbolOf(pointAt(text, at, length));
    at += length === 0 ? 1 : length;
  }
  return symbols;
}

function decodePoints(text: string): string {
  let symbols = '';
  for (const char of text) {
    const point = char.codePointAt(0) as number;
    symbols += point >= 0xd800 && point <= 0xdfff ? REPLACEMENT : symbolOf(point);
  }
  return symbols;
}

function symbolOf(point: number): string {
  return String.fromCodePoint(HIDDEN_LINE_ENDS.get(point) ?? point);
}

/** Bytes in the UTF-8 sequence at `at` (RFC 3629: shortest form, no surrogates, up to U+10FFFF); 0 when there is none. */
function sequenceLength(text: string, at: number): number {
  const lead = text.charCodeAt(at);
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  const length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (at + length > text.length) return 0;
  const second = text.charCodeAt(at + 1);
  const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  if (second < low || second > high) return 0;
  for (let i = 2; i < length; i++) if ((text.charCodeAt(at + i) & 0xc0) !== 0x80) return 0;
  return length;
}

function pointAt(text: string, at: number, length: number): number {
  const lead = text.charCodeAt(at);
  if (length === 1) return lead;
  let point = lead & (0x7f >> length);
  for (let i = 1; i < length; i++) point = (point << 6) | (text.charCodeAt(at + i) & 0x3f);
  return point;
}

/** Text for the wire: the UTF-8 bytes of `text`, one character each. */
export function toByteString(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}
