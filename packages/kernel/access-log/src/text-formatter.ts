import type { LogContext, TextFormatter } from '@dragoman/core';
import { safeText, UNSAFE_IN_TEXT, wideToBytes } from './escape.ts';
import type { Operator } from './operator.ts';
import type { Piece } from './parse.ts';

/** A compiled text format whose values stay as they are: for bodies. */
export class RawText implements TextFormatter {
  private readonly pieces: readonly Piece[];
  private readonly empty: string;

  constructor(pieces: readonly Piece[], omitEmptyValues: boolean) {
    this.pieces = pieces;
    this.empty = omitEmptyValues ? '' : '-';
  }

  format(context: LogContext): string {
    let text = '';
    for (const piece of this.pieces)
      text += typeof piece === 'string' ? piece : wideToBytes(piece.text(context) ?? this.empty);
    return text;
  }
}

/**
 * A compiled text format. Values cannot break the line: control characters in them come out as `\n`, `\r`, `\xHH`.
 */
export class CompiledText implements TextFormatter {
  /** One more than {@link operators}: what stands before, between and after them. */
  private readonly literals: readonly string[];
  private readonly operators: readonly Operator['text'][];
  private readonly empty: string;
  /** True when the literals themselves are safe, but for a newline at the end: then one search checks the whole line. */
  private readonly searchable: boolean;

  constructor(pieces: readonly Piece[], omitEmptyValues: boolean) {
    const literals: string[] = [''];
    const operators: Operator['text'][] = [];
    for (const piece of pieces) {
      if (typeof piece === 'string') literals[literals.length - 1] += piece;
      else {
        operators.push(piece.text);
        literals.push('');
      }
    }
    this.literals = literals;
    this.operators = operators;
    this.empty = omitEmptyValues ? '' : '-';
    const all = literals.join('');
    const end = literals[literals.length - 1] as string;
    this.searchable = !UNSAFE_IN_TEXT.test(end.endsWith('\n') ? all.slice(0, -1) : all);
  }

  format(context: LogContext): string {
    const { literals, operators, empty } = this;
    let line = literals[0] as string;
    for (let i = 0; i < operators.length; i++) {
      line += ((operators[i] as Operator['text'])(context) ?? empty) + (literals[i + 1] as string);
    }
    if (!this.searchable) return this.formatSafely(context);
    // Measured: one search of a line of 170 bytes costs 0.14 µs, a test of each of its seven headers 0.2 µs.
    const unsafe = line.search(UNSAFE_IN_TEXT);
    if (unsafe < 0 || (unsafe === line.length - 1 && this.endsWithNewline(line))) return line;
    return this.formatSafely(context);
  }

  /** Whether the line's last character is the format's own newline. */
  private endsWithNewline(line: string): boolean {
    return (this.literals[this.literals.length - 1] as string).endsWith('\n') && line.endsWith('\n');
  }

  /** As {@link format}, each value checked on its own. */
  private formatSafely(context: LogContext): string {
    let line = this.literals[0] as string;
    for (let i = 0; i < this.operators.length; i++) {
      const value = (this.operators[i] as Operator['text'])(context);
      line += (value === undefined ? this.empty : safeText(value)) + (this.literals[i + 1] as string);
    }
    return line;
  }
}
