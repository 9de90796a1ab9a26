import { drawFraction, type FractionalPercent, type Runtime } from '@dragoman/core';
import { readFraction, readNumber } from './runtime/fraction.ts';

/** A runtime that reads a map, which is replaced as a whole: on main with each change, on a worker when main tells of one. */
export class RuntimeValues implements Runtime {
  private merged: ReadonlyMap<string, string>;
  private changes = 0;
  /** Of values that were asked for as fractions; undefined: it is none. */
  private readonly fractions = new Map<string, FractionalPercent | undefined>();

  constructor(values: ReadonlyMap<string, string> = new Map()) {
    this.merged = values;
  }

  /** What there is, for other threads. */
  get values(): ReadonlyMap<string, string> {
    return this.merged;
  }

  replace(values: ReadonlyMap<string, string>): void {
    this.merged = values;
    this.changes++;
    this.fractions.clear();
  }

  get version(): number {
    return this.changes;
  }

  get(key: string): string | undefined {
    return this.merged.get(key);
  }

  /** Rounded down; negative numbers are no values. */
  getInteger(key: string, fallback: number): number {
    const value = readNumber(this.merged.get(key));
    return value === undefined || value < 0 ? fallback : Math.floor(value);
  }

  getNumber(key: string, fallback: number): number {
    return readNumber(this.merged.get(key)) ?? fallback;
  }

  getBoolean(key: string, fallback: boolean): boolean {
    const text = this.merged.get(key);
    if (text === undefined) return fallback;
    const word = text.trim().toLowerCase();
    if (word === 'true') return true;
    if (word === 'false') return false;
    const number = readNumber(word);
    return number === undefined || !Number.isInteger(number) ? fallback : number !== 0;
  }

  featureEnabled(key: string, fallback: FractionalPercent, draw: number): boolean {
    const text = this.merged.get(key);
    if (text === undefined) return drawFraction(fallback, draw);
    if (text === 'true') return true;
    if (text === 'false') return false;
    return drawFraction(this.fractionOf(key, text) ?? fallback, draw);
  }

  private fractionOf(key: string, text: string): FractionalPercent | undefined {
    const known = this.fractions.get(key);
    if (known !== undefined || this.fractions.has(key)) return known;
    const fraction = readFraction(text);
    this.fractions.set(key, fraction);
    return fraction;
  }
}
