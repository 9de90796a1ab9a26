import type { JsonObject } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { during, exponential, ill, Simulation } from '../src/index.ts';
import { scene, web } from './support/worlds.ts';

const HOSTS = 20;
const CALM_MS = 4000;
const BROWN_MS = 8000;
const END_MS = 16_000;
/** Two servers of 50 ms on each host carry 800 a second together. */
const RATE = 480;

/** All hosts take five times as long for a while; tries have 400 ms, and are made up to six times. */
function run(threshold: JsonObject) {
  const sim = new Simulation({ seed: 21 });
  const hosts = sim.network.addHosts(HOSTS, {
    serviceTime: exponential(50),
    servers: 2,
    queueLimit: 30,
    condition: during({ fromMs: CALM_MS, untilMs: BROWN_MS }, ill({ timeFactor: 5 })),
  });
  const { proxy } = scene(sim, [{ hosts }], {
    clusters: [web({ lb_policy: 'LEAST_REQUEST' }, threshold)],
    route: {
      timeout: '5s',
      retry_policy: { retry_on: '5xx,reset', num_retries: 5, per_try_timeout: '0.4s' },
    },
  });
  const clients = sim.addClients({ proxy, ratePerSecond: RATE, untilMs: END_MS });
  const arrived = (): number => hosts.reduce((sum, host) => sum + host.arrived, 0);
  const loadUntil = (untilMs: number): number => {
    const before = arrived();
    const sent = clients.sent;
    sim.runUntil(untilMs);
    return (arrived() - before) / (clients.sent - sent);
  };
  const load = { calm: loadUntil(CALM_MS), brown: loadUntil(BROWN_MS), after: loadUntil(END_MS) };
  sim.runUntil(END_MS + 10_000);
  const { results } = clients;
  return {
    load,
    calm: results.summary({ untilMs: CALM_MS - 1000 }),
    brown: results.summary({ fromMs: CALM_MS, untilMs: BROWN_MS }),
    recovered: results.summary({ fromMs: BROWN_MS + 4000, untilMs: END_MS }),
    overflows: proxy.stat('cluster.web.upstream_rq_retry_overflow'),
  };
}

describe('a brown-out, and tries that are made again', () => {
  test('without a budget the load multiplies, and stays after the cause has gone', () => {
    const { load, calm, brown, recovered } = run({});
    expect(calm.errorRate).toBe(0);
    expect(load.calm).toBeLessThan(1.05);
    expect(load.brown).toBeGreaterThan(3);
    expect(load.after).toBeGreaterThan(3);
    expect(brown.errorRate).toBeGreaterThan(0.5);
    expect(recovered.errorRate).toBeGreaterThan(0.3);
  });

  test.each([10, 20])('a budget of %i percent bounds it, and goodput comes back', (percent) => {
    const { load, recovered, overflows } = run(budget(percent));
    expect(overflows).toBeGreaterThan(100);
    expect(load.brown).toBeLessThan(1 + percent / 100);
    expect(load.after).toBeLessThan(1 + percent / 100);
    expect(recovered.errorRate).toBeLessThan(0.01);
    expect(recovered.attempts).toBeLessThan(1.05);
  });

  /** The budget is a share of what is under way, retries included: p of all are at most p / (1 − p) of first tries. */
  test('a budget of 50 percent may double the load, which is too much here', () => {
    const { load, recovered } = run(budget(50));
    expect(load.after).toBeGreaterThan(1.5);
    expect(load.after).toBeLessThan(1 / (1 - 0.5));
    expect(recovered.errorRate).toBeGreaterThan(0.3);
  });
});

function budget(percent: number): JsonObject {
  return { retry_budget: { budget_percent: { value: percent }, min_retry_concurrency: 3 } };
}
