import { type AssertionKind, EMPTY, type RegexNode } from './ast.ts';
import { type CharSet, fold, MAX_CODE_POINT, negate, normalise } from './char-set.ts';
import { PERL_CLASSES, POSIX_CLASSES, unicodeGroup } from './classes.ts';
import { RegexSyntaxError } from './syntax-error.ts';

/** RE2's bound on a counted repetition, and on the product of nested ones. */
const MAX_REPEAT = 1000;
/** RE2 allows 1,000; nobody writes 200. */
const MAX_DEPTH = 200;

const CONTROL_ESCAPES: Readonly<Record<string, number>> = { a: 7, f: 12, t: 9, n: 10, r: 13, v: 11 };
const NO_LOOKAROUND = 'RE2 has no look-around and no back-references';

interface Flags {
  readonly ignoreCase: boolean;
  readonly multiLine: boolean;
  readonly dotAll: boolean;
  readonly ungreedy: boolean;
}

export interface ParsedRegex {
  readonly root: RegexNode;
  readonly groupCount: number;
}

/** Reads RE2 syntax (https://github.com/google/re2/wiki/Syntax) as RE2's Perl mode does. */
export function parseRegex(pattern: string): ParsedRegex {
  return new Parser(pattern).parse();
}

class Parser {
  private readonly pattern: string;
  private at = 0;
  private depth = 0;
  private groupCount = 0;
  private readonly groupNames = new Set<string>();
  private flags: Flags = { ignoreCase: false, multiLine: false, dotAll: false, ungreedy: false };

  constructor(pattern: string) {
    this.pattern = pattern;
  }

  parse(): ParsedRegex {
    const root = this.alternation();
    if (this.at < this.pattern.length)
      throw this.error(this.at, 'unexpected )', 'write \\) for the character');
    checkRepeats(root, MAX_REPEAT, (count) =>
      this.error(
        0,
        `nested repetitions reach more than ${count} copies`,
        `the product of nested counts may be at most ${MAX_REPEAT}`,
      ),
    );
    return { root, groupCount: this.groupCount };
  }

  private alternation(): RegexNode {
    const branches: RegexNode[] = [this.concatenation()];
    while (this.take('|')) branches.push(this.concatenation());
    return branches.length === 1 ? (branches[0] as RegexNode) : { kind: 'alternate', items: branches };
  }

  private concatenation(): RegexNode {
    const items: RegexNode[] = [];
    /** End of the repetition operator just read, to refuse another one right behind it. */
    let repeatEnd = -1;
    while (this.at < this.pattern.length) {
      const char = this.pattern[this.at] as string;
      if (char === '|' || char === ')') break;
      const start = this.at;
      const repeat = this.repetition();
      if (repeat !== undefined) {
        const item = items.pop();
        if (item === undefined)
          throw this.error(
            start,
            'no argument for the repetition operator',
            `write \\${char} for the character`,
          );
        if (start === repeatEnd)
          throw this.error(
            start,
            'repetition operators may not be stacked',
            'put the inner one into a group: (?:a*)+',
          );
        items.push({ kind: 'repeat', item, ...repeat });
        repeatEnd = this.at;
      } else this.atom(items);
    }
    if (items.length === 0) return EMPTY;
    return items.length === 1 ? (items[0] as RegexNode) : { kind: 'concat', items };
  }

  /** Reads `*`, `+`, `?` or `{n,m}`, and the `?` behind it. A brace that is no repetition is a literal. */
  private repetition(): { min: number; max: number; greedy: boolean } | undefined {
    const start = this.at;
    let bounds: readonly [number, number];
    if (this.take('*')) bounds = [0, Number.POSITIVE_INFINITY];
    else if (this.take('+')) bounds = [1, Number.POSITIVE_INFINITY];
    else if (this.take('?')) bounds = [0, 1];
    else {
      const braces = /^\{(0|[1-9]\d*)(,(0|[1-9]\d*)?)?\}/.exec(this.pattern.slice(start, start + 32));
      if (braces === null) return undefined;
      const min = Number(braces[1]);
      const max =
        braces[2] === undefined
          ? min
          : braces[3] === undefined
            ? Number.POSITIVE_INFINITY
            : Number(braces[3]);
      if (min > MAX_REPEAT || (max !== Number.POSITIVE_INFINITY && max > MAX_REPEAT)) {
        throw this.error(
          start,
          `repetition ${braces[0]} is too large`,
          `a count may be at most ${MAX_REPEAT}`,
        );
      }
      if (max < min)
        throw this.error(start, `repetition ${braces[0]} is the wrong way round`, 'write {min,max}');
      this.at += braces[0].length;
      bounds = [min, max];
    }
    const lazy = this.take('?');
    return { min: bounds[0], max: bounds[1], greedy: lazy === this.flags.ungreedy };
  }

  private atom(items: RegexNode[]): void {
    const start = this.at;
    const point = this.next();
    switch (String.fromCodePoint(point)) {
      case '(':
        this.group(start, items);
        return;
      case '[':
        items.push({ kind: 'set', set: this.bracket(start) });
        return;
      case '.':
        items.push({ kind: 'set', set: negate(this.flags.dotAll ? [] : [10, 10]) });
        return;
      case '^':
        items.push(assertion(this.flags.multiLine ? 'begin-line' : 'begin-text'));
        return;
      case '$':
        items.push(assertion(this.flags.multiLine ? 'end-line' : 'end-text'));
        return;
      case '\\':
        this.escape(start, items);
        return;
      default:
        items.push(this.literal(point));
    }
  }

  private literal(point: number): RegexNode {
    return { kind: 'set', set: this.cased([point, point]) };
  }

  private cased(set: CharSet): CharSet {
    return this.flags.ignoreCase ? fold(set) : set;
  }

  private group(start: number, items: RegexNode[]): void {
    const outer = this.flags;
    let index = 0;
    if (!this.take('?')) index = ++this.groupCount;
    else if (
      this.take('P<') ||
      (this.pattern[this.at] === '<' &&
        !/^<[=!]/.test(this.pattern.slice(this.at, this.at + 2)) &&
        this.take('<'))
    ) {
      this.groupName(start);
      index = ++this.groupCount;
    } else if (!this.groupFlags(start)) return;
    if (++this.depth > MAX_DEPTH)
      throw this.error(start, 'groups are nested too deep', `at most ${MAX_DEPTH} levels`);
    const item = this.alternation();
    this.depth--;
    if (!this.take(')'))
      throw this.error(start, 'missing )', 'close the group, or write \\( for the character');
    this.flags = outer;
    items.push(index === 0 ? item : { kind: 'group', index, item });
  }

  private groupName(start: number): void {
    const end = this.pattern.indexOf('>', this.at);
    const name = this.pattern.slice(this.at, end < 0 ? undefined : end);
    if (end < 0 || !/^[\p{L}\p{Mn}\p{Mc}\p{Nd}\p{Nl}\p{Pc}]+$/u.test(name)) {
      throw this.error(
        start,
        'invalid group name',
        'a name is made of letters, digits and underscores: (?P<name>…)',
      );
    }
    if (this.groupNames.has(name))
      throw this.error(start, `group name "${name}" is used twice`, 'each name may stand once');
    this.groupNames.add(name);
    this.at = end + 1;
  }

  /** Behind `(?`: reads flags and sets them. False when they ended with `)` and so hold for the rest of the group outside. */
  private groupFlags(start: number): boolean {
    const letters = /^([imsU]*)(-[imsU]+)?([:)])/.exec(this.pattern.slice(this.at, this.at + 64));
    if (letters === null) {
      const look = /^(<?[=!]|P=|[>#|R&+0-9])/.test(this.pattern.slice(this.at, this.at + 2));
      throw this.error(
        start,
        'unknown group',
        look
          ? NO_LOOKAROUND
          : 'groups are (…), (?:…), (?P<name>…), (?<name>…), (?imsU-imsU) and (?imsU-imsU:…)',
      );
    }
    this.at += letters[0].length;
    const flags = { ...this.flags };
    for (const [text, on] of [
      [letters[1] as string, true],
      [letters[2] ?? '', false],
    ] as const) {
      if (text.includes('i')) flags.ignoreCase = on;
      if (text.includes('m')) flags.multiLine = on;
      if (text.includes('s')) flags.dotAll = on;
      if (text.includes('U')) flags.ungreedy = on;
    }
    this.flags = flags;
    return letters[3] === ':';
  }

  private escape(start: number, items: RegexNode[]): void {
    switch (this.pattern[this.at]) {
      case 'A':
        this.pushAssertion(items, 'begin-text');
        return;
      case 'z':
        this.pushAssertion(items, 'end-text');
        return;
      case 'b':
        this.pushAssertion(items, 'word-boundary');
        return;
      case 'B':
        this.pushAssertion(items, 'not-word-boundary');
        return;
      case 'C':
        throw this.error(start, '\\C (a single byte) is not supported', 'use (?s:.) for any character');
      case 'Q':
        this.at++;
        while (this.at < this.pattern.length && !this.take('\\E')) items.push(this.literal(this.next()));
        return;
      default:
        items.push({
          kind: 'set',
          set: this.classEscape(start) ?? this.cased(single(this.charEscape(start))),
        });
    }
  }

  private pushAssertion(items: RegexNode[], kind: AssertionKind): void {
    this.at++;
    items.push(assertion(kind));
  }

  /** `\d`, `\pL`, `\P{Greek}` …; undefined, and nothing read, for another escape. */
  private classEscape(start: number): CharSet | undefined {
    const letter = this.pattern[this.at] ?? '';
    const perl = PERL_CLASSES[letter.toLowerCase()];
    if (perl !== undefined && Object.hasOwn(PERL_CLASSES, letter.toLowerCase())) {
      this.at++;
      const set = this.cased(perl);
      return letter >= 'a' ? set : negate(set);
    }
    if (letter !== 'p' && letter !== 'P') return undefined;
    this.at++;
    const named = /^(?:\{(\^?)([^}]*)\}|([A-Za-z]))/u.exec(this.pattern.slice(this.at, this.at + 64));
    const set = named === null ? undefined : unicodeGroup(named[3] ?? (named[2] as string));
    if (named === null || set === undefined) {
      throw this.error(
        start,
        'unknown Unicode group',
        'groups are general categories and scripts: \\pN, \\p{Lu}, \\p{Greek}',
      );
    }
    this.at += named[0].length;
    const cased = this.cased(set);
    return (letter === 'P') !== (named[1] === '^') ? negate(cased) : cased;
  }

  /** An escape that is one character; the backslash is read. */
  private charEscape(start: number): number {
    if (this.at >= this.pattern.length)
      throw this.error(start, 'a backslash ends the pattern', 'write \\\\ for the character');
    const rest = this.pattern.slice(this.at, this.at + 12);
    const octal = /^(?:[1-7][0-7]{1,2}|0[0-7]{0,2})/.exec(rest);
    if (octal !== null) {
      this.at += octal[0].length;
      return Number.parseInt(octal[0], 8);
    }
    const hex = /^x(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]{1,8})\})/.exec(rest);
    if (hex !== null) {
      this.at += hex[0].length;
      const point = Number.parseInt(hex[1] ?? (hex[2] as string), 16);
      if (point > MAX_CODE_POINT)
        throw this.error(start, 'no such code point', 'the last one is \\x{10FFFF}');
      return point;
    }
    const letter = rest[0] as string;
    const control = Object.hasOwn(CONTROL_ESCAPES, letter) ? CONTROL_ESCAPES[letter] : undefined;
    if (control !== undefined) {
      this.at++;
      return control;
    }
    if (/^[\x00-\x2f\x3a-\x40\x5b-\x60\x7b-\x7f]/.test(rest)) {
      this.at++;
      return rest.charCodeAt(0);
    }
    throw this.error(
      start,
      `invalid escape \\${String.fromCodePoint(rest.codePointAt(0) as number)}`,
      /^[1-9k]/.test(rest)
        ? NO_LOOKAROUND
        : 'escapes are \\d \\s \\w \\b \\A \\z \\p \\Q…\\E \\x \\a \\f \\n \\r \\t \\v, octal, and \\ before punctuation',
    );
  }

  private bracket(start: number): CharSet {
    const negated = this.take('^');
    const pairs: number[] = [];
    for (let first = true; first || this.pattern[this.at] !== ']'; first = false) {
      if (this.at >= this.pattern.length)
        throw this.error(start, 'missing ]', 'close the class, or write \\[ for the character');
      this.bracketItem(pairs);
    }
    this.at++;
    const set = normalise(pairs);
    return negated ? negate(set) : set;
  }

  private bracketItem(pairs: number[]): void {
    const start = this.at;
    const posix = /^\[:(\^?)([^:\]]*):\]/.exec(this.pattern.slice(start, start + 20));
    if (posix !== null) {
      const name = posix[2] as string;
      if (!Object.hasOwn(POSIX_CLASSES, name)) {
        throw this.error(
          start,
          `unknown class ${posix[0]}`,
          `names are ${Object.keys(POSIX_CLASSES).join(', ')}`,
        );
      }
      this.at += posix[0].length;
      const set = this.cased(POSIX_CLASSES[name] as CharSet);
      pairs.push(...(posix[1] === '^' ? negate(set) : set));
      return;
    }
    if (this.pattern[start] === '\\') {
      this.at++;
      const set = this.classEscape(start);
      if (set !== undefined) {
        for (const bound of set) pairs.push(bound);
        return;
      }
      this.at = start;
    }
    const low = this.bracketChar();
    let high = low;
    if (
      this.pattern[this.at] === '-' &&
      this.at + 1 < this.pattern.length &&
      this.pattern[this.at + 1] !== ']'
    ) {
      this.at++;
      high = this.bracketChar();
      if (high < low) throw this.error(start, 'a range is the wrong way round', 'write [low-high]');
    }
    for (const bound of this.cased([low, high])) pairs.push(bound);
  }

  private bracketChar(): number {
    const start = this.at;
    const point = this.next();
    return point === 0x5c ? this.charEscape(start) : point;
  }

  private take(text: string): boolean {
    if (!this.pattern.startsWith(text, this.at)) return false;
    this.at += text.length;
    return true;
  }

  private next(): number {
    const point = this.pattern.codePointAt(this.at);
    if (point === undefined) throw this.error(this.at, 'the pattern ends too soon', 'close the class');
    this.at += point > 0xffff ? 2 : 1;
    return point;
  }

  private error(offset: number, what: string, allowed: string): RegexSyntaxError {
    return new RegexSyntaxError(this.pattern, offset, what, allowed);
  }
}

function assertion(kind: AssertionKind): RegexNode {
  return { kind: 'assertion', assertion: kind };
}

function single(point: number): CharSet {
  return [point, point];
}

/** RE2 divides its bound by each nested count, and refuses when nothing is left. */
function checkRepeats(node: RegexNode, left: number, error: (count: number) => Error): void {
  switch (node.kind) {
    case 'concat':
    case 'alternate':
      for (const item of node.items) checkRepeats(item, left, error);
      return;
    case 'group':
      checkRepeats(node.item, left, error);
      return;
    case 'repeat': {
      // `*`, `+` and `?` are no counts; `{n,}` counts its minimum.
      const count = node.max === Number.POSITIVE_INFINITY ? node.min : node.max;
      const rest = count > 1 ? Math.floor(left / count) : left;
      if (rest === 0) throw error(MAX_REPEAT);
      checkRepeats(node.item, rest, error);
    }
  }
}
