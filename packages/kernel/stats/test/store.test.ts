import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatText, StatsStore, ThreadStats, type StatsAnnouncement, CHUNK_SLOTS } from '../src/index.ts';

describe('scopes', () => {
  it('joins prefixes, ignores a trailing dot and replaces colons', () => {
    const root = new StatsStore().createThread();
    const cluster = root.scope('cluster.').scope('a:b.');
    expect(cluster.prefix).toBe('cluster.a:b');
    expect(cluster.counter('upstream_rq_total').name).toBe('cluster.a_b.upstream_rq_total');
    expect(root.scope('').gauge('x').name).toBe('x');
  });

  it('cannot be made to write lines of their own', () => {
    const store = new StatsStore();
    store.createThread().scope('cluster.a\nserver.live: 0').counter('c').inc();
    expect(formatText(store)).toBe('cluster.a_server.live_ 0.c: 1\n');
  });

  it('gives the same stat for the same name, whatever the way', () => {
    const root = new StatsStore().createThread();
    expect(root.scope('a').scope('b').counter('c')).toBe(root.counter('a.b.c'));
    expect(root.scope('a').gauge('b')).toBe(root.gauge('a.b'));
    expect(root.scope('a').histogram('b')).toBe(root.histogram('a.b'));
    expect(root.scope('a').textReadout('b')).toBe(root.textReadout('a.b'));
  });
});

describe('used', () => {
  it('is what was written, even when it reads zero', () => {
    const store = new StatsStore();
    const stats = store.createThread();
    stats.counter('never');
    stats.gauge('never_too');
    stats.gauge('set_to_zero').set(0);
    stats.gauge('set_to_minus_zero').set(-0);
    const both = stats.gauge('up_and_down');
    both.inc();
    both.dec();
    stats.counter('counted').add(0);
    stats.histogram('empty');
    expect(formatText(store, { usedOnly: true })).toBe(
      'counted: 0\nset_to_minus_zero: 0\nset_to_zero: 0\nup_and_down: 0\n',
    );
    expect(formatText(store)).toContain('never: 0\nnever_too: 0\n');
    expect(formatText(store)).toContain('empty: No recorded values\n');
  });
});

describe('merging', () => {
  it('adds counters and accumulating gauges, takes the largest of max gauges', () => {
    const store = new StatsStore();
    const [one, two] = [store.createThread(), store.createThread()];
    one.counter('c').add(2);
    two.counter('c').add(3);
    one.gauge('g').set(4);
    two.gauge('g').set(5);
    one.gauge('m', 'max').set(-3);
    two.gauge('m', 'max');
    one.gauge('n', 'never-import').set(1);
    two.gauge('n', 'never-import').set(1);
    expect(formatText(store)).toBe('c: 5\ng: 9\nm: -3\nn: 2\n');
  });

  it('keeps counts and samples of a thread that is gone, and drops its gauges', () => {
    const store = new StatsStore();
    const worker = store.attach();
    const stats = new ThreadStats({ announce: (announcement) => worker.receive(announcement) });
    const main = store.createThread();
    main.counter('c').inc();
    main.gauge('g').set(7);
    stats.counter('c').add(4);
    stats.gauge('g').set(100);
    stats.histogram('h').record(12);
    worker.detach();
    store.flush();
    stats.counter('c').add(1000);
    expect(store.counters.get('c')!.value).toBe(5);
    expect(store.gauges.get('g')!.value).toBe(7);
    expect(store.histograms.get('h')!.cumulative.sampleCount).toBe(1);
  });

  it('works through a message port: a name is one message, values are none', () => {
    const store = new StatsStore();
    const { port1, port2 } = new MessageChannel();
    const stats = new ThreadStats({ announce: (announcement) => port1.postMessage(announcement) });
    const counter = stats.counter('c');
    const histogram = stats.histogram('h');
    stats.counter('c');
    const source = store.attach();
    const announcements: StatsAnnouncement[] = [];
    for (let next = receiveMessageOnPort(port2); next !== undefined; next = receiveMessageOnPort(port2)) {
      announcements.push(next.message);
    }
    expect(announcements.map(({ type }) => type)).toEqual(['chunk', 'stat', 'stat']);
    for (const announcement of announcements) source.receive(announcement);
    counter.add(3);
    histogram.record(5);
    expect(receiveMessageOnPort(port2)).toBeUndefined();
    store.flush();
    expect(formatText(store)).toMatch(/^c: 3\nh: P0\(5,5\)/);
    port1.close();
    port2.close();
  });

  it('leaves out bins whose chunk was not announced yet, and finds them at the next flush', () => {
    const store = new StatsStore();
    const source = store.attach();
    const late: StatsAnnouncement[] = [];
    const stats = new ThreadStats({
      announce: (announcement) =>
        announcement.type === 'chunk' && announcement.chunk > 0
          ? late.push(announcement)
          : source.receive(announcement),
    });
    const histogram = stats.histogram('h');
    for (let index = 0; index < CHUNK_SLOTS - 100; index++) stats.counter(`c${index}`);
    histogram.record(5);
    histogram.record(500);
    store.flush();
    expect(store.histograms.get('h')!.cumulative.sampleCount).toBeLessThan(2);
    for (const announcement of late) source.receive(announcement);
    histogram.record(5);
    store.flush();
    expect(store.histograms.get('h')!.cumulative.sampleCount).toBe(3);
  });

  it('of any split over threads is the same as one thread', () => {
    const operation = fc.record({
      thread: fc.nat({ max: 3 }),
      name: fc.constantFrom('a', 'b', 'c'),
      kind: fc.constantFrom('counter', 'gauge', 'histogram'),
      value: fc.oneof(fc.nat({ max: 1_000_000 }), fc.double({ min: 0, max: 1e9, noNaN: true })),
    });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 200 }), fc.boolean(), (operations, kill) => {
        const single = new StatsStore();
        const alone = single.createThread();
        const merged = new StatsStore();
        const sources = [0, 1, 2, 3].map(() => merged.attach());
        const threads = sources.map(
          (source) => new ThreadStats({ announce: (announcement) => source.receive(announcement) }),
        );
        for (const { thread, name, kind, value } of operations) {
          for (const stats of [alone, threads[thread]]) {
            if (kind === 'counter') stats.counter(name).add(Math.floor(value));
            else if (kind === 'gauge') stats.gauge(name).add(Math.floor(value));
            else stats.histogram(name).record(value);
          }
        }
        if (kill) {
          // Counters and samples survive; gauges do not, so take them out of the comparison.
          sources[1].detach();
          single.gauges.clear();
          merged.gauges.clear();
        }
        single.flush();
        merged.flush();
        expect(formatText(merged)).toBe(formatText(single));
        expect(formatText(merged, { usedOnly: true })).toBe(formatText(single, { usedOnly: true }));
      }),
      { numRuns: 100 },
    );
  });
});

describe('flush and reset', () => {
  it('latches what counters gained since the flush before', () => {
    const store = new StatsStore({ wallTime: () => 1234 });
    const counter = store.createThread().counter('c');
    counter.add(5);
    expect(store.flush()).toMatchObject({
      counters: [{ name: 'c', value: 5, delta: 5, used: true }],
      time: 1234,
    });
    counter.add(2);
    store.resetCounters();
    counter.inc();
    expect(store.flush().counters).toEqual([{ name: 'c', value: 1, delta: 3, used: true }]);
    expect(store.flush().counters).toEqual([{ name: 'c', value: 1, delta: 0, used: true }]);
  });
});

describe('stats_matcher', () => {
  it.each([
    [{ rejectAll: true }, []],
    [{ rejectAll: false }, ['cluster.a.x', 'http.b.x', 'server.x']],
    [{ inclusionList: [{ prefix: 'http.' }, { exact: 'server.x' }] }, ['http.b.x', 'server.x']],
    [{ exclusionList: [{ contains: '.B.', ignoreCase: true }] }, ['cluster.a.x', 'server.x']],
    [{ exclusionList: [{ suffix: '.x' }] }, []],
    [{ inclusionList: [{ regex: 'cluster\\.[a-c]\\.x' }] }, ['cluster.a.x']],
  ])('%j', (matcher, expected) => {
    const store = new StatsStore({ matcher });
    const stats = store.createThread();
    const counters = ['cluster.a.x', 'http.b.x', 'server.x'].map((name) => stats.counter(name));
    for (const counter of counters) counter.inc();
    expect([...store.counters.keys()]).toEqual(expected);
    expect(counters.map((counter) => counter.value())).toEqual([1, 1, 1]);
  });
});

describe('recent lookups', () => {
  it('are counted always, named while enabled, the last hundred names', () => {
    const store = new StatsStore();
    const stats = store.createThread();
    stats.counter('before');
    store.recentLookups.enable();
    for (let index = 0; index < 120; index++) stats.scope('s').counter(`c${index}`);
    stats.gauge('s.c119');
    const { counts, total } = store.recentLookups;
    expect(total).toBe(122);
    expect(counts).toHaveLength(100);
    expect(counts[0]).toEqual(['s.c119', 2]);
    expect(counts.some(([name]) => name === 's.c19')).toBe(false);
    store.recentLookups.disable();
    expect(store.recentLookups.counts).toEqual([]);
    store.recentLookups.clear();
    expect(store.recentLookups.total).toBe(0);
  });
});
