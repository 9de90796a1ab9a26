// node --conditions dragoman-source packages/load-balancers/round-robin/bench/pick.bench.ts

import { create, RoundRobinSchema } from '@dragoman/api';
import type { Host } from '@dragoman/core';
import { loadBalancerContext, testHost } from '@dragoman/testing';
import { roundRobin } from '../src/index.ts';

const hosts = (...weights: number[]): Host[] =>
  weights.map((weight, index) => testHost(`10.0.${index >> 8}.${index & 255}:80`, weight));

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

const policy = roundRobin.create(create(RoundRobinSchema) as never, loadBalancerContext());
const PICKS = 1_000_000;
const BUILDS = 20;

for (const size of [10, 1000, 10_000]) {
  const lists = {
    'equal weights': hosts(...new Array(size).fill(1)),
    'different weights': hosts(...Array.from({ length: size }, (_, index) => 1 + (index % 7))),
  };
  for (const [kind, list] of Object.entries(lists)) {
    const picker = policy.createPicker(list, undefined);
    const fewer = list.slice(1);
    measure(`${size} hosts, ${kind}: pick`, PICKS, () => {
      for (let i = 0; i < PICKS; i++) picker.pick(undefined);
    });
    measure(`${size} hosts, ${kind}: build`, BUILDS, () => {
      for (let i = 0; i < BUILDS; i++) policy.createPicker(list, undefined);
    });
    measure(`${size} hosts, ${kind}: one host lost`, BUILDS, () => {
      for (let i = 0; i < BUILDS; i++) policy.createPicker(fewer, picker);
    });
  }
}
