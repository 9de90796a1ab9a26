import type { RandomSource } from '@dragoman/core';

/** How long something takes: draws a time in milliseconds, 0 or more. */
export type Latency = (random: RandomSource) => number;

/** Always `ms`. */
export function constant(ms: number): Latency {
  return () => ms;
}

/** Exponential: without memory, the service time of textbook queues. */
export function exponential(meanMs: number): Latency {
  return (random) => drawExponential(meanMs, random);
}

/**
 * Log-normal: most answers near the median, a long tail, as measured of real services.
 *
 * @param sigma of the logarithm: the 99th percentile is the median × e^(2.326 × sigma). Usual: 0.3 (even) to 1 (ragged)
 */
export function lognormal(medianMs: number, sigma: number): Latency {
  return (random) => medianMs * Math.exp(sigma * drawNormal(random));
}

/** One draw of an exponential distribution. */
export function drawExponential(mean: number, random: RandomSource): number {
  return -mean * Math.log(1 - random.random());
}

/** Of the standard normal distribution (Box and Muller; the second of each pair is not used, so that a draw depends on nothing before). */
function drawNormal(random: RandomSource): number {
  const radius = Math.sqrt(-2 * Math.log(1 - random.random()));
  return radius * Math.cos(2 * Math.PI * random.random());
}
