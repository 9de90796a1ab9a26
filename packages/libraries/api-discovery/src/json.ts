/** An object of JSON that nobody has checked: each member is unknown. */
export type JsonObjectView = Readonly<Record<string, unknown>>;

/** What APIs send is a dozen levels deep. */
const MAX_DEPTH = 64;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/**
 * JSON that came over the network.
 * @throws Error that says what is wrong: no JSON, or more than 64 levels of nesting
 */
export function parseJson(bytes: Buffer): unknown {
  if (depthOf(bytes) > MAX_DEPTH) throw new Error(`is nested more than ${MAX_DEPTH} levels deep`);
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    // The engine's text quotes the input, which has no business in a log.
    const place = /at position \d+/.exec((error as Error).message)?.[0];
    throw new Error(`is not JSON${place === undefined ? '' : ` (${place})`}`);
  }
}

/** How deep it is nested; stops counting soon after {@link MAX_DEPTH}. */
function depthOf(bytes: Buffer): number {
  let depth = 0;
  let deepest = 0;
  for (let at = 0; at < bytes.length && deepest <= MAX_DEPTH; at++) {
    const byte = bytes[at];
    if (byte === QUOTE) {
      at = endOfString(bytes, at);
    } else if (byte === OPEN_BRACKET || byte === OPEN_BRACE) {
      if (++depth > deepest) deepest = depth;
    } else if (byte === CLOSE_BRACKET || byte === CLOSE_BRACE) {
      depth--;
    }
  }
  return deepest;
}

/** The place of the quote that ends the string which begins at `start`. */
function endOfString(bytes: Buffer, start: number): number {
  for (let end = bytes.indexOf(QUOTE, start + 1); end >= 0; end = bytes.indexOf(QUOTE, end + 1)) {
    let escapes = 0;
    while (bytes[end - 1 - escapes] === BACKSLASH) escapes++;
    if (escapes % 2 === 0) return end;
  }
  return bytes.length;
}

/** The object that it is; an empty one when it is none. */
export function asObject(value: unknown): JsonObjectView {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as JsonObjectView)
    : EMPTY;
}

/** The list that it is; an empty one when it is none. */
export function asArray(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** The string that it is; empty when it is none. */
export function asString(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** What a stranger wrote, for a log: one line of ASCII, at most `length` characters. */
export function printable(text: string, length = 64): string {
  return text.slice(0, length).replace(/[^\x20-\x7e]+/g, '?');
}

const EMPTY: JsonObjectView = Object.freeze(Object.create(null));
