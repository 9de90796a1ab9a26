/** A fraction: numerator over 100, 10,000 or 1,000,000. */
export interface FractionalPercent {
  readonly numerator: number;
  readonly denominator: 100 | 10_000 | 1_000_000;
}

/** Values which an operator may change while the proxy runs (Envoy: runtime). Reads are cheap and see a snapshot. */
export interface Runtime {
  /** Another number after each change of the values: what was worked out of them holds as long as it stays. */
  readonly version: number;
  /** Undefined when no layer has the key. */
  get(key: string): string | undefined;
  getInteger(key: string, fallback: number): number;
  getNumber(key: string, fallback: number): number;
  getBoolean(key: string, fallback: boolean): boolean;
  /** Draws: true in `fraction` of the cases. A runtime value is a percentage or a FractionalPercent. `draw`: 0 ≤ draw < 2⁵³. */
  featureEnabled(key: string, fallback: FractionalPercent, draw: number): boolean;
}

/** Whether `draw` (0 ≤ draw < 2⁵³) falls into `fraction`. */
export function drawFraction(fraction: FractionalPercent, draw: number): boolean {
  return draw % fraction.denominator < fraction.numerator;
}

/** A runtime that has no values. */
export const emptyRuntime: Runtime = {
  version: 0,
  get: () => undefined,
  getInteger: (_key, fallback) => fallback,
  getNumber: (_key, fallback) => fallback,
  getBoolean: (_key, fallback) => fallback,
  featureEnabled: (_key, fallback, draw) => drawFraction(fallback, draw),
};
