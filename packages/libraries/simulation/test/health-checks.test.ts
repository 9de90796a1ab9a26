import { httpHealthChecker } from '@dragoman/health-checker-http';
import { describe, expect, test } from 'vitest';
import { constant, type Condition, DEAD, during, ill, SILENT, Simulation } from '../src/index.ts';
import { POLICIES, scene, web } from './support/worlds.ts';

const HOSTS = 10;
const FROM_MS = 20_500;
const UNTIL_MS = 60_500;

describe('active health checks take a host out, and bring it back', () => {
  test.each<[string, Condition]>([
    ['dead', DEAD],
    ['silent', SILENT],
    ['failing', ill({ errorRate: 1 })],
  ])('%s', (_name, condition) => {
    const sim = new Simulation({ seed: 6 });
    const hosts = sim.network.addHosts(HOSTS, (index) => ({
      serviceTime: constant(5),
      roundTrip: constant(1),
      ...(index === 0 ? { condition: during({ fromMs: FROM_MS, untilMs: UNTIL_MS }, condition) } : {}),
    }));
    const { proxy } = scene(sim, [{ hosts }], {
      extensions: [...POLICIES, httpHealthChecker],
      clusters: [
        web({
          connect_timeout: '0.5s',
          common_lb_config: { update_merge_window: '0s' },
          health_checks: [
            {
              timeout: '1s',
              interval: '5s',
              unhealthy_threshold: 2,
              healthy_threshold: 2,
              http_health_check: { path: '/health' },
            },
          ],
        }),
      ],
      route: { timeout: '1s' },
    });
    const clients = sim.addClients({ proxy, ratePerSecond: 100, fromMs: 1000, untilMs: 100_000 });
    const errors = (fromMs: number, untilMs: number): number =>
      clients.results.summary({ fromMs, untilMs }).errorRate;
    sim.runUntil(80_000);
    const before = hosts.map(({ arrived }) => arrived);
    sim.runUntil(110_000);
    expect(errors(0, FROM_MS - 1000)).toBe(0);
    // Found out by the second check that fails: 5 to 10 s and the timeouts later.
    expect(errors(FROM_MS, FROM_MS + 5000)).toBeCloseTo(1 / HOSTS, 1);
    expect(errors(FROM_MS + 13_000, UNTIL_MS)).toBe(0);
    expect(errors(UNTIL_MS, 100_000)).toBe(0);
    expect(proxy.stat('cluster.web.health_check.failure')).toBeGreaterThan(5);
    expect(proxy.stat('cluster.web.membership_healthy')).toBe(HOSTS);
    // Round robin, and as many checks: it has what the others have.
    const since = hosts.map(({ arrived }, index) => arrived - before[index]);
    expect(Math.max(...since) - Math.min(...since)).toBeLessThan(5);
  });
});
