import type { PathStep } from './path.ts';

/** Where something stands in a file, 1-based. */
export interface Place {
  line: number;
  column: number;
}

/** A problem found while reading the text itself, before any meaning. */
export interface SyntaxProblem {
  offset: number;
  message: string;
}

/** A document read from text: plain values, and the way back from a path to its place. */
export interface Source {
  /** Maps without a prototype, lists, strings, numbers, booleans, null. */
  value: unknown;
  /**
   * The offset of what stands at the path, or of its nearest ancestor that is there. `depth` says how many steps were
   * found. For a field: its key when `part` is `key`, else its value.
   */
  find(steps: readonly PathStep[], part: 'key' | 'value'): { offset: number; depth: number };
}

/** The text could not be read as the format it claims to be. */
export class SourceError extends Error {
  readonly problems: readonly SyntaxProblem[];

  constructor(problems: readonly SyntaxProblem[]) {
    super(problems[0]?.message ?? 'unreadable');
    this.problems = problems;
  }
}

/** Line and column (both 1-based, columns in UTF-16 units) of an offset in a text. */
export function placeOf(text: string, offset: number): Place {
  let line = 1;
  let start = 0;
  for (let at = text.indexOf('\n'); at !== -1 && at < offset; at = text.indexOf('\n', start)) {
    line++;
    start = at + 1;
  }
  return { line, column: Math.min(offset, text.length) - start + 1 };
}
