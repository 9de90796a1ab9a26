import { expect, test } from 'vitest';
import { constant, exponential, HostList, imbalance, Simulation } from '../src/index.ts';
import { POLICIES, web } from './support/worlds.ts';

test('10,000 hosts: every request ends, and round robin gives each host its turn', () => {
  const sim = new Simulation();
  const hosts = sim.network.addHosts(10_000, { serviceTime: exponential(20), roundTrip: constant(1) });
  const proxy = sim.addProxy({ clusters: [web()], extensions: POLICIES });
  proxy.updateHosts('web', new HostList({ hosts }).update());
  const clients = sim.addClients({ proxy, ratePerSecond: 50_000, untilMs: 1000 });
  sim.runUntil(60_000);
  expect(clients.results.summary()).toMatchObject({ count: clients.sent, ok: clients.sent, attempts: 1 });
  const counts = hosts.map(({ arrived }) => arrived);
  expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
  expect(imbalance(hosts).maxToMean).toBeLessThan(1.3);
  expect(proxy.stat('cluster.web.upstream_rq_total')).toBe(clients.sent);
});
