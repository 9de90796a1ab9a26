// node --conditions dragoman-source packages/load-balancers/ring-hash/bench/pick.bench.ts

import { create, RingHashSchema } from '@dragoman/api';
import type { Host } from '@dragoman/core';
import { loadBalancerContext, pickContext, SeededRandom, testHost } from '@dragoman/testing';
import { ringHash } from '../src/index.ts';

const hosts = (count: number, weight: (index: number) => number): Host[] =>
  Array.from({ length: count }, (_, index) =>
    testHost(`10.0.${index >> 8}.${index & 255}:80`, weight(index)),
  );

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

const PICKS = 200_000;
const BUILDS = 5;
const KEYS = 4096;

const policy = ringHash.create(create(RingHashSchema) as never, loadBalancerContext());
const bounded = ringHash.create(
  create(RingHashSchema, { consistentHashingLbConfig: { hashBalanceFactor: 150 } }) as never,
  loadBalancerContext(),
);
const random = new SeededRandom();
const contexts = Array.from({ length: KEYS }, () =>
  pickContext({ hash: { high: random.next() % 2 ** 32, low: random.next() % 2 ** 32 } }),
);

for (const size of [10, 1000, 10_000]) {
  const list = hosts(size, () => 1);
  const different = hosts(size, (index) => 1 + (index % 7));
  const picker = policy.createPicker(list, undefined);
  measure(`${size} hosts: pick`, PICKS, () => {
    for (let i = 0; i < PICKS; i++) picker.pick(contexts[i % KEYS]);
  });
  const bounds = bounded.createPicker(list, undefined);
  // Every second host has more than its share.
  for (let i = 0; i < size; i += 2) list[i].activeRequests = 3;
  measure(`${size} hosts: pick, bounded load, half of the hosts full`, PICKS, () => {
    for (let i = 0; i < PICKS; i++) bounds.pick(contexts[i % KEYS]);
  });
  measure(`${size} hosts: build`, BUILDS, () => {
    for (let i = 0; i < BUILDS; i++) policy.createPicker(list, undefined);
  });
  measure(`${size} hosts, different weights: build`, BUILDS, () => {
    for (let i = 0; i < BUILDS; i++) policy.createPicker(different, undefined);
  });
  const fewer = list.toSpliced(size >> 1, 1);
  measure(`${size} hosts: one host lost`, BUILDS, () => {
    for (let i = 0; i < BUILDS; i++) policy.createPicker(fewer, picker);
  });
  const after = policy.createPicker(fewer, picker);
  let moved = 0;
  for (let i = 0; i < PICKS; i++) {
    const context = pickContext({ hash: { high: random.next() % 2 ** 32, low: random.next() % 2 ** 32 } });
    if (picker.pick(context) !== after.pick(context)) moved++;
  }
  console.log(`${size} hosts: ${((100 * moved) / PICKS).toFixed(3)} % of the keys move with one host lost`);
}
