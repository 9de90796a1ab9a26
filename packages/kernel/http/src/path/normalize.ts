/**
 * Path normalisation as Envoy does it: RFC 3986 section 6.2.2 in the manner of Chromium's URL canonicaliser, on the
 * part before the query. What comes out is what routes match, filters judge and upstreams get.
 */

/** What the canonicaliser does with a byte, plain and as `%XX`. */
const KEEP = 0;
/** Plain: kept. As `%XX`: unescaped. */
const UNESCAPE = 1;
/** Plain: escaped. As `%XX`: kept. */
const ESCAPE = 2;
/** In no form allowed. */
const INVALID = 3;

const PERCENT = 0x25;
const DOT = 0x2e;
const SLASH = 0x2f;
const SEMICOLON = 0x3b;
const BACKSLASH = 0x5c;

const TREATMENT = treatmentTable();

function treatmentTable(): Uint8Array {
  const table = new Uint8Array(256).fill(ESCAPE);
  for (const plain of "!$&'()*+,/:;=@[]") table[plain.charCodeAt(0)] = KEEP;
  for (let code = 0; code < 128; code++)
    if (/[-._~0-9A-Za-z]/.test(String.fromCharCode(code))) table[code] = UNESCAPE;
  // An escaped dot is unescaped too, but decided where dot segments are.
  table[0] = INVALID;
  return table;
}

/** Bytes that need no look at their neighbours: everything else leaves the fast path. */
const ORDINARY = Uint8Array.from(TREATMENT, (treatment, code) =>
  (treatment === KEEP || treatment === UNESCAPE) && code !== DOT ? 1 : 0,
);

/** Index of the `?` that begins the query, or the length. */
export function queryStart(path: string): number {
  const mark = path.indexOf('?');
  return mark < 0 ? path.length : mark;
}

/** Index of the first `?` or `#`, or the length: where the path that routes match ends. */
export function pathEnd(path: string): number {
  const end = queryStart(path);
  const mark = path.indexOf('#');
  return mark >= 0 && mark < end ? mark : end;
}

/**
 * The canonical form of a request path; the query is left alone.
 *
 * Dot segments (also as `%2e`, also with parameters: `/..;x/`) are resolved, backslashes become slashes, unreserved
 * characters are unescaped, what must be escaped is, and invalid escapes stay as they are.
 * @returns undefined when the path holds a NUL, plain or escaped: such a request is refused
 */
export function normalizePath(path: string): string | undefined {
  const end = queryStart(path);
  // Nearly every path is canonical: one scan tells.
  if (end > 0 && path.charCodeAt(0) === SLASH) {
    let i = 1;
    while (i < end && isOrdinary(path, i)) i++;
    if (i === end) return path;
  }
  const canonical = canonicalize(path, end);
  if (canonical === undefined || end === path.length) return canonical;
  return canonical + path.slice(end);
}

function isOrdinary(path: string, i: number): boolean {
  const code = path.charCodeAt(i);
  if (code === DOT) return path.charCodeAt(i - 1) !== SLASH;
  return code < 256 && ORDINARY[code] === 1;
}

function canonicalize(path: string, end: number): string | undefined {
  const out: number[] = [];
  if (end === 0 || !isSlash(path.charCodeAt(0))) out.push(SLASH);
  // Where in `out` a `%` stands that begins no escape sequence.
  let strayPercent = -1;
  let i = 0;
  while (i < end) {
    const code = path.charCodeAt(i);
    const dot = dotLength(path, i, end);
    if (dot > 0) {
      if (out[out.length - 1] === SLASH) {
        const taken = resolveDots(path, i + dot, end, out);
        if (taken >= 0) {
          i = taken;
          continue;
        }
      }
      out.push(DOT);
      i += dot;
      // `%%2e`: the dot can complete no escape sequence.
      continue;
    }
    if (code === BACKSLASH) {
      out.push(SLASH);
      i++;
    } else if (code === PERCENT) {
      const value = escapedByte(path, i, end);
      if (value < 0) {
        strayPercent = out.length;
        out.push(PERCENT);
        i++;
        continue;
      }
      if (TREATMENT[value] === INVALID) return undefined;
      if (TREATMENT[value] === UNESCAPE) {
        out.push(value);
        i += 3;
        if (strayPercent >= out.length - 3 && strayPercent >= 0)
          i = escapeStray(path, i, end, strayPercent, out);
      } else {
        out.push(PERCENT, path.charCodeAt(i + 1), path.charCodeAt(i + 2));
        i += 3;
      }
    } else if (code > 255 || TREATMENT[code] === ESCAPE) {
      pushEscaped(code & 0xff, out);
      i++;
    } else if (TREATMENT[code] === INVALID) {
      return undefined;
    } else {
      out.push(code);
      i++;
    }
  }
  return text(out);
}

function isSlash(code: number): boolean {
  return code === SLASH || code === BACKSLASH;
}

/** 1 for `.`, 3 for `%2e`, 0 for anything else. */
function dotLength(path: string, i: number, end: number): number {
  if (i >= end) return 0;
  const code = path.charCodeAt(i);
  if (code === DOT) return 1;
  return code === PERCENT && escapedByte(path, i, end) === DOT ? 3 : 0;
}

/**
 * After one dot at the start of a segment: if it is a dot segment, applies it to `out` and returns where the next
 * segment begins; −1 when the dot only begins a name. Parameters of a dot segment (`..;a=b`) go with it: servers behind
 * would resolve it after stripping them.
 */
function resolveDots(path: string, afterDot: number, end: number, out: number[]): number {
  const single = segmentEnd(path, afterDot, end);
  if (single >= 0) return single;
  const second = dotLength(path, afterDot, end);
  if (second === 0) return -1;
  const double = segmentEnd(path, afterDot + second, end);
  if (double < 0) return -1;
  // Back to the slash before; the root stays.
  if (out.length > 1) {
    out.pop();
    while (out[out.length - 1] !== SLASH) out.pop();
  }
  return double;
}

/** Behind the slash that ends the segment at `i` (parameters skipped), or −1 when its name goes on. */
function segmentEnd(path: string, i: number, end: number): number {
  if (i >= end) return end;
  const code = path.charCodeAt(i);
  if (isSlash(code)) return i + 1;
  if (code !== SEMICOLON) return -1;
  let at = i + 1;
  while (at < end && !isSlash(path.charCodeAt(at))) at++;
  return at < end ? at + 1 : end;
}

/** The byte of the escape sequence at `i`, or −1 when it is none. */
function escapedByte(path: string, i: number, end: number): number {
  if (i + 2 >= end) return -1;
  const high = hexDigit(path.charCodeAt(i + 1));
  const low = hexDigit(path.charCodeAt(i + 2));
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

const HEX = '0123456789ABCDEF';

function pushEscaped(byte: number, out: number[]): void {
  out.push(PERCENT, HEX.charCodeAt(byte >> 4), HEX.charCodeAt(byte & 15));
}

/**
 * `%%300` must not become `%00`: when what was just unescaped completes an escape sequence with an earlier stray `%`,
 * that percent sign is escaped (`%2500`). Returns the next index to read.
 */
function escapeStray(path: string, next: number, end: number, stray: number, out: number[]): number {
  const behind = out.length - stray - 1;
  if (behind === 2) {
    if (hexDigit(out[stray + 1] as number) >= 0 && hexDigit(out[stray + 2] as number) >= 0)
      out.splice(stray + 1, 0, 0x32, 0x35);
    return next;
  }
  if (next >= end || hexDigit(out[stray + 1] as number) < 0) return next;
  const following = path.charCodeAt(next);
  if (hexDigit(following) < 0) return next;
  out.splice(stray + 1, 0, 0x32, 0x35);
  out.push(following);
  return next + 1;
}

const CHUNK = 4096;

function text(codes: number[]): string {
  if (codes.length <= CHUNK) return String.fromCharCode(...codes);
  let result = '';
  for (let i = 0; i < codes.length; i += CHUNK) result += String.fromCharCode(...codes.slice(i, i + CHUNK));
  return result;
}

/** One slash for each run of them, before the query (`merge_slashes`). */
export function mergeSlashes(path: string): string {
  const first = path.indexOf('//');
  if (first < 0) return path;
  const end = queryStart(path);
  if (first >= end) return path;
  return path.slice(0, end).replace(/\/{2,}/g, '/') + path.slice(end);
}

/** `%2F` and `%5C` in either case become `/` and `\` before the query; the same string when there are none. */
export function unescapeSlashes(path: string): string {
  const percent = path.indexOf('%');
  if (percent < 0) return path;
  const end = queryStart(path);
  if (percent >= end) return path;
  const head = path.slice(0, end);
  const unescaped = head.replace(/%(?:2[Ff]|5[Cc])/g, (found) => (found.charCodeAt(1) === 0x32 ? '/' : '\\'));
  return unescaped.length === head.length ? path : unescaped + path.slice(end);
}
