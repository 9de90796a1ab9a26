// node --conditions dragoman-source packages/kernel/stats/bench/merge.bench.ts

import { formatPrometheus, formatText, StatsStore, ThreadStats } from '../src/index.ts';

const NAMES = 10_000;
const ROUNDS = 20;

/** Prints the median and the slowest of the rounds after the first five. */
function measure(name: string, run: () => unknown): void {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS + 5; round++) {
    const start = performance.now();
    run();
    if (round >= 5) times.push(performance.now() - start);
  }
  times.sort((one, other) => one - other);
  const [median, slowest] = [times[ROUNDS >> 1], times[ROUNDS - 1]].map((time) =>
    time.toFixed(1).padStart(6),
  );
  console.log(`  ${name.padEnd(28)}${median} ms, at most ${slowest}`);
}

/** Of a hundred stats of each of a hundred clusters: 60 counters, 39 gauges, one histogram of a thousand samples. */
function record(thread: ThreadStats): void {
  for (let index = 0; index < NAMES; index++) {
    const name = `cluster.service_${index % 100}.stat_${index}`;
    const kind = Math.floor(index / 100);
    if (kind < 60) thread.counter(name).add(index);
    else if (kind < 99) thread.gauge(name).set(index);
    else {
      const histogram = thread.histogram(name, 'milliseconds');
      for (let sample = 1; sample <= 1000; sample++) histogram.record(sample);
    }
  }
}

for (const threads of [1, 2, 4]) {
  const store = new StatsStore();
  const all = Array.from({ length: threads }, () => {
    const source = store.attach();
    const thread = new ThreadStats({ announce: (announcement) => source.receive(announcement) });
    record(thread);
    return thread;
  });
  const moving = all.map((thread) => thread.histogram('cluster.service_0.stat_9900', 'milliseconds'));
  store.flush();
  console.log(`${NAMES.toLocaleString('en-US')} names, ${threads} ${threads === 1 ? 'thread' : 'threads'}`);
  measure('/stats', () => formatText(store));
  measure('/stats/prometheus', () => formatPrometheus(store));
  measure('flush', () => {
    for (const histogram of moving) histogram.record(1);
    store.flush();
  });
}
