import { drawFraction, type FractionalPercent, type Runtime } from '@dragoman/core';

/** A runtime that reads a map, which is replaced as a whole: on main with each change, on a worker when main tells of one. */
export class RuntimeValues implements Runtime {
  private merged: ReadonlyMap<string, string>;
  private changes = 0;

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
  }

  get version(): number {
    return this.changes;
  }

  get(key: string): string | undefined {
    return this.merged.get(key);
  }

  getInteger(key: string, fallback: number): number {
    const value = this.getNumber(key, Number.NaN);
    return Number.isInteger(value) ? value : fallback;
  }

  getNumber(key: string, fallback: number): number {
    const text = this.merged.get(key);
    const value = text === undefined || text === '' ? Number.NaN : Number(text);
    return Number.isFinite(value) ? value : fallback;
  }

  getBoolean(key: string, fallback: boolean): boolean {
    const value = this.merged.get(key)?.toLowerCase();
    return value === 'true' ? true : value === 'false' ? false : fallback;
  }

  featureEnabled(key: string, fallback: FractionalPercent, draw: number): boolean {
    const text = this.merged.get(key);
    if (text === undefined) return drawFraction(fallback, draw);
    if (text === 'true') return true;
    if (text === 'false') return false;
    return drawFraction(readFraction(text) ?? fallback, draw);
  }
}

const DENOMINATORS = { HUNDRED: 100, TEN_THOUSAND: 10_000, MILLION: 1_000_000 } as const;

/** A percentage (`25`), or a FractionalPercent as JSON. */
function readFraction(text: string): FractionalPercent | undefined {
  if (/^\d+$/.test(text)) return { numerator: Number(text), denominator: 100 };
  try {
    const { numerator, denominator = 'HUNDRED' } = JSON.parse(text) as {
      numerator?: unknown;
      denominator?: string;
    };
    const parts = DENOMINATORS[denominator as keyof typeof DENOMINATORS];
    return typeof numerator === 'number' && parts !== undefined
      ? { numerator, denominator: parts }
      : undefined;
  } catch {
    return undefined;
  }
}
