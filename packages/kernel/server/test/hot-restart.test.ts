import { StatsStore } from '@dragoman/stats';
import type { ParentStats, SupervisorLink } from '@dragoman/supervisor';
import { FakeClock, RecordingLoggers } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { HotRestart } from '../src/hot-restart/hot-restart.ts';
import type { TransferredStats } from '../src/hot-restart/stats-transfer.ts';
import { createServerStats } from '../src/server-stats.ts';

/** Says what a supervisor says, and keeps what it is told. */
class FakeLink implements Partial<SupervisorLink> {
  readonly epoch: number;
  readonly said: string[] = [];
  readonly final: unknown[] = [];
  /** Answers to `takeOverAdmin`. */
  parent: unknown = undefined;
  private readonly questions: ((answer: ParentStats | undefined) => void)[] = [];
  onAdminTakeover: SupervisorLink['onAdminTakeover'] = async () => undefined;
  onParentStats: SupervisorLink['onParentStats'] = () => undefined;
  onDrain: SupervisorLink['onDrain'] = () => {};
  onTerminate: SupervisorLink['onTerminate'] = () => {};
  onResume: SupervisorLink['onResume'] = () => {};
  onParentGone: SupervisorLink['onParentGone'] = () => {};
  onLateStats: SupervisorLink['onLateStats'] = () => {};
  onDisconnect: SupervisorLink['onDisconnect'] = () => {};

  constructor(epoch: number) {
    this.epoch = epoch;
  }

  async takeOverAdmin(): Promise<unknown> {
    this.said.push('takeOverAdmin');
    return this.parent;
  }

  parentStats(): Promise<ParentStats | undefined> {
    this.said.push('parentStats');
    return new Promise((resolve) => this.questions.push(resolve));
  }

  /** Answers the oldest question. */
  async answer(answer: ParentStats | undefined): Promise<void> {
    this.questions.shift()?.(answer);
    await turn();
  }

  live(): void {
    this.said.push('live');
  }

  async exiting(finalStats: unknown): Promise<void> {
    this.said.push('exiting');
    this.final.push(finalStats);
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

function scene(epoch: number, flags = { skipParentStats: false }) {
  const clock = new FakeClock();
  const stats = new StatsStore();
  const thread = stats.createThread();
  const loggers = new RecordingLoggers();
  const link = new FakeLink(epoch);
  const serverStats = createServerStats(thread, clock, 1);
  let connections = 0;
  const hotRestart = new HotRestart(link as unknown as SupervisorLink, {
    stats,
    serverStats,
    activeConnections: () => connections,
    context: { clock },
    log: loggers,
    flags,
  });
  const done: string[] = [];
  const admin = { close: async () => {}, open: async () => {} };
  hotRestart.serve({
    closeAdmin: async () => {
      await admin.close();
      done.push('closeAdmin');
    },
    openAdmin: async () => {
      done.push('openAdmin');
      await admin.open();
    },
    drain: () => done.push('drain'),
    quit: () => done.push('quit'),
  });
  return {
    clock,
    stats,
    thread,
    loggers,
    link,
    hotRestart,
    done,
    admin,
    connect: (count: number) => (connections = count),
    counter: (name: string) => stats.counters.get(name)?.value,
    gauge: (name: string) => stats.gauges.get(name)?.value,
  };
}

const told = (more: Partial<TransferredStats> = {}): TransferredStats => ({
  counters: [],
  gauges: [],
  connections: 0,
  uptimeMs: 0,
  generation: 1,
  ...more,
});

describe('a process that takes over', () => {
  it('has its parent’s counts, connections, generation and age', async () => {
    const { link, hotRestart, clock, counter, gauge } = scene(3);
    clock.advance(500);
    link.parent = told({
      counters: [['a', 5]],
      gauges: [['g', 2]],
      connections: 7,
      uptimeMs: 60_500,
      generation: 9,
    });
    expect(hotRestart.hasParent).toBe(true);
    await hotRestart.takeOver();
    expect([counter('a'), gauge('g')]).toEqual([5, 2]);
    expect(hotRestart.parentConnections).toBe(7);
    expect(hotRestart.uptimeBeforeMs).toBe(60_000);
    expect(gauge('server.hot_restart_epoch')).toBe(3);
    expect(gauge('server.hot_restart_generation')).toBe(10);
    hotRestart.live();
    expect(link.said).toEqual(['takeOverAdmin', 'live']);
  });

  it('asks for more, one question at a time', async () => {
    const { link, hotRestart, counter } = scene(1);
    link.parent = told({ counters: [['a', 5]] });
    await hotRestart.takeOver();
    hotRestart.refresh();
    hotRestart.refresh();
    expect(link.said.filter((what) => what === 'parentStats')).toHaveLength(1);
    await link.answer({ stats: told({ counters: [['a', 2]], connections: 1 }), final: false });
    expect([counter('a'), hotRestart.parentConnections]).toEqual([7, 1]);
    hotRestart.refresh();
    // One that has not answered in time is asked again.
    await link.answer({ stats: undefined, final: false });
    hotRestart.refresh();
    await link.answer({ stats: told({ counters: [['a', 1]] }), final: false });
    expect(counter('a')).toBe(8);
  });

  it('asks a parent again that did not answer at first, and takes what it says late', async () => {
    const { link, hotRestart, counter, gauge } = scene(1);
    await hotRestart.takeOver();
    expect(gauge('server.hot_restart_generation')).toBe(1);
    link.onLateStats(told({ counters: [['a', 5]], generation: 1 }));
    hotRestart.refresh();
    await link.answer({ stats: told({ counters: [['a', 2]] }), final: false });
    expect(counter('a')).toBe(7);
    expect(gauge('server.hot_restart_generation')).toBe(2);
  });

  describe('has the last of it', () => {
    const end = told({ counters: [['a', 3]], gauges: [['g', 1]], connections: 1 });
    const ways: [string, (link: FakeLink, hotRestart: HotRestart) => Promise<void> | void][] = [
      ['told by itself', (link) => link.onParentGone(end, false)],
      [
        'as an answer',
        (link, hotRestart) => {
          hotRestart.refresh();
          return link.answer({ stats: end, final: true });
        },
      ],
    ];
    it.each(ways)('%s', async (_, way) => {
      const { link, hotRestart, counter, gauge } = scene(1);
      link.parent = told({ counters: [['a', 5]], gauges: [['g', 4]], connections: 4 });
      await hotRestart.takeOver();
      await way(link, hotRestart);
      expect([counter('a'), gauge('g'), hotRestart.parentConnections]).toEqual([8, 0, 0]);
      const { length } = link.said;
      hotRestart.refresh();
      expect(link.said).toHaveLength(length);
    });
  });

  it('keeps the counts of a parent that has ended without a word', async () => {
    const { link, hotRestart, counter, gauge } = scene(1);
    link.parent = told({ counters: [['a', 5]], gauges: [['g', 4]] });
    await hotRestart.takeOver();
    hotRestart.refresh();
    await link.answer(undefined);
    expect([counter('a'), gauge('g')]).toEqual([5, 0]);
  });

  it('asks the parent’s parent when that one is still there', async () => {
    const { link, hotRestart, counter, gauge } = scene(2);
    link.parent = told({ counters: [['a', 5]], gauges: [['g', 3]], generation: 2 });
    await hotRestart.takeOver();
    link.onParentGone(told({ counters: [['a', 1]], gauges: [['g', 1]], generation: 2 }), true);
    expect([counter('a'), gauge('g')]).toEqual([6, 1]);
    hotRestart.refresh();
    await link.answer({
      stats: told({ counters: [['a', 2]], gauges: [['g', 2]], generation: 1 }),
      final: false,
    });
    expect([counter('a'), gauge('g'), gauge('server.hot_restart_generation')]).toEqual([8, 2, 3]);
  });

  it('--skip-hot-restart-parent-stats: counts from 0, and knows of the connections', async () => {
    const { link, hotRestart, counter, gauge } = scene(1, { skipParentStats: true });
    link.parent = told({ counters: [['a', 5]], gauges: [['g', 3]], connections: 2, generation: 4 });
    await hotRestart.takeOver();
    expect([counter('a'), gauge('g')]).toEqual([undefined, undefined]);
    expect(hotRestart.parentConnections).toBe(2);
    expect(gauge('server.hot_restart_generation')).toBe(5);
  });
});

describe('a process that hands over', () => {
  it('closes its admin interface before it tells', async () => {
    const { link, thread, clock, connect, done, admin } = scene(0);
    thread.counter('a').add(4);
    admin.close = async () => thread.counter('a').inc();
    clock.advance(1500);
    connect(2);
    const stats = (await link.onAdminTakeover()) as TransferredStats;
    expect(done).toEqual(['closeAdmin']);
    expect(stats).toMatchObject({ connections: 2, uptimeMs: 1500, generation: 1 });
    expect(stats.counters).toEqual([['a', 5]]);
    thread.counter('a').inc();
    expect(link.onParentStats()).toMatchObject({ counters: [['a', 1]] });
  });

  it('tells the age of all before it', async () => {
    const { link, hotRestart, clock } = scene(1);
    link.parent = told({ uptimeMs: 10_000, generation: 3 });
    await hotRestart.takeOver();
    clock.advance(2000);
    expect(await link.onAdminTakeover()).toMatchObject({ uptimeMs: 12_000, generation: 4 });
  });

  it('drains when the next one is live, and ends when told to', () => {
    const { link, done, loggers } = scene(0);
    link.onDrain();
    link.onTerminate();
    expect(done).toEqual(['drain', 'quit']);
    expect(loggers.lines.join()).toContain('the time for draining is over');
  });

  it('tells the last of it when it ends', async () => {
    const { link, thread, hotRestart } = scene(0);
    thread.counter('a').add(4);
    await link.onAdminTakeover();
    thread.counter('a').inc();
    await hotRestart.exiting();
    expect(link.final).toEqual([expect.objectContaining({ counters: [['a', 1]] })]);
  });

  it('with what its own parent is just about to tell', async () => {
    const { link, hotRestart } = scene(1);
    link.parent = told();
    await hotRestart.takeOver();
    hotRestart.refresh();
    const exiting = hotRestart.exiting();
    await turn();
    expect(link.final).toEqual([]);
    await link.answer({ stats: told({ counters: [['a', 6]] }), final: false });
    await exiting;
    expect(link.final).toEqual([expect.objectContaining({ counters: [['a', 6]] })]);
  });
});

describe('when the next process fails', () => {
  it('the admin interface opens again, and the one after is told everything', async () => {
    const { link, thread, done, loggers } = scene(0);
    thread.counter('a').add(4);
    await link.onAdminTakeover();
    link.onResume();
    await turn();
    expect(done).toEqual(['closeAdmin', 'openAdmin']);
    expect(loggers.lines.join()).toContain('has failed: serving on');
    expect(await link.onAdminTakeover()).toMatchObject({ counters: [['a', 4]] });
    expect(done.at(-1)).toBe('closeAdmin');
  });

  it('before it has asked for it, the admin interface has never been closed', async () => {
    const { link, done } = scene(0);
    link.onResume();
    await turn();
    expect(done).toEqual([]);
    await link.onAdminTakeover();
    link.onResume();
    link.onResume();
    await turn();
    expect(done).toEqual(['closeAdmin', 'openAdmin']);
  });

  it('an admin interface that cannot be opened is logged', async () => {
    const { link, admin, loggers } = scene(0);
    admin.open = async () => {
      throw new Error('taken');
    };
    await link.onAdminTakeover();
    link.onResume();
    await turn();
    expect(loggers.lines.join()).toContain('cannot open the admin interface again: Error: taken');
  });
});

it('a supervisor that is gone is logged', () => {
  const { link, loggers } = scene(0);
  link.onDisconnect();
  expect(loggers.lines.join()).toContain('the supervisor is gone');
});
