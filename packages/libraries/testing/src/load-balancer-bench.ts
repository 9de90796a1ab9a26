import type { Host, LoadBalancerPolicy } from '@dragoman/core';
import { hostSetOf, simpleBalancer, testHost } from './kits/load-balancer.ts';

/** What {@link benchLoadBalancer} measures. */
export interface LoadBalancerBench {
  /** A policy of its own for each list. */
  policy(): LoadBalancerPolicy;
  /** The weight of the host at each index, by a name for the whole list. */
  readonly lists: Readonly<Record<string, (index: number) => number>>;
  /** Default 10, 1,000 and 10,000. */
  readonly sizes?: readonly number[];
  /** Picks of one round. Default 1,000,000 */
  readonly picks?: number;
}

const ROUNDS = 5;
const BUILDS = 20;

/** Prints what a pick, a build and the loss of a host cost, for lists of several sizes. */
export function benchLoadBalancer(bench: LoadBalancerBench): void {
  const { sizes = [10, 1000, 10_000], picks = 1_000_000 } = bench;
  for (const size of sizes)
    for (const [name, weightOf] of Object.entries(bench.lists))
      benchList(`${size} hosts, ${name}`, manyHosts(size, weightOf), bench.policy(), picks);
}

function benchList(name: string, hosts: readonly Host[], policy: LoadBalancerPolicy, picks: number): void {
  const balancer = simpleBalancer(policy);
  const whole = hostSetOf(hosts);
  const fewer = hostSetOf(hosts.slice(1));
  balancer.update([whole]);
  const pick = (): void => {
    for (let i = 0; i < picks; i++) balancer.choose(undefined);
  };
  measure(`${name}: pick`, picks, pick);
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < 10_000; i++) balancer.choose(undefined);
  console.log(`${name}: ${((process.memoryUsage().heapUsed - before) / 10_000).toFixed(1)} bytes a pick`);
  measure(`${name}: build`, BUILDS, () => {
    for (let i = 0; i < BUILDS; i++) balancer.update([{ ...whole }]);
  });
  measure(`${name}: one host lost`, BUILDS, () => {
    for (let i = 0; i < BUILDS; i++) balancer.update([{ ...fewer }]);
  });
  balancer.close?.();
}

function manyHosts(size: number, weightOf: (index: number) => number): Host[] {
  return Array.from({ length: size }, (_, index) =>
    testHost(`10.0.${index >> 8}.${index & 255}:80`, weightOf(index), { activeRequests: index % 3 }),
  );
}

/** Prints the best of a few rounds: the others were disturbed. */
function measure(name: string, operations: number, round: () => void): void {
  let best = Number.POSITIVE_INFINITY;
  for (let index = 0; index < ROUNDS; index++) {
    const start = performance.now();
    round();
    best = Math.min(best, performance.now() - start);
  }
  console.log(`${name}: ${((best * 1e6) / operations).toFixed(1)} ns`);
}
