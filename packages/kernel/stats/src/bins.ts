/**
 * The log-linear bins of circllhist: two significant decimal digits, so that bin (m, e) with m in 10…99 holds
 * m/10 × 10^e ≤ value < (m+1)/10 × 10^e. A bin is named here by one index: 0 for the value zero, then decade by decade.
 */

/** Bins in a decade: 1.0, 1.1, … 9.9. */
export const BINS_PER_DECADE = 90;
/** The lowest decade begins at 10^-8: a fraction of a nanosecond in seconds. Smaller values count in its first bin. */
export const MIN_EXPONENT = -8;
/** The highest decade begins at 10^15, below 2^53. Larger values count in its last bin. */
export const MAX_EXPONENT = 15;
export const DECADES = MAX_EXPONENT - MIN_EXPONENT + 1;
/** The bin of the value zero. */
export const ZERO_BIN = 0;

const POWERS = Float64Array.from({ length: DECADES + 1 }, (_, index) => 10 ** (MIN_EXPONENT + index));

/** Index of the decade of `value` > 0, 0 … DECADES−1. */
export function decadeOf(value: number): number {
  if (value >= 1) {
    if (value < 10) return -MIN_EXPONENT;
    if (value < 100) return 1 - MIN_EXPONENT;
    if (value < 1000) return 2 - MIN_EXPONENT;
  }
  let decade = Math.floor(Math.log10(value)) - MIN_EXPONENT;
  if (decade >= DECADES) return DECADES - 1;
  if (decade < 0) return 0;
  // log10 may be off by one unit in the last place next to a power of ten.
  if (value < POWERS[decade]) decade--;
  else if (value >= POWERS[decade + 1]) decade++;
  return decade < 0 ? 0 : decade >= DECADES ? DECADES - 1 : decade;
}

/** Position of `value` within its decade, 0 … 89. */
export function binInDecade(value: number, decade: number): number {
  const position = Math.floor((value / POWERS[decade]) * 10) - 10;
  return position < 0 ? 0 : position >= BINS_PER_DECADE ? BINS_PER_DECADE - 1 : position;
}

/** The bin of `value`; anything that is not above zero is zero. */
export function binOf(value: number): number {
  if (!(value > 0)) return ZERO_BIN;
  const decade = decadeOf(value);
  return 1 + decade * BINS_PER_DECADE + binInDecade(value, decade);
}

/** The lower bound of a bin (inclusive). */
export function binLeft(bin: number): number {
  return bin === ZERO_BIN ? 0 : bound(bin, 10);
}

/** The upper bound of a bin (exclusive); 0 for the bin of zero. */
export function binRight(bin: number): number {
  return bin === ZERO_BIN ? 0 : bound(bin, 11);
}

/** A multiple of a power of ten, rounded once: 0.3 and 110, not 0.30000000000000004 and 110.00000000000001. */
function bound(bin: number, first: number): number {
  const index = bin - 1;
  const digits = (index % BINS_PER_DECADE) + first;
  const exponent = Math.floor(index / BINS_PER_DECADE) + MIN_EXPONENT - 1;
  return exponent < 0 ? digits / 10 ** -exponent : digits * 10 ** exponent;
}

/** The width of a bin; 0 for the bin of zero. */
export function binWidth(bin: number): number {
  if (bin === ZERO_BIN) return 0;
  return 10 ** (Math.floor((bin - 1) / BINS_PER_DECADE) + MIN_EXPONENT - 1);
}

/** The value that stands for a bin in a sum: it makes the largest relative error smallest, as circllhist does. */
export function binMidpoint(bin: number): number {
  if (bin === ZERO_BIN) return 0;
  const bottom = binLeft(bin);
  const top = binRight(bin);
  return (2 * bottom * top) / (bottom + top);
}
