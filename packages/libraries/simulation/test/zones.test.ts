import { describe, expect, test } from 'vitest';
import { constant, HostList, Simulation } from '../src/index.ts';
import { POLICIES, web } from './support/worlds.ts';

const REQUESTS = 40_000;

/** Hosts and proxies of each zone. */
interface Zone {
  readonly hosts: number;
  readonly proxies: number;
}

/** Proxies of every zone send as much as the zone's share of the fleet. @returns requests for each host, and the share that stays, by zone */
function run(zones: Readonly<Record<string, Zone>>, policy: string) {
  const sim = new Simulation({ seed: 11 });
  const groups = Object.entries(zones).map(([zone, { hosts }]) => ({
    zone,
    hosts: sim.network.addHosts(hosts, { serviceTime: constant(1) }),
  }));
  const fleet = new HostList(
    ...Object.entries(zones).map(([zone, { proxies }]) => ({
      zone,
      hosts: sim.network.addHosts(proxies, { serviceTime: constant(1) }),
    })),
  );
  const fleetSize = Object.values(zones).reduce((sum, { proxies }) => sum + proxies, 0);
  const stays = new Map<string, number>();
  for (const [index, { zone }] of groups.entries()) {
    const proxy = sim.addProxy({
      clusters: [web({ lb_policy: policy }), { name: 'fleet' }],
      extensions: POLICIES,
      zone,
      localCluster: 'fleet',
    });
    proxy.updateHosts('web', new HostList(...groups).update());
    proxy.updateHosts('fleet', fleet.update());
    const own = new Set(groups[index].hosts.map(({ address }) => address));
    const count = (REQUESTS * zones[zone].proxies) / fleetSize;
    let home = 0;
    for (let i = 0; i < count; i++)
      sim.at(i / 10, () =>
        proxy.send({}, ({ address = '' }) => {
          if (own.has(address)) home++;
        }),
      );
    sim.runUntil(sim.now + REQUESTS);
    stays.set(zone, home / count);
  }
  const perHost = groups.map(
    ({ hosts }) => hosts.reduce((sum, { arrived }) => sum + arrived, 0) / hosts.length,
  );
  return { perHost, stays };
}

describe('zone-aware routing evens out what hosts get', () => {
  const uneven = { a: { hosts: 40, proxies: 6 }, b: { hosts: 30, proxies: 6 }, c: { hosts: 30, proxies: 8 } };

  test.each(['ROUND_ROBIN', 'RANDOM', 'LEAST_REQUEST'])('%s', (policy) => {
    const { perHost, stays } = run(uneven, policy);
    const ideal = REQUESTS / 100;
    for (const load of perHost) expect(Math.abs(load / ideal - 1)).toBeLessThan(0.01);
    // What the own zone can carry of what its proxies send: hosts' share / proxies' share.
    expect(stays.get('a')).toBe(1);
    expect(stays.get('b')).toBe(1);
    expect(stays.get('c')).toBeCloseTo(0.3 / 0.4, 2);
  });
});
