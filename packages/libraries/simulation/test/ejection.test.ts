import { HealthFlag } from '@dragoman/core';
import { expect, test } from 'vitest';
import { constant, during, ill, type SimHost, Simulation } from '../src/index.ts';
import { scene } from './support/worlds.ts';

const HOSTS = 10;
const BAD = 2;
const LOOK_MS = 1000;
const EJECTED_MS = 5000;

/** Ejects hosts that failed more often than not since it looked last, for a time that grows with each ejection. */
function watch(
  hosts: readonly SimHost[],
  now: () => number,
  setFlags: (host: SimHost, flags: number) => void,
) {
  const seen = hosts.map(() => ({ failed: 0, arrived: 0, until: 0, times: 0 }));
  return () => {
    for (const [index, host] of hosts.entries()) {
      const record = seen[index];
      const failed = host.failed - record.failed;
      const arrived = host.arrived - record.arrived;
      record.failed = host.failed;
      record.arrived = host.arrived;
      if (record.until > 0 && now() >= record.until) {
        record.until = 0;
        setFlags(host, 0);
      } else if (record.until === 0 && failed * 2 > arrived) {
        record.until = now() + EJECTED_MS * ++record.times;
        setFlags(host, HealthFlag.failed_outlier_check);
      }
    }
  };
}

test('hosts that fail are ejected, come back, and have their share again', () => {
  const sim = new Simulation({ seed: 8 });
  const brown = during({ fromMs: 2000, untilMs: 12_000 }, ill({ errorRate: 1, errorTimeMs: 1 }));
  const hosts = sim.network.addHosts(HOSTS, (index) => ({
    serviceTime: constant(20),
    ...(index < BAD ? { condition: brown } : {}),
  }));
  const { proxy, list, publish } = scene(sim, [{ hosts }]);
  const look = watch(
    hosts,
    () => sim.now,
    (host, flags) => {
      list.setFlags(host, flags);
      publish();
    },
  );
  sim.every(LOOK_MS, look);
  const clients = sim.addClients({ proxy, ratePerSecond: 500, untilMs: 30_000 });
  const share = (untilMs: number): number => {
    const before = hosts.slice(0, BAD).reduce((sum, { arrived }) => sum + arrived, 0);
    const sent = clients.sent;
    sim.runUntil(untilMs);
    return (
      (hosts.slice(0, BAD).reduce((sum, { arrived }) => sum + arrived, 0) - before) / (clients.sent - sent)
    );
  };
  expect(share(2000)).toBeCloseTo(BAD / HOSTS, 2);
  // Until somebody looks.
  expect(share(3000)).toBeCloseTo(BAD / HOSTS, 2);
  expect(share(8000)).toBe(0);
  // Back for one look, still bad, and away for longer.
  expect(share(9000)).toBeCloseTo(BAD / HOSTS, 2);
  expect(share(19_000)).toBe(0);
  expect(share(30_000)).toBeCloseTo(BAD / HOSTS, 2);
  const { results } = clients;
  expect(results.summary({ fromMs: 9001, untilMs: 30_000 }).errorRate).toBe(0);
  expect(results.summary({ fromMs: 2000, untilMs: 3000 }).errorRate).toBeCloseTo(BAD / HOSTS, 1);
});
