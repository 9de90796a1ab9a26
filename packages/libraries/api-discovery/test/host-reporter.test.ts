import type { EndpointData } from '@dragoman/core';
import { DiscoveryScene } from '@dragoman/testing';
import { expect, it } from 'vitest';
import { HostReporter, type LocatedEndpoint } from '../src/index.ts';

function begin() {
  const scene = new DiscoveryScene();
  const reporter = new HostReporter(scene.context, {
    onHosts: (update) => scene.updates.push(update),
    onFailure: (reason) => scene.failures.push(reason),
  });
  return { scene, reporter };
}

const entry = (address: string, zone: string, more: Partial<EndpointData> = {}): LocatedEndpoint => ({
  locality: { region: 'r', zone, subZone: '' },
  endpoint: { address, hostname: '', weight: 1, ...more },
});

it('sorts hosts into localities, whatever their order', () => {
  const { scene, reporter } = begin();
  const entries = [entry('10.0.0.3:80', 'b'), entry('10.0.0.2:80', 'a'), entry('10.0.0.1:80', 'b')];
  reporter.hosts(entries);
  reporter.hosts([...entries].reverse());
  expect(scene.updates).toHaveLength(1);
  expect(scene.updates[0].localities.map(({ locality }) => locality.zone)).toEqual(['a', 'b']);
  expect(scene.addresses).toEqual(['10.0.0.2:80', '10.0.0.1:80', '10.0.0.3:80']);
  expect(scene.counts).toMatchObject({ update_success: 2, update_no_rebuild: 1 });
});

it('keeps the healthiest of several entries of one address', () => {
  const { scene, reporter } = begin();
  reporter.hosts([
    entry('10.0.0.1:80', 'a', { health: 'draining' }),
    entry('10.0.0.1:80', 'b'),
    entry('10.0.0.1:80', 'c', { weight: 5 }),
    entry('10.0.0.1:80', 'd', { health: 'unhealthy' }),
  ]);
  expect(scene.updates[0].localities).toEqual([
    {
      locality: { region: 'r', zone: 'b', subZone: '' },
      weight: 0,
      priority: 0,
      endpoints: [entry('10.0.0.1:80', 'b').endpoint],
    },
  ]);
});

it('publishes an empty list, and counts it', () => {
  const { scene, reporter } = begin();
  expect(reporter.published).toBe(false);
  reporter.hosts([]);
  expect(scene.updates).toEqual([{ localities: [] }]);
  expect(reporter.published).toBe(true);
  expect(scene.stats.value('cluster.web.update_empty')).toBe(1);
});

it('tells failures from answers that are no use', () => {
  const { scene, reporter } = begin();
  reporter.attempt();
  reporter.failed('down');
  reporter.rejected('garbage');
  expect(scene.failures).toEqual(['down', 'garbage']);
  expect(scene.stats.used()).toMatchObject({
    'cluster.web.update_attempt': 1,
    'cluster.web.update_failure': 1,
    'cluster.web.update_rejected': 1,
  });
});
