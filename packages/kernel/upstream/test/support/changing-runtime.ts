import { drawFraction, emptyRuntime, type Runtime } from '@dragoman/core';

/** A runtime whose values a test changes. */
export interface ChangingRuntime extends Runtime {
  /** `undefined` takes a value away. */
  set(key: string, value: string | undefined): void;
}

export function changingRuntime(initial: Readonly<Record<string, string>> = {}): ChangingRuntime {
  const values = new Map(Object.entries(initial));
  let version = 1;
  const number = (key: string, fallback: number) => Number(values.get(key) ?? fallback);
  return {
    ...emptyRuntime,
    get version() {
      return version;
    },
    get: (key) => values.get(key),
    getInteger: number,
    getNumber: number,
    featureEnabled: (key, fallback, draw) =>
      drawFraction({ numerator: number(key, fallback.numerator), denominator: fallback.denominator }, draw),
    set(key, value) {
      if (value === undefined) values.delete(key);
      else values.set(key, value);
      version++;
    },
  };
}
