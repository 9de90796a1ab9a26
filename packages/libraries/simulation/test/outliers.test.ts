import { expect, test } from 'vitest';
import { constant, during, ill, Simulation } from '../src/index.ts';
import { scene, web } from './support/worlds.ts';

const HOSTS = 10;
const BAD = 2;
const FAIR = BAD / HOSTS;

/** Two of ten hosts fail from 2 s to 12 s; they are looked at every second, and out for 5 s × how often they were. */
function world(outliers: object) {
  const sim = new Simulation({ seed: 8 });
  const brown = during({ fromMs: 2000, untilMs: 12_000 }, ill({ errorRate: 1, errorTimeMs: 1 }));
  const hosts = sim.network.addHosts(HOSTS, (index) => ({
    serviceTime: constant(20),
    ...(index < BAD ? { condition: brown } : {}),
  }));
  const { proxy } = scene(sim, [{ hosts }], {
    clusters: [
      web({
        outlier_detection: {
          interval: '1s',
          base_ejection_time: '5s',
          max_ejection_percent: 50,
          ...outliers,
        },
        common_lb_config: { update_merge_window: '0s' },
      }),
    ],
  });
  const clients = sim.addClients({ proxy, ratePerSecond: 500, untilMs: 60_000 });
  const bad = hosts.slice(0, BAD);
  const arrived = (): number => bad.reduce((sum, host) => sum + host.arrived, 0);
  return {
    proxy,
    clients,
    /** The bad hosts' share of the requests from now on. */
    share(untilMs: number): number {
      const before = [arrived(), clients.sent];
      sim.runUntil(untilMs);
      return (arrived() - before[0]) / (clients.sent - before[1]);
    },
  };
}

test('hosts that fail are ejected after five errors, return for as many, stay away for longer, and have their share again', () => {
  const { share, clients, proxy } = world({});
  expect(share(2000)).toBeCloseTo(FAIR, 2);
  // Five requests in a row come to a host within a tenth of a second.
  expect(share(2300)).toBeGreaterThan(0);
  expect(share(7000)).toBe(0);
  expect(proxy.stat('cluster.web.outlier_detection.ejections_active')).toBe(BAD);
  // Back at the first look after 5 s, bad still, and away for 10 s.
  expect(share(9000)).toBeGreaterThan(0);
  expect(share(17_000)).toBe(0);
  expect(share(60_000)).toBeGreaterThan(FAIR * 0.9);
  expect(proxy.stat('cluster.web.outlier_detection.ejections_active')).toBe(0);
  expect(proxy.stat('cluster.web.outlier_detection.ejections_enforced_total')).toBe(2 * BAD);
  const errors = clients.results.summary();
  // What came of it: five errors for each ejection, and what was under way then.
  expect(errors.count - errors.ok).toBeGreaterThanOrEqual(2 * BAD * 5);
  expect(errors.count - errors.ok).toBeLessThanOrEqual(2 * BAD * 6);
});

test('no more are ejected than max_ejection_percent', () => {
  const { share, proxy } = world({ max_ejection_percent: 10 });
  share(6000);
  expect(proxy.stat('cluster.web.outlier_detection.ejections_active')).toBe(1);
  expect(proxy.stat('cluster.web.outlier_detection.ejections_overflow')).toBeGreaterThan(0);
  expect(share(7000)).toBeCloseTo(1 / (HOSTS - 1), 2);
});
