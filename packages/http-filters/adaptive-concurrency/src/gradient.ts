/** One step changes the limit by no more than these factors, headroom aside. */
const MIN_GRADIENT = 0.5;
const MAX_GRADIENT = 2;

/**
 * The factor of the next limit: the minRTT with its buffer, over the latency of the window; 0.5 to 2.
 * @param minRtt µs
 * @param sampleRtt µs; 0, faster than can be measured, is taken for the fastest
 * @param buffer share of the minRTT that is added to it, 0 to 1
 */
export function gradientOf(minRtt: number, sampleRtt: number, buffer: number): number {
  if (sampleRtt === 0) return MAX_GRADIENT;
  return Math.max(MIN_GRADIENT, Math.min(MAX_GRADIENT, (minRtt + minRtt * buffer) / sampleRtt));
}

/** What the limit becomes, and how much of it is headroom for bursts: the square root of the limit without it. */
export function nextLimit(
  limit: number,
  gradient: number,
  min: number,
  max: number,
): { readonly limit: number; readonly headroom: number } {
  const steady = limit * gradient;
  const headroom = Math.sqrt(steady);
  return { limit: Math.max(min, Math.min(max, Math.floor(steady + headroom))), headroom };
}
