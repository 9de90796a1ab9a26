import { drawFraction, type FractionalPercent, type Runtime } from '@dragoman/core';

/**
 * A runtime for checks: values as configured, but a `runtime_fraction` counts only for the one key that a test turns on. There a numerator
 * of 0 reads as 1, so that a route which is off in production can be tested.
 */
export class CheckRuntime implements Runtime {
  /** The key that is on; empty: none. */
  enabledKey = '';
  private readonly values: Runtime;

  constructor(values: Runtime) {
    this.values = values;
  }

  get version(): number {
    return this.values.version;
  }

  get(key: string): string | undefined {
    return this.values.get(key);
  }

  getInteger(key: string, fallback: number): number {
    return this.values.getInteger(key, fallback);
  }

  getNumber(key: string, fallback: number): number {
    return this.values.getNumber(key, fallback);
  }

  getBoolean(key: string, fallback: boolean): boolean {
    return this.values.getBoolean(key, fallback);
  }

  featureEnabled(key: string, fallback: FractionalPercent, draw: number): boolean {
    if (this.enabledKey === '' || key !== this.enabledKey) return false;
    return drawFraction({ ...fallback, numerator: Math.max(fallback.numerator, 1) }, draw);
  }
}
