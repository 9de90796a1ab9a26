import { SourceError } from './source.ts';

export interface Token {
  kind: 'name' | 'number' | 'string' | 'sign' | 'end';
  text: string;
  offset: number;
  /** Of a string: what it stands for. */
  bytes?: Buffer;
}

const TOKEN =
  /(?:\s+|#[^\n]*)*(?:([A-Za-z_][A-Za-z0-9_]*)|(\.?\d(?:[eE][+-]|[\w.])*)|("(?:[^"\\\n]|\\[^\n])*"|'(?:[^'\\\n]|\\[^\n])*')|([{}<>[\]:,;./-]))/y;
const REST = /(?:\s+|#[^\n]*)*/y;

const ESCAPE =
  /\\(?:([abfnrtv\\'"?])|([0-7]{1,3})|x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([\s\S]))/g;
const SIMPLE: Record<string, number> = {
  a: 7,
  b: 8,
  f: 12,
  n: 10,
  r: 13,
  t: 9,
  v: 11,
  '\\': 92,
  "'": 39,
  '"': 34,
  '?': 63,
};

/** The bytes of a quoted string. */
function unquote(quoted: string, offset: number): Buffer {
  const text = quoted.slice(1, -1);
  if (!text.includes('\\')) return Buffer.from(text);
  const parts: Buffer[] = [];
  let at = 0;
  for (const match of text.matchAll(ESCAPE)) {
    const [whole, simple, octal, hex, short, long, other] = match;
    parts.push(Buffer.from(text.slice(at, match.index)));
    at = match.index + whole.length;
    const code = Number.parseInt(short ?? long ?? '0', 16);
    if (simple !== undefined) parts.push(Buffer.of(SIMPLE[simple]));
    else if (octal !== undefined && Number.parseInt(octal, 8) < 256)
      parts.push(Buffer.of(Number.parseInt(octal, 8)));
    else if (hex !== undefined) parts.push(Buffer.of(Number.parseInt(hex, 16)));
    else if ((short ?? long) !== undefined && code <= 0x10ffff)
      parts.push(Buffer.from(String.fromCodePoint(code)));
    else
      throw new SourceError([
        { offset: offset + match.index + 1, message: `no such escape: \\${other ?? octal ?? long}` },
      ]);
  }
  parts.push(Buffer.from(text.slice(at)));
  return Buffer.concat(parts);
}

/** Splits text format into tokens; the last one is the end. @throws SourceError at the first that is none */
export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  for (;;) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(text);
    if (match === null) {
      REST.lastIndex = at;
      const end = at + (REST.exec(text)?.[0].length ?? 0);
      if (end < text.length) {
        throw new SourceError([{ offset: end, message: `unexpected ${JSON.stringify(text[end])}` }]);
      }
      tokens.push({ kind: 'end', text: '', offset: text.length });
      return tokens;
    }
    const [whole, name, number, quoted, sign] = match;
    at += whole.length;
    const content = name ?? number ?? quoted ?? sign;
    const offset = at - content.length;
    if (quoted !== undefined)
      tokens.push({ kind: 'string', text: quoted, offset, bytes: unquote(quoted, offset) });
    else
      tokens.push({
        kind: name !== undefined ? 'name' : number !== undefined ? 'number' : 'sign',
        text: content,
        offset,
      });
  }
}
