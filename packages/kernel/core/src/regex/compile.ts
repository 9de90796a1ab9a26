import { isNullable, type RegexNode } from './ast.ts';
import { reachesBeyondAscii } from './char-set.ts';
import { type Alphabet, type EmittedRegex, emitRegex, RegexTooLarge } from './emit.ts';
import { Matcher } from './engine.ts';
import { type ParsedRegex, parseRegex } from './parser.ts';
import { parseRewrite, type Rewrite } from './rewrite.ts';
import { RegexSyntaxError } from './syntax-error.ts';
import { decodeSymbols, encodeSymbols, isBytes, SYMBOL_SOURCE } from './utf8.ts';

/** Characters in a pattern. */
const MAX_PATTERN_LENGTH = 16_384;
/** Nodes of a pattern with its counted repetitions written out (RE2 bounds its memory instead): matching takes time in proportion to it. */
const MAX_SIZE = 10_000;

/**
 * A pattern in RE2 syntax, compiled. Matching takes time linear in the length of the text, whatever both are, and never throws.
 *
 * Texts are strings of bytes, as header values are, read as UTF-8 (a text with a character above U+00FF: as code points).
 * A byte outside valid UTF-8 counts as one character that `.`, `\D` and `[^…]` match and classes which list characters do not: a rule such as
 * `.*admin.*` cannot be evaded with a stray byte, and one such as `[a-z]+` does not let it through.
 */
export interface CompiledRegex {
  /** As it was configured. */
  readonly pattern: string;
  /** Number of capturing groups. */
  readonly groupCount: number;
  /** Whether the pattern matches all of `text` (Envoy: `safe_regex`). */
  fullMatch(text: string): boolean;
  /** Whether the pattern matches somewhere in `text`. */
  search(text: string): boolean;
  /**
   * Replaces every match, as RE2's GlobalReplace (Envoy: `regex_rewrite`).
   * @throws RegexSyntaxError when `substitution` is invalid: on the data path use {@link replacer}.
   */
  replaceAll(text: string, substitution: string): string;
  /**
   * Reads a substitution once (`\0` … `\9`, `\\`).
   * @throws RegexSyntaxError for another escape, a group that does not exist, or one whose text JavaScript and RE2 would choose differently.
   */
  replacer(substitution: string): (text: string) => string;
  /** The groups of the first match, undefined where a group took no part; undefined without a match. `[0]` is the whole match. */
  captures(text: string): readonly (string | undefined)[] | undefined;
}

/** @throws RegexSyntaxError when `pattern` is not RE2 syntax or is too large. */
export function compileRegex(pattern: string): CompiledRegex {
  if (pattern.length > MAX_PATTERN_LENGTH) {
    throw new RegexSyntaxError(
      pattern,
      MAX_PATTERN_LENGTH,
      'the pattern is too long',
      `at most ${MAX_PATTERN_LENGTH} characters`,
    );
  }
  return new Regex(pattern, parseRegex(pattern));
}

class Regex implements CompiledRegex {
  readonly pattern: string;
  readonly groupCount: number;
  private readonly root: RegexNode;
  /** Whether a text that is not ASCII has to be decoded: false when no class reaches beyond ASCII. */
  private readonly decodes: boolean;
  private readonly hidesCarriageReturn: boolean;
  private readonly full: Matcher;
  private readonly fullSymbols: Matcher;
  private partial: Matcher | undefined;
  private partialSymbols: Matcher | undefined;
  private finder: Finder | undefined;
  private finderSymbols: Finder | undefined;
  private lastSubstitution: string | undefined;
  private lastReplacer: ((text: string) => string) | undefined;

  constructor(pattern: string, parsed: ParsedRegex) {
    this.pattern = pattern;
    this.root = parsed.root;
    this.groupCount = parsed.groupCount;
    this.hidesCarriageReturn = some(
      parsed.root,
      (node) => node.kind === 'assertion' && node.assertion.endsWith('-line'),
    );
    this.decodes =
      this.hidesCarriageReturn ||
      some(parsed.root, (node) => node.kind === 'set' && reachesBeyondAscii(node.set));
    this.full = this.matcher('ascii', (source) => `^(?:${source})$`);
    this.fullSymbols = this.decodes ? this.matcher('symbols', (source) => `^(?:${source})$`) : this.full;
  }

  fullMatch(text: string): boolean {
    return this.isPlain(text) ? this.full.test(text) : this.fullSymbols.test(decodeSymbols(text));
  }

  search(text: string): boolean {
    if (this.isPlain(text)) {
      this.partial ??= this.matcher('ascii', (source) => `(?:${source})`);
      return this.partial.test(text);
    }
    this.partialSymbols ??= this.matcher('symbols', (source) => `^${SYMBOL_SOURCE}*?(?:${source})`);
    return this.partialSymbols.test(decodeSymbols(text));
  }

  replaceAll(text: string, substitution: string): string {
    if (substitution !== this.lastSubstitution || this.lastReplacer === undefined) {
      this.lastReplacer = this.replacer(substitution);
      this.lastSubstitution = substitution;
    }
    return this.lastReplacer(text);
  }

  replacer(substitution: string): (text: string) => string {
    const rewrite = parseRewrite(substitution, this.groupCount);
    if (some(this.root, (node) => node.kind === 'repeat' && node.max > 1 && isNullable(node.item))) {
      throw new RegexSyntaxError(
        this.pattern,
        0,
        'it repeats what may match nothing, so that how far a match reaches is not defined alike everywhere',
        'repeat something that matches at least one character: (?:a|b)* instead of (?:a*|b)*',
      );
    }
    for (const part of rewrite) {
      if (typeof part === 'number' && part > 0 && isUnstable(this.root, part, false, false)) {
        throw new RegexSyntaxError(
          this.pattern,
          0,
          `group ${part} stands in a repetition that may pass without it, so that what it captured is not defined alike everywhere`,
          'put the repetition inside the group: ((?:a|b)*)',
        );
      }
    }
    this.prepareFinders();
    return (text) => this.rewriteAll(text, rewrite);
  }

  captures(text: string): readonly (string | undefined)[] | undefined {
    this.prepareFinders();
    const subject = this.subject(text);
    const groups = subject.finder.find(subject.symbols, 0)?.groups;
    if (groups === undefined) return undefined;
    return Array.from({ length: this.groupCount + 1 }, (_, group) => {
      const symbols = groups[group];
      return symbols === undefined ? undefined : subject.show(symbols);
    });
  }

  private rewriteAll(text: string, rewrite: Rewrite): string {
    const { symbols, finder, show } = this.subject(text);
    let out = '';
    let from = 0;
    let lastEnd = -1;
    while (from <= symbols.length) {
      const found = finder.find(symbols, from);
      if (found === undefined) break;
      out += show(symbols.slice(from, found.start));
      if (found.start === lastEnd && found.end === lastEnd) {
        // RE2 takes no empty match right behind the match before.
        from = found.start + symbolLength(symbols, found.start);
        out += show(symbols.slice(found.start, from));
        continue;
      }
      for (const part of rewrite) out += typeof part === 'string' ? part : show(found.groups[part] ?? '');
      from = found.end;
      lastEnd = found.end;
    }
    return lastEnd < 0 ? text : out + show(symbols.slice(from));
  }

  private subject(text: string): Subject {
    if (this.isPlain(text)) return { symbols: text, finder: this.finder as Finder, show: asIs };
    const bytes = isBytes(text);
    return {
      symbols: decodeSymbols(text),
      finder: this.finderSymbols as Finder,
      show: (symbols) => encodeSymbols(symbols, bytes),
    };
  }

  private prepareFinders(): void {
    this.finder ??= new Finder(this.emit('ascii', true), '');
    this.finderSymbols ??= this.decodes
      ? new Finder(this.emit('symbols', true), `(?:${SYMBOL_SOURCE})*?`)
      : this.finder;
  }

  /** Whether the ASCII form gives the answer for `text`. */
  private isPlain(text: string): boolean {
    if (!this.decodes) return true;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code > 0x7f || (code === 0x0d && this.hidesCarriageReturn)) return false;
    }
    return true;
  }

  private matcher(alphabet: Alphabet, wrap: (source: string) => string): Matcher {
    const emitted = this.emit(alphabet, false);
    return this.checked(() => new Matcher(wrap(emitted.source), '', emitted.optionalParts));
  }

  private emit(alphabet: Alphabet, captures: boolean): EmittedRegex {
    return this.checked(() => emitRegex(this.root, alphabet, captures, MAX_SIZE));
  }

  private checked<T>(make: () => T): T {
    try {
      return make();
    } catch (error) {
      const limit = `at most ${MAX_SIZE} characters and operators when counted repetitions are written out`;
      if (error instanceof RegexTooLarge)
        throw new RegexSyntaxError(this.pattern, 0, 'the pattern is too large', limit);
      throw new RegexSyntaxError(
        this.pattern,
        0,
        `V8 cannot match it in linear time (${String(error)})`,
        limit,
      );
    }
  }
}

/** Places of one match: of the whole, and of each group (−1: it took no part). */
interface Found {
  readonly start: number;
  readonly end: number;
  readonly groups: readonly (string | undefined)[];
}

/** Finds matches one after the other, with their groups. */
class Finder {
  private readonly emitted: EmittedRegex;
  private readonly matcher: Matcher;

  /** @param skip source of what may lie before a match; empty: a plain search. */
  constructor(emitted: EmittedRegex, skip: string) {
    this.emitted = emitted;
    this.matcher = new Matcher(
      `(${skip})(${emitted.source})`,
      skip === '' ? 'g' : 'y',
      emitted.optionalParts,
    );
  }

  find(symbols: string, from: number): Found | undefined {
    const match = this.matcher.exec(symbols, from);
    if (match === null) return undefined;
    const whole = match[2] as string;
    const start = match.index + (match[1] as string).length;
    const groups: (string | undefined)[] = [whole];
    for (let i = 0; i < this.emitted.groups.length; i++) {
      const text = match[i + 3];
      if (text !== undefined) groups[this.emitted.groups[i] as number] = text;
    }
    return { start, end: start + whole.length, groups };
  }
}

/** A text as a {@link Finder} reads it, and the way back. */
interface Subject {
  readonly symbols: string;
  readonly finder: Finder;
  readonly show: (symbols: string) => string;
}

function asIs(text: string): string {
  return text;
}

/**
 * Whether what group `index` captured depends on the engine: JavaScript forgets a group at the beginning of each round of a repetition,
 * RE2 does not.
 */
function isUnstable(node: RegexNode, index: number, repeated: boolean, skippable: boolean): boolean {
  switch (node.kind) {
    case 'concat':
      return node.items.some((item) => isUnstable(item, index, repeated, skippable));
    case 'alternate':
      return node.items.some((item) => isUnstable(item, index, repeated, repeated));
    case 'group':
      return (
        (node.index === index && repeated && skippable) || isUnstable(node.item, index, repeated, skippable)
      );
    case 'repeat': {
      return isUnstable(
        node.item,
        index,
        repeated || node.max > 1,
        repeated && (skippable || node.min === 0),
      );
    }
    default:
      return false;
  }
}

function symbolLength(symbols: string, at: number): number {
  const unit = symbols.charCodeAt(at);
  return unit >= 0xd800 && unit <= 0xdbff ? 2 : 1;
}

function some(node: RegexNode, test: (node: RegexNode) => boolean): boolean {
  if (test(node)) return true;
  switch (node.kind) {
    case 'concat':
    case 'alternate':
      return node.items.some((item) => some(item, test));
    case 'group':
    case 'repeat':
      return some(node.item, test);
    default:
      return false;
  }
}
