import { addFolds } from './case-fold.ts';

/** The symbol behind the last code point: a byte that is not part of valid UTF-8. */
export const INVALID_BYTE = 0x110000;
export const MAX_CODE_POINT = 0x10ffff;

/** Sorted, disjoint, non-adjacent `[low, high, low, high, …]` of code points; may end with {@link INVALID_BYTE}. */
export type CharSet = readonly number[];

/** Sorts and merges pairs of bounds. */
export function normalise(pairs: readonly number[]): CharSet {
  const order: [number, number][] = [];
  for (let i = 0; i < pairs.length; i += 2) order.push([pairs[i] as number, pairs[i + 1] as number]);
  order.sort((a, b) => a[0] - b[0]);
  const merged: number[] = [];
  for (const [low, high] of order) {
    const last = merged.length - 1;
    if (last > 0 && low <= (merged[last] as number) + 1) {
      if (high > (merged[last] as number)) merged[last] = high;
    } else merged.push(low, high);
  }
  return merged;
}

/** Everything that `set` does not hold, bytes outside UTF-8 included: what is excluded by name stays excluded, the rest is in. */
export function negate(set: CharSet): CharSet {
  const out: number[] = [];
  let next = 0;
  for (let i = 0; i < set.length; i += 2) {
    if ((set[i] as number) > next) out.push(next, (set[i] as number) - 1);
    next = (set[i + 1] as number) + 1;
  }
  if (next <= INVALID_BYTE) out.push(next, INVALID_BYTE);
  return out;
}

/** The part of `set` in `low … high`. */
export function clip(set: CharSet, low: number, high: number): CharSet {
  const out: number[] = [];
  for (let i = 0; i < set.length; i += 2) {
    const from = Math.max(low, set[i] as number);
    const to = Math.min(high, set[i + 1] as number);
    if (from <= to) out.push(from, to);
  }
  return out;
}

/** Adds what differs from a member only in case (Unicode simple case folding). */
export function fold(set: CharSet): CharSet {
  const out = [...set];
  for (let i = 0; i < set.length; i += 2) addFolds(set[i] as number, set[i + 1] as number, out);
  return normalise(out);
}

/** Whether `set` holds anything besides ASCII. */
export function reachesBeyondAscii(set: CharSet): boolean {
  return set.length > 0 && (set[set.length - 1] as number) > 0x7f;
}
