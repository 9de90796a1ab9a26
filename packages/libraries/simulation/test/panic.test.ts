import { HealthFlag } from '@dragoman/core';
import { describe, expect, test } from 'vitest';
import { constant, DEAD, type SimHost, Simulation } from '../src/index.ts';
import { scene, send, web } from './support/worlds.ts';

const HOSTS = 10;
const ROUND = 200;

/** Requests that came to hosts which are known to be dead, for each number of them: on the way down, then up again. */
function walk(threshold: number) {
  const sim = new Simulation({ seed: 5 });
  const hosts = sim.network.addHosts(HOSTS, { serviceTime: constant(5) });
  const { proxy, list, publish } = scene(sim, [{ hosts }], {
    clusters: [web({ common_lb_config: { healthy_panic_threshold: { value: threshold } } })],
  });
  const dead = new Set<SimHost>();
  const kill = (host: SimHost): void => {
    dead.add(host);
    host.model = { serviceTime: constant(5), condition: () => DEAD };
    list.setFlags(host, HealthFlag.failed_active_hc);
  };
  const revive = (host: SimHost): void => {
    dead.delete(host);
    host.model = { serviceTime: constant(5) };
    list.setFlags(host, 0);
  };
  const round = (change: (host: SimHost) => void) => (host: SimHost) => {
    change(host);
    publish();
    const panics = proxy.stat('cluster.web.lb_healthy_panic');
    const statuses = send(sim, proxy, ROUND);
    return {
      healthy: HOSTS - dead.size,
      inPanic: proxy.stat('cluster.web.lb_healthy_panic') - panics,
      failed: statuses.filter((status) => status === 503).length,
    };
  };
  return [...hosts.map(round(kill)), ...[...hosts].reverse().map(round(revive))];
}

/** As long as overprovisioning (140 %) makes up for what is missing, there is no panic, whatever the threshold. */
function isInPanic(healthy: number, threshold: number): boolean {
  const percent = (healthy / HOSTS) * 100;
  return percent < threshold && percent * 1.4 < 100;
}

describe('panic begins below the threshold, and ends at it', () => {
  test.each([50, 30, 100])('%i percent', (threshold) => {
    for (const { healthy, inPanic, failed } of walk(threshold)) {
      const panic = isInPanic(healthy, threshold);
      expect([healthy, inPanic]).toEqual([healthy, panic ? ROUND : 0]);
      // Round robin over all hosts: the dead ones get their share.
      expect([healthy, failed]).toEqual([healthy, panic ? (ROUND * (HOSTS - healthy)) / HOSTS : 0]);
    }
  });

  test('0 percent: never; without a healthy host nothing is sent', () => {
    for (const { healthy, inPanic, failed } of walk(0))
      expect([healthy, inPanic, failed]).toEqual([healthy, 0, healthy === 0 ? ROUND : 0]);
  });
});
