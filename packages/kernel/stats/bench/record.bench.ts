// node --conditions dragoman-source packages/kernel/stats/bench/record.bench.ts

import { StatsStore } from '../src/index.ts';

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

const stats = new StatsStore().createThread();
const counters = Array.from({ length: 64 }, (_, index) => stats.counter(`counter.${index}`));
const gauge = stats.gauge('gauge');
const histogram = stats.histogram('histogram', 'milliseconds');
const ROUNDS = 100_000;

measure('Counter.inc', ROUNDS * 64, () => {
  for (let round = 0; round < ROUNDS; round++) for (const counter of counters) counter.inc();
});
measure('Gauge.inc and dec', ROUNDS * 100, () => {
  for (let round = 0; round < ROUNDS * 100; round++) {
    gauge.inc();
    gauge.dec();
  }
});
measure('Histogram.record', ROUNDS * 100, () => {
  for (let round = 0; round < ROUNDS * 100; round++) histogram.record(round & 1023);
});
