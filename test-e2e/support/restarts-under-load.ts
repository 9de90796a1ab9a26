import { setTimeout as delay } from 'node:timers/promises';
import { eventually, refusedPort } from '@dragoman/testing';
import { expect } from 'vitest';
import { address, bootstrap, cluster, httpListener } from './config.ts';
import { CountingUpstream, SteadyLoad } from './steady-load.ts';
import { START_PATIENCE_MS, Supervised } from './supervised.ts';

export interface RestartsUnderLoad {
  readonly restarts: number;
  /** Between one restart and the next, ms. */
  readonly pauseMs: number;
  /** Clients of each kind. */
  readonly clients: number;
  /** Of each client, a second. */
  readonly rate: number;
  readonly drainTimeS: number;
}

/** Restarts one after another under load: no request fails, no counter goes back, and in the end everything is counted once. */
export async function restartUnderLoad(plan: RestartsUnderLoad): Promise<{ readonly requests: number }> {
  await using upstream = await CountingUpstream.start();
  const config = bootstrap([httpListener({})], [cluster('upstream', [upstream.port])], {
    // A fixed one, which each epoch takes over; on an address that no client has, so that none has the port for its own end.
    admin: { address: address(await refusedPort(), '127.0.0.2') },
    stats_flush_interval: '0.1s',
  });
  const flags = ['--concurrency', '2', '--drain-time-s', `${plan.drainTimeS}`];
  await using proxy = await Supervised.serve(config, flags);
  const port = await proxy.port();
  const counters = new CounterWatch(proxy);
  const load = new SteadyLoad({
    target: { port },
    fresh: plan.clients,
    keptAlive: plan.clients,
    rate: plan.rate,
  });
  for (let epoch = 1; epoch <= plan.restarts; epoch++) {
    await delay(plan.pauseMs);
    const { hot_restart_version, ...info } = await proxy.restart(epoch);
    expect(hot_restart_version).toMatch(/^\d+\.\d+$/);
    expect(seconds(info.uptime_all_epochs)).toBeGreaterThanOrEqual(seconds(info.uptime_current_epoch));
    expect(await proxy.port()).toBe(port);
    expect(await proxy.stat('server.hot_restart_epoch')).toBe(epoch);
    expect(await proxy.stat('server.hot_restart_generation')).toBe(epoch + 1);
  }
  await delay(plan.pauseMs);
  await load.stop();
  for (let epoch = 0; epoch < plan.restarts; epoch++) await proxy.untilEnded(epoch);
  expect(load.failures).toEqual([]);
  expect(load.toldToClose).toBeGreaterThan(0);
  expect(counters.setbacks).toEqual([]);
  // Each request once, whichever epoch has served it.
  const requests = load.answered;
  expect(upstream.requests).toBe(requests);
  await eventually(async () => {
    const stats = await proxy.stats(
      '^(http\\.test|cluster\\.upstream|listener\\.127).*(_rq|_cx)',
      'Counters',
    );
    expect({
      requests: stats.get('http.test.downstream_rq_total'),
      answered: stats.get('http.test.downstream_rq_2xx'),
      upstream: stats.get('cluster.upstream.upstream_rq_total'),
      connections: stats.get('http.test.downstream_cx_total'),
      ended: stats.get('http.test.downstream_cx_destroy'),
    }).toEqual({
      requests,
      answered: requests,
      upstream: requests,
      connections: load.connections,
      ended: load.connections,
    });
  }, START_PATIENCE_MS);
  await counters.stop();
  expect(counters.looks).toBeGreaterThan(plan.restarts);
  expect(counters.setbacks).toEqual([]);
  proxy.kill('SIGTERM');
  const { code, stderr } = await proxy.exit;
  expect(code, stderr).toBe(0);
  expect(stderr).not.toMatch(/\[(error|critical)\]/);
  return { requests };
}

/** Looks at every counter again and again, whichever epoch answers. */
class CounterWatch {
  /** What was less than before. */
  readonly setbacks: string[] = [];
  looks = 0;
  private readonly proxy: Supervised;
  private readonly seen = new Map<string, number>();
  private readonly ended: Promise<void>;
  private running = true;

  constructor(proxy: Supervised) {
    this.proxy = proxy;
    this.ended = this.watch();
  }

  async stop(): Promise<void> {
    this.running = false;
    await this.ended;
  }

  private async watch(): Promise<void> {
    while (this.running) {
      const pace = delay(20);
      // Refused while it goes from one epoch to the next.
      const stats = await this.proxy.stats('', 'Counters').catch(() => undefined);
      if (stats !== undefined) this.compare(stats);
      await pace;
    }
  }

  private compare(stats: ReadonlyMap<string, number>): void {
    this.looks++;
    for (const [name, before] of this.seen) {
      const now = stats.get(name);
      if (now === undefined || now < before) this.setbacks.push(`${name}: ${before}, then ${now}`);
    }
    for (const [name, value] of stats) this.seen.set(name, value);
  }
}

const seconds = (duration: string): number => Number.parseInt(duration, 10);
