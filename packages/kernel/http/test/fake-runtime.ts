import { drawFraction, type Runtime } from '@dragoman/core';

/** A runtime of numbers and booleans, which a test may change. Fractions are percentages. */
export class FakeRuntime implements Runtime {
  version = 0;
  readonly values: Record<string, number | boolean>;

  constructor(values: Readonly<Record<string, number | boolean>> = {}) {
    this.values = { ...values };
  }

  set(key: string, value: number | boolean): void {
    this.values[key] = value;
    this.version++;
  }

  get(key: string): string | undefined {
    return key in this.values ? String(this.values[key]) : undefined;
  }

  getInteger(key: string, fallback: number): number {
    return Number(this.values[key] ?? fallback);
  }

  getNumber(key: string, fallback: number): number {
    return this.getInteger(key, fallback);
  }

  getBoolean(key: string, fallback: boolean): boolean {
    return Boolean(this.values[key] ?? fallback);
  }

  featureEnabled: Runtime['featureEnabled'] = (key, fallback, draw) => {
    const value = this.values[key];
    return drawFraction(
      value === undefined ? fallback : { numerator: Number(value), denominator: 100 },
      draw,
    );
  };
}
