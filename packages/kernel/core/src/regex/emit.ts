import { type AssertionKind, isNullable, type RegexNode } from './ast.ts';
import { type CharSet, clip, INVALID_BYTE, normalise } from './char-set.ts';
import { HIDDEN_LINE_ENDS, INVALID_SYMBOLS } from './utf8.ts';

/** What texts the emitted source is for: ASCII only, or decoded symbols (`utf8.ts`). */
export type Alphabet = 'ascii' | 'symbols';

export interface EmittedRegex {
  /** For a RegExp without flags. */
  readonly source: string;
  /** With captures: RE2's group number for each group of the RegExp, from its group 1. A copied group stands several times: the last that matched counts. */
  readonly groups: readonly number[];
  /** Nodes after counted repetitions are written out. */
  readonly size: number;
  /** Parts that may match nothing: V8's backtracking compiler takes exponential time in runs of them. */
  readonly optionalParts: number;
}

/** V8's linear engine copies a counted body itself, up to this many times in all nested counts. */
const MAX_COPIES = 16;

const ASSERTIONS: Readonly<Record<AssertionKind, string>> = {
  'begin-text': '^',
  'end-text': '$',
  'begin-line': '(?m:^)',
  'end-line': '(?m:$)',
  'word-boundary': '\\b',
  'not-word-boundary': '\\B',
};

/** More than `limit` nodes: the pattern is refused. */
export class RegexTooLarge extends Error {}

/** Writes a pattern in JavaScript's syntax, without flags, look-around or anything else that V8's linear engine lacks. */
export function emitRegex(
  root: RegexNode,
  alphabet: Alphabet,
  captures: boolean,
  limit: number,
): EmittedRegex {
  const emitter = new Emitter(alphabet, captures, limit);
  const source = emitter.node(root, MAX_COPIES);
  return { source, groups: emitter.groups, size: emitter.size, optionalParts: emitter.optionalParts };
}

class Emitter {
  readonly groups: number[] = [];
  size = 0;
  optionalParts = 0;
  private readonly alphabet: Alphabet;
  private readonly captures: boolean;
  private readonly limit: number;
  /** Copies which V8 makes of what is being written. */
  private copies = 1;

  constructor(alphabet: Alphabet, captures: boolean, limit: number) {
    this.alphabet = alphabet;
    this.captures = captures;
    this.limit = limit;
  }

  node(node: RegexNode, budget: number): string {
    // A class costs the linear engine a step for each range.
    this.size += this.copies * (node.kind === 'set' ? 1 + (node.set.length >> 5) : 1);
    if (this.size > this.limit) throw new RegexTooLarge();
    switch (node.kind) {
      case 'empty':
        return '(?:)';
      case 'set':
        return this.alphabet === 'ascii' ? asciiSource(node.set) : symbolSource(node.set);
      case 'assertion':
        return ASSERTIONS[node.assertion];
      case 'concat':
        return node.items
          .map((item) =>
            item.kind === 'alternate' ? `(?:${this.node(item, budget)})` : this.node(item, budget),
          )
          .join('');
      case 'alternate':
        if (isNullable(node)) this.optionalParts++;
        return node.items.map((item) => this.node(item, budget)).join('|');
      case 'group':
        if (!this.captures) return `(?:${this.node(node.item, budget)})`;
        this.groups.push(node.index);
        return `(${this.node(node.item, budget)})`;
      case 'repeat':
        return this.repeat(node, budget);
    }
  }

  private repeat(node: RegexNode & { kind: 'repeat' }, budget: number): string {
    const { max, greedy } = node;
    // With a body that matches nothing anywhere a minimum asks for nothing.
    const min = isNullable(node.item, true) ? 0 : node.min;
    const lazy = greedy ? '' : '?';
    if (max === 0) return '(?:)';
    const unbounded = max === Number.POSITIVE_INFINITY;
    // V8 copies the body of `x+` when x may match nothing: then we do, as for a count.
    const copied = min === 1 && unbounded && isNullable(node.item);
    if (min <= 1 && (unbounded || max === 1) && !copied) {
      if (min === 1 && max === 1) return this.body(node.item, budget);
      if (min === 0) this.optionalParts++;
      return `${this.body(node.item, budget)}${min === 1 ? '+' : unbounded ? '*' : '?'}${lazy}`;
    }
    const parts: string[] = [];
    const room = Math.max(1, Math.floor(budget / copiesWithin(node.item, this.captures)));
    for (let left = min; left > 0; left -= room)
      parts.push(this.counted(node.item, Math.min(left, room), budget));
    if (unbounded) {
      this.optionalParts++;
      parts.push(`${this.body(node.item, budget)}*${lazy}`);
    } else {
      for (let left = max - min; left > 0; left -= room) {
        this.optionalParts++;
        const count = Math.min(left, room);
        parts.push(
          count === 1
            ? `${this.body(node.item, budget)}?${lazy}`
            : `${this.copied(node.item, count, budget)}{0,${count}}${lazy}`,
        );
      }
    }
    return parts.join('');
  }

  private counted(item: RegexNode, count: number, budget: number): string {
    return count === 1 ? this.body(item, budget) : `${this.copied(item, count, budget)}{${count}}`;
  }

  private copied(item: RegexNode, count: number, budget: number): string {
    const before = this.copies;
    this.copies = before * count;
    const text = this.body(item, Math.floor(budget / count));
    this.copies = before;
    return text;
  }

  /** `item` as one operand of a quantifier. */
  private body(item: RegexNode, budget: number): string {
    const text = this.node(item, budget);
    const closed =
      item.kind === 'group' ||
      (item.kind === 'set' && (this.alphabet === 'ascii' || !text.startsWith('(?:')));
    return closed ? text : `(?:${text})`;
  }
}

/** The largest product of nested counts in `node`, as far as V8 would copy: what a count around it has to leave room for. */
function copiesWithin(node: RegexNode, captures: boolean): number {
  switch (node.kind) {
    case 'concat':
    case 'alternate':
      return Math.max(1, ...node.items.map((item) => copiesWithin(item, captures)));
    case 'group':
      return copiesWithin(node.item, captures);
    case 'repeat': {
      const count = node.max === Number.POSITIVE_INFINITY ? node.min : node.max;
      return Math.min(MAX_COPIES, Math.max(1, count) * copiesWithin(node.item, captures));
    }
    default:
      return 1;
  }
}

function asciiSource(set: CharSet): string {
  return classSource(clip(set, 0, 0x7f));
}

const classSources = new WeakMap<CharSet, string>();

/** A set over symbols: the basic plane as a class, the others as pairs. */
function symbolSource(set: CharSet): string {
  let source = classSources.get(set);
  if (source !== undefined) return source;
  const pieces: string[] = [];
  const basic = basicUnits(set);
  if (basic.length > 0) pieces.push(classSource(basic));
  const high = clip(set, 0x10000, 0x10ffff);
  for (let i = 0; i < high.length; i += 2) pairSources(high[i] as number, high[i + 1] as number, pieces);
  source =
    pieces.length === 1 && basic.length > 0
      ? (pieces[0] as string)
      : pieces.length === 0
        ? '[]'
        : `(?:${pieces.join('|')})`;
  classSources.set(set, source);
  return source;
}

function basicUnits(set: CharSet): CharSet {
  const pairs = [...clip(set, 0, 0xd7ff), ...clip(set, 0xe000, 0xffff)];
  const units: number[] = [];
  for (let i = 0; i < pairs.length; i += 2) {
    let low = pairs[i] as number;
    const high = pairs[i + 1] as number;
    for (const [point, symbol] of HIDDEN_LINE_ENDS) {
      if (point < low || point > high) continue;
      units.push(symbol, symbol);
      if (point > low) units.push(low, point - 1);
      low = point + 1;
    }
    if (low <= high) units.push(low, high);
  }
  if (set.length > 0 && set[set.length - 1] === INVALID_BYTE) units.push(...INVALID_SYMBOLS);
  return normalise(units);
}

function pairSources(low: number, high: number, pieces: string[]): void {
  const lead = (point: number): number => 0xd800 + ((point - 0x10000) >> 10);
  const trail = (point: number): number => 0xdc00 + ((point - 0x10000) & 0x3ff);
  let from = low;
  while (from <= high) {
    const whole = trail(from) === 0xdc00 && high - from >= 0x3ff;
    // As many whole leads as fit, else the rest of this lead.
    const to = whole
      ? from + Math.floor((high - from + 1) / 0x400) * 0x400 - 1
      : Math.min(high, from | 0x3ff);
    pieces.push(`${classSource([lead(from), lead(to)])}${classSource([trail(from), trail(to)])}`);
    from = to + 1;
  }
}

function classSource(set: CharSet): string {
  if (set.length === 0) return '[]';
  if (set.length === 2 && set[0] === set[1]) return unitSource(set[0] as number);
  let text = '[';
  for (let i = 0; i < set.length; i += 2) {
    const low = set[i] as number;
    const high = set[i + 1] as number;
    text += unitSource(low);
    if (high > low) text += high > low + 1 ? `-${unitSource(high)}` : unitSource(high);
  }
  return `${text}]`;
}

function unitSource(unit: number): string {
  const char = String.fromCharCode(unit);
  if (/[A-Za-z0-9_/ @:;,=&%#~"'<>!]/.test(char)) return char;
  return unit <= 0xff
    ? `\\x${unit.toString(16).padStart(2, '0')}`
    : `\\u${unit.toString(16).padStart(4, '0')}`;
}
