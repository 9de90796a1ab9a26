import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
import type { Counter, StatsScope } from '@dragoman/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatText, StatsStore, type StatsAnnouncement, ThreadStats } from '../src/index.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Everything unreachable is collected, and whoever wants to know of it knows. */
async function collect(): Promise<void> {
  for (let round = 0; round < 3; round++) {
    // References of the present turn keep what they were used on.
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
  }
  await new Promise((resolve) => setImmediate(resolve));
}

function threadOf(store: StatsStore) {
  const source = store.attach();
  return { stats: new ThreadStats({ announce: (announcement) => source.receive(announcement) }), source };
}

/** Every kind of stat, used. */
function use(scope: StatsScope): void {
  scope.counter('c').add(3);
  scope.gauge('g').set(4);
  scope.histogram('h').record(5);
  scope.histogram('h').record(5000);
  scope.textReadout('t').set('text');
  scope.scope('below').counter('c').inc();
}

describe('a lease', () => {
  it('takes what was made through it along', () => {
    const store = new StatsStore();
    const { stats } = threadOf(store);
    stats.counter('stays').inc();
    const lease = stats.lease();
    use(lease.stats.scope('cluster.a.'));
    lease.stats.counter('single').inc();
    expect(store.counters.get('cluster.a.below.c')?.value).toBe(1);
    lease.release();
    expect(formatText(store)).toBe('stays: 1\n');
    expect(store.textReadouts.size).toBe(0);
    lease.release();
    expect(formatText(store)).toBe('stays: 1\n');
  });

  it('leaves a scope to others that have a lease of it, with all that was counted', () => {
    const store = new StatsStore();
    const { stats } = threadOf(store);
    const [old, next] = [stats.lease(), stats.lease()];
    use(old.stats.scope('cluster.a'));
    const handle = next.stats.scope('cluster.a').counter('c');
    old.release();
    handle.inc();
    // One that only the old version has made.
    expect(store.counters.get('cluster.a.below.c')?.value).toBe(1);
    expect(store.counters.get('cluster.a.c')?.value).toBe(4);
    next.release();
    expect(store.counters.size + store.gauges.size + store.histograms.size).toBe(0);
  });

  it('begins at 0 when the name comes back', () => {
    const store = new StatsStore();
    const { stats } = threadOf(store);
    for (let round = 0; round < 3; round++) {
      const lease = stats.lease();
      use(lease.stats.scope('cluster.a'));
      store.flush();
      expect(store.counters.get('cluster.a.c')).toMatchObject({ value: 3, delta: 3 });
      expect(store.histograms.get('cluster.a.h')?.cumulative.sampleCount).toBe(2);
      expect(store.gauges.get('cluster.a.g')?.value).toBe(4);
      lease.release();
    }
  });

  it('keeps nothing that was made outside of it as well', () => {
    const store = new StatsStore();
    const { stats } = threadOf(store);
    const lease = stats.lease();
    const counter = lease.stats.scope('cluster.a').counter('c');
    expect(stats.counter('cluster.a.c')).toBe(counter);
    lease.release();
    counter.inc();
    expect(formatText(store)).toBe('cluster.a.c: 1\n');
  });

  it('shares a name that two scopes arrive at', () => {
    const store = new StatsStore();
    const { stats } = threadOf(store);
    const [outer, inner] = [stats.lease(), stats.lease()];
    outer.stats.scope('cluster.a').counter('b.c').inc();
    inner.stats.scope('cluster.a.b').counter('c').inc();
    outer.stats.scope('cluster.a').counter('d').inc();
    outer.release();
    expect(formatText(store)).toBe('cluster.a.b.c: 2\n');
    inner.release();
    expect(formatText(store)).toBe('');
  });

  it('of another lease’s scope is one of its own, and root is nobody’s', () => {
    const store = new StatsStore();
    const { stats } = threadOf(store);
    const lease = stats.lease();
    const scope = lease.stats.scope('a');
    const other = scope.lease();
    other.stats.scope('b').counter('c').inc();
    scope.root.counter('d').inc();
    expect(scope.root).toBe(stats.scope('x').root);
    lease.release();
    expect(formatText(store)).toBe('a.b.c: 1\nd: 1\n');
    other.release();
    expect(formatText(store)).toBe('d: 1\n');
  });

  it('lets whoever is late count for nobody', () => {
    const store = new StatsStore();
    const { stats } = threadOf(store);
    const lease = stats.lease();
    const scope = lease.stats.scope('a');
    const text = scope.textReadout('t');
    const histogram = scope.histogram('h');
    lease.release();
    text.set('late');
    histogram.record(1);
    use(scope);
    use(lease.stats.scope('b'));
    const late = scope.gauge('late');
    late.set(2);
    expect(late.value()).toBe(2);
    expect(formatText(store)).toBe('');
    expect(store.textReadouts.size).toBe(0);
    const again = stats.lease();
    const known = again.stats.scope('a').textReadout('t');
    text.set('late again');
    expect(store.textReadouts.get('a.t')?.used).toBe(false);
    known.set('new');
    expect(store.textReadouts.get('a.t')?.value).toBe('new');
  });

  it('passes over what stats_matcher rejects', () => {
    const store = new StatsStore({ matcher: { exclusionList: [{ suffix: '.c' }] } });
    const stats = store.createThread();
    const lease = stats.lease();
    use(lease.stats.scope('a'));
    expect([...store.counters.keys()]).toEqual([]);
    lease.release();
    expect(formatText(store)).toBe('');
  });
});

describe('over several threads', () => {
  it('a scope stays as long as one of them has a lease, and its counters never fall', () => {
    const store = new StatsStore();
    const threads = [threadOf(store), threadOf(store), threadOf(store)];
    const leases = threads.map(({ stats }) => {
      const lease = stats.lease();
      use(lease.stats.scope('cluster.a'));
      return lease;
    });
    store.flush();
    leases.forEach((lease, index) => {
      expect(store.counters.get('cluster.a.c')?.value).toBe(9);
      expect(store.gauges.get('cluster.a.g')?.value).toBe(4 * (3 - index));
      store.flush();
      expect(store.counters.get('cluster.a.c')?.delta).toBe(0);
      expect(store.histograms.get('cluster.a.h')?.cumulative.sampleCount).toBe(6);
      lease.release();
    });
    expect(formatText(store)).toBe('');
  });

  it('what a thread that has ended had alone waits for the one that takes its place', () => {
    const store = new StatsStore();
    const dying = threadOf(store);
    for (const name of ['cluster.a', 'cluster.b']) use(dying.stats.lease().stats.scope(name));
    dying.source.detach();
    expect(store.counters.get('cluster.b.c')?.value).toBe(3);
    const next = threadOf(store);
    const lease = next.stats.lease();
    lease.stats.scope('cluster.a').counter('c').inc();
    store.forgetLost();
    expect(store.counters.get('cluster.a.c')?.value).toBe(4);
    expect(store.counters.get('cluster.b.c')).toBeUndefined();
    lease.release();
    expect(formatText(store)).toBe('');
  });

  it('values of another process keep no name', () => {
    const store = new StatsStore();
    const { stats } = threadOf(store);
    const lease = stats.lease();
    lease.stats.scope('cluster.a').counter('c').inc();
    const { stats: imported, detach } = store.createImport();
    imported.counter('cluster.a.c').add(10);
    imported.counter('elsewhere').add(1);
    expect(store.counters.get('cluster.a.c')?.value).toBe(11);
    lease.release();
    imported.counter('cluster.a.c').add(10);
    expect(formatText(store)).toBe('elsewhere: 1\n');
    detach();
    expect(formatText(store)).toBe('elsewhere: 1\n');
  });

  it('a derived gauge goes with whoever derives it', () => {
    const store = new StatsStore();
    const { stats } = threadOf(store);
    const lease = stats.lease();
    lease.stats.scope('a').gauge('g').set(1);
    const end = store.deriveGauge('a.g', () => 7);
    lease.release();
    expect(store.gauges.get('a.g')?.value).toBe(7);
    end();
    expect(store.gauges.size).toBe(0);
  });
});

describe('slots', () => {
  it('are used again', async () => {
    const store = new StatsStore();
    const { stats } = threadOf(store);
    stats.counter('stays').add(42);
    const before = stats.usedSlots;
    const round = (name: string): void => {
      const lease = stats.lease();
      const scope = lease.stats.scope(name);
      for (let index = 0; index < 500; index++) scope.counter(`c${index}`).add(index);
      use(scope);
      store.flush();
      expect(store.counters.get(`${name}.c499`)?.value).toBe(499);
      expect(store.counters.get(`${name}.c0`)).toMatchObject({ value: 0, used: true });
      expect(store.histograms.get(`${name}.h`)?.cumulative.sampleCount).toBe(2);
      lease.release();
    };
    round('first');
    const bytes = stats.byteLength;
    for (let index = 0; index < 12; index++) {
      await collect();
      expect(stats.usedSlots).toBe(before);
      round(`scope_${index}`);
    }
    expect(stats.byteLength).toBe(bytes);
    expect(store.byteLength).toBe(bytes);
    expect(formatText(store)).toBe('stays: 42\n');
  });

  it('are left to handles that somebody still has', async () => {
    const store = new StatsStore();
    const { stats } = threadOf(store);
    const handles = (() => {
      const lease = stats.lease();
      const scope = lease.stats.scope('old');
      const made = { counter: scope.counter('c'), gauge: scope.gauge('g'), histogram: scope.histogram('h') };
      for (let index = 0; index < 10; index++) scope.counter(`other${index}`);
      lease.release();
      return made;
    })();
    await collect();
    // Those of the ten, and no more.
    expect(stats.usedSlots).toBeGreaterThan(0);
    const scope = stats.lease().stats.scope('new');
    const counters = Array.from({ length: 30 }, (_, index) => scope.counter(`c${index}`));
    const histogram = scope.histogram('h');
    handles.counter.add(1000);
    handles.gauge.set(1000);
    for (const value of [1, 10, 100, 1000]) handles.histogram.record(value);
    store.flush();
    expect(counters.map((counter) => counter.value())).toEqual(new Array(30).fill(0));
    histogram.record(7);
    store.flush();
    expect(store.histograms.get('new.h')?.cumulative.sampleCount).toBe(1);
    expect(handles.counter.value()).toBe(1000);
  });

  it('are not used again before main has let go of them', async () => {
    const store = new StatsStore();
    const { port1, port2 } = new MessageChannel();
    const stats = new ThreadStats({ announce: (announcement) => port1.postMessage(announcement) });
    const source = store.attach();
    const deliver = (): void => {
      for (let next = receiveMessageOnPort(port2); next !== undefined; next = receiveMessageOnPort(port2))
        source.receive(next.message as StatsAnnouncement);
    };
    const fill = (name: string, value: number) => {
      const lease = stats.lease();
      const scope = lease.stats.scope(name);
      for (let index = 0; index < 100; index++) scope.counter(`c${index}`).add(value);
      return lease;
    };
    // A release that main hears of before there is any memory counts as well.
    const empty = stats.lease();
    empty.stats.scope('empty');
    empty.release();
    const old = fill('old', 1);
    deliver();
    old.release();
    await collect();
    const next = fill('next', 1000);
    // Main still thinks that the old ones are there.
    expect(store.counters.get('old.c50')?.value).toBe(1);
    deliver();
    expect([...store.counters.keys()].filter((name) => name.startsWith('old.'))).toEqual([]);
    expect(store.counters.get('next.c50')?.value).toBe(1000);
    const slots = stats.usedSlots;
    next.release();
    deliver();
    await collect();
    fill('last', 5);
    deliver();
    expect(stats.usedSlots).toBe(slots);
    expect(store.counters.get('last.c99')?.value).toBe(5);
    expect(stats.byteLength).toBe(32_768);
    port1.close();
    port2.close();
  });

  it('hold what a plain account says, whatever comes and goes', async () => {
    const step = fc.record({
      thread: fc.nat({ max: 2 }),
      scope: fc.constantFrom('a', 'b', 'a.b'),
      action: fc.constantFrom('lease', 'count', 'count', 'count', 'release', 'collect'),
      amount: fc.integer({ min: 1, max: 1000 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const store = new StatsStore();
        const threads = [0, 1, 2].map(() => ({ ...threadOf(store), leases: new Map<string, () => void>() }));
        const handles = new Map<string, Counter>();
        const account = new Map<string, number>();
        for (const { thread, scope, action, amount } of steps) {
          const { stats, leases } = threads[thread]!;
          const key = `${thread} ${scope}`;
          if (action === 'lease' && !leases.has(scope)) {
            const lease = stats.lease();
            handles.set(key, lease.stats.scope(scope).counter('x.c'));
            leases.set(scope, () => lease.release());
            account.set(scope, account.get(scope) ?? 0);
          } else if (action === 'count') {
            handles.get(key)?.add(amount);
            if (leases.has(scope)) account.set(scope, account.get(scope)! + amount);
          } else if (action === 'release' && leases.has(scope)) {
            leases.get(scope)?.();
            leases.delete(scope);
            if (!threads.some((other) => other.leases.has(scope))) account.delete(scope);
          } else if (action === 'collect' && amount < 100) await collect();
        }
        const seen = [...store.counters.values()].map(({ name, value }) => [name, value]);
        const expected = [...account].map(([scope, value]) => [`${scope}.x.c`, value]);
        expect(seen.sort()).toEqual(expected.sort());
      }),
      { numRuns: 60 },
    );
  });
});
