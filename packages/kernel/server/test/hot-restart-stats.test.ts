import { StatsStore } from '@dragoman/stats';
import { describe, expect, it } from 'vitest';
import { CounterExport, StatsImport, type TransferredStats } from '../src/hot-restart/stats-transfer.ts';

/** A process: its stats, and what it tells the next one. */
function process() {
  const store = new StatsStore();
  const stats = store.createThread();
  const exported = new CounterExport(store);
  const told = (): TransferredStats => ({
    ...exported.take(),
    connections: 0,
    uptimeMs: 0,
    generation: 1,
  });
  return { store, stats, exported, told };
}

const counter = (store: StatsStore, name: string) => store.counters.get(name)?.value;
const gauge = (store: StatsStore, name: string) => store.gauges.get(name)?.value;

describe('counters', () => {
  it('are told once: all at first, then what was added', () => {
    const { stats, told } = process();
    stats.counter('a').add(3);
    stats.counter('never');
    expect(told().counters).toEqual([['a', 3]]);
    expect(told().counters).toEqual([]);
    stats.counter('a').add(2);
    stats.counter('b').inc();
    expect(told().counters).toEqual([
      ['a', 2],
      ['b', 1],
    ]);
  });

  it('are told whatever /reset_counters has taken off', () => {
    const { store, stats, told } = process();
    stats.counter('a').add(3);
    told();
    store.resetCounters();
    stats.counter('a').add(4);
    expect(told().counters).toEqual([['a', 4]]);
  });

  it('of a name that was forgotten and has come back are told from 0', () => {
    const { stats, told } = process();
    for (const amount of [5, 3]) {
      const lease = stats.lease();
      lease.stats.scope('cluster.a').counter('c').add(amount);
      expect(told().counters).toEqual([['cluster.a.c', amount]]);
      lease.release();
      expect(told().counters).toEqual([]);
    }
  });

  it('are told anew when whoever was told has failed', () => {
    const { stats, exported, told } = process();
    stats.counter('a').add(3);
    told();
    stats.counter('a').inc();
    exported.forget();
    expect(told().counters).toEqual([['a', 4]]);
    expect(told().counters).toEqual([]);
  });

  it('of a thread that has ended are told still', () => {
    const { store, told } = process();
    const { stats, detach } = store.createImport();
    stats.counter('a').add(3);
    detach();
    expect(told().counters).toEqual([['a', 3]]);
  });

  it('add up from process to process, and never go back', () => {
    const [first, second, third] = [process(), process(), process()];
    first.stats.counter('a').add(5);
    const intoSecond = new StatsImport(second.store);
    intoSecond.add(first.told());
    expect(counter(second.store, 'a')).toBe(5);
    second.stats.counter('a').add(2);
    const intoThird = new StatsImport(third.store);
    intoThird.add(second.told());
    expect(counter(third.store, 'a')).toBe(7);
    // The first one drains: what it counts goes through the second, then, when that has ended, straight to the third.
    first.stats.counter('a').inc();
    intoSecond.add(first.told());
    intoThird.add(second.told());
    first.stats.counter('a').inc();
    intoThird.add(first.told());
    intoSecond.end();
    intoThird.end();
    expect([first, second, third].map(({ store }) => counter(store, 'a'))).toEqual([7, 8, 9]);
  });
});

describe('gauges', () => {
  it('that add up are told as they are; states of one process are not', () => {
    const { stats, told } = process();
    stats.gauge('connections').set(3);
    stats.gauge('state', 'never-import').set(1);
    stats.gauge('open', 'max').set(1);
    stats.gauge('unused');
    expect(told().gauges).toEqual([['connections', 3]]);
    stats.gauge('connections').set(0);
    expect(told().gauges).toEqual([['connections', 0]]);
  });

  it('count for as long as the other process is there', () => {
    const { store, stats } = process();
    stats.gauge('connections').set(2);
    const imported = new StatsImport(store);
    const tell = (gauges: TransferredStats['gauges']) =>
      imported.add({ counters: [], gauges, connections: 0, uptimeMs: 0, generation: 1 });
    tell([['connections', 3]]);
    expect(gauge(store, 'connections')).toBe(5);
    tell([['connections', 1]]);
    expect(gauge(store, 'connections')).toBe(3);
    // No word of it: it is gone there.
    tell([]);
    expect(gauge(store, 'connections')).toBe(2);
    tell([['connections', 4]]);
    imported.end();
    expect(gauge(store, 'connections')).toBe(2);
  });

  it('are what this process makes of them', () => {
    const { store, stats } = process();
    stats.gauge('state', 'never-import').set(1);
    new StatsImport(store).add({
      counters: [],
      gauges: [['state', 7]],
      connections: 0,
      uptimeMs: 0,
      generation: 1,
    });
    expect(gauge(store, 'state')).toBe(1);
  });

  it('that only the other process has are gone with it, counters stay', () => {
    const { store } = process();
    const imported = new StatsImport(store);
    imported.add({
      counters: [['cluster.old.upstream_rq_total', 9]],
      gauges: [['cluster.old.upstream_cx_active', 1]],
      connections: 0,
      uptimeMs: 0,
      generation: 1,
    });
    expect(gauge(store, 'cluster.old.upstream_cx_active')).toBe(1);
    imported.end();
    expect(gauge(store, 'cluster.old.upstream_cx_active')).toBe(0);
    expect(counter(store, 'cluster.old.upstream_rq_total')).toBe(9);
  });
});
