// node --conditions dragoman-source packages/load-balancers/subset/bench/subset.bench.ts

import { readLoose, SubsetSchema } from '@dragoman/api';
import type { Host, HostSet, LoadBalancer, MetadataValue } from '@dragoman/core';
import { hostSetOf, loadBalancerContext, pickContext, simpleBalancer, testHost } from '@dragoman/testing';
import { subset } from '../src/index.ts';

const config = readLoose(SubsetSchema, {
  fallback_policy: 'ANY_ENDPOINT',
  subset_selectors: [{ keys: ['version'] }, { keys: ['version', 'stage', 'zone'] }],
  subset_lb_policy: {
    policies: [
      {
        typed_extension_config: {
          name: 'round_robin',
          typed_config: {
            '@type': 'type.googleapis.com/envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin',
          },
        },
      },
    ],
  },
}) as never;

/** Up to 20 versions, and 300 combinations of them with stages and zones. */
function hostOf(index: number): Host {
  const fields = { version: `v${index % 20}`, stage: `s${index % 3}`, zone: index % 5 };
  const metadata = new Map([['envoy.lb', fields]]);
  return testHost(`10.${index >> 16}.${(index >> 8) & 255}.${index & 255}:80`, 1, { metadata });
}

/** Prints the best of five rounds: the others were disturbed. */
function measure(name: string, operations: number, round: () => void): void {
  let best = Number.POSITIVE_INFINITY;
  for (let index = 0; index < 5; index++) {
    const start = performance.now();
    round();
    best = Math.min(best, performance.now() - start);
  }
  console.log(`${name}: ${((best * 1e6) / operations).toFixed(1)} ns`);
}

const balancer = (): LoadBalancer =>
  subset.create(config, loadBalancerContext()).createBalancer(simpleBalancer);
const PICKS = 300_000;
const REQUESTS: [string, Record<string, MetadataValue>][] = [
  ['one key', { version: 'v3' }],
  ['three keys', { zone: 3, stage: 's0', version: 'v3' }],
  ['fallback', { other: 1 }],
];

for (const size of [10, 1000, 10_000]) {
  const hosts = Array.from({ length: size }, (_, index) => hostOf(index));
  const whole = hostSetOf(hosts);
  const without = (list: readonly Host[]): readonly Host[] => list.slice(1);
  const fewer = hostSetOf(without(hosts));
  const unhealthy: HostSet = hostSetOf(hosts, {
    healthyHosts: without(hosts),
    healthyHostsByLocality: [without(hosts)],
  });
  measure(`${size} hosts: build`, 1, () => balancer().update([whole]));
  const built = balancer();
  built.update([whole]);
  const rounds = (other: HostSet) => () => {
    built.update([other]);
    built.update([whole]);
  };
  measure(`${size} hosts: one host lost or found`, 2, rounds(fewer));
  measure(`${size} hosts: one host unhealthy or healthy`, 2, rounds(unhealthy));
  for (const [name, metadataMatch] of REQUESTS) {
    const context = pickContext({ metadataMatch });
    measure(`${size} hosts: pick, ${name}`, PICKS, () => {
      for (let i = 0; i < PICKS; i++) built.choose(context);
    });
  }
}
