/** Rejections are drawn in ten-thousandths. */
export const ACCURACY = 10_000;

/**
 * How probable it is that a request is rejected: `((n − s/threshold) / (n + 1)) ^ (1/aggression)`, at most `max`. Where the success
 * rate is above the threshold it is 0 or less, or (a root of less than 0) not a number: nothing is rejected then.
 *
 * @param threshold success rate, above 0 to 1
 * @param aggression 1 or more
 * @param max 0 to 1
 */
export function rejectionProbability(
  requests: number,
  successes: number,
  threshold: number,
  aggression: number,
  max: number,
): number {
  const linear = (requests - successes / threshold) / (requests + 1);
  // Also of a runtime threshold of 0: of −∞ an even root would be +∞.
  if (linear === Number.NEGATIVE_INFINITY) return 0;
  return Math.min(aggression === 1 ? linear : linear ** (1 / aggression), max);
}

/** @param draw whole, 0 ≤ draw < 2⁵³ */
export function isRejected(probability: number, draw: number): boolean {
  return ACCURACY * probability > draw % ACCURACY;
}
