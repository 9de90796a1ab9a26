import { describe, expect, it } from 'vitest';
import { ENVOY_STATS, formatJson, formatText, StatsStore } from '../src/index.ts';

function sample(): StatsStore {
  const store = new StatsStore();
  const stats = store.createThread();
  stats.gauge('b.gauge').set(2);
  stats.counter('c.counter').add(1);
  stats.counter('a.counter').add(3);
  stats.textReadout('z.text').set('hello');
  stats.histogram('a.histogram').record(1);
  stats.histogram('b.histogram');
  return store;
}

describe('text', () => {
  it('has text readouts, counters and gauges, histograms, each sorted', () => {
    expect(formatText(sample())).toBe(
      'z.text: "hello"\na.counter: 3\nb.gauge: 2\nc.counter: 1\n' +
        'a.histogram: No recorded values\nb.histogram: No recorded values\n',
    );
  });

  it.each([
    ['Counters', 'a.counter: 3\nc.counter: 1\n'],
    ['Gauges', 'b.gauge: 2\n'],
    ['TextReadouts', 'z.text: "hello"\n'],
  ] as const)('of type %s', (type, expected) => {
    expect(formatText(sample(), { type })).toBe(expected);
  });

  it('keeps names that the filter finds', () => {
    expect(formatText(sample(), { filter: /^[ab]\.[cg]/ })).toBe('a.counter: 3\nb.gauge: 2\n');
  });
});

describe('JSON', () => {
  it('has one list, histograms last', () => {
    const store = sample();
    store.flush();
    const { stats } = JSON.parse(formatJson(store, { filter: /^[abz]\.(counter|gauge|text|histogram)$/ }));
    expect(stats.slice(0, 3)).toEqual([
      { name: 'z.text', value: 'hello' },
      { name: 'a.counter', value: 3 },
      { name: 'b.gauge', value: 2 },
    ]);
    expect(stats[3].histograms.supported_quantiles).toEqual([0, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 100]);
    expect(stats[3].histograms.computed_quantiles.map(({ name }: { name: string }) => name)).toEqual([
      'a.histogram',
      'b.histogram',
    ]);
    expect(stats).toHaveLength(4);
  });

  it.each(['cumulative', 'disjoint'] as const)('has %s buckets', (histogramBuckets) => {
    const store = sample();
    store.flush();
    const { stats } = JSON.parse(formatJson(store, { type: 'Histograms', histogramBuckets }));
    expect(stats[0].histograms[0].name).toBe('a.histogram');
    expect(stats[0].histograms[0].buckets[2]).toEqual({ upper_bound: 5, interval: 1, cumulative: 1 });
  });

  it('has detailed bins', () => {
    const store = sample();
    store.flush();
    const { stats } = JSON.parse(formatJson(store, { type: 'Histograms', histogramBuckets: 'detailed' }));
    expect(stats[0].histograms.details[0].totals).toEqual([{ lower_bound: 1, width: 0.1, count: 1 }]);
  });
});

describe('the table of documented stats', () => {
  it('has each name once', () => {
    const names = ENVOY_STATS.flatMap(({ prefix, stats }) => stats.map(({ name }) => prefix + name));
    expect(new Set(names).size).toBe(names.length);
    expect(names).toContain('cluster.<name>.upstream_rq_total');
    expect(names.every((name) => /^[a-z0-9_.<>]+$/.test(name))).toBe(true);
  });
});
