import { ClusterSchema, readLoose } from '@dragoman/api';
import { DiscoveryScene, lbEndpoint } from '@dragoman/testing';
import { expect, it } from 'vitest';
import { strictDns } from '../src/index.ts';

function begin(...endpoints: object[]) {
  const scene = new DiscoveryScene();
  const message = readLoose(ClusterSchema, {
    name: 'web',
    load_assignment: { cluster_name: 'web', endpoints },
  });
  return { scene, start: () => scene.start(strictDns.create(message as never, scene.context)) };
}

it('makes a host of every address of every name', async () => {
  const { scene, start } = begin(
    { locality: { zone: 'a' }, lb_endpoints: [lbEndpoint('b.example', 8080), lbEndpoint('a.example')] },
    { priority: 1, lb_endpoints: [lbEndpoint('c.example')] },
  );
  scene.dns.set('a.example', '10.0.0.2', '10.0.0.1', '10.0.0.2');
  scene.dns.set('b.example', '2001::1');
  scene.dns.set('c.example', '10.0.0.9');
  start();
  await scene.clock.advanceAsync(0);
  expect(scene.addresses).toEqual(['[2001::1]:8080', '10.0.0.1:80', '10.0.0.2:80', '10.0.0.9:80']);
  const [first, second] = scene.updates.at(-1)?.localities ?? [];
  expect([first.locality.zone, first.priority, second.priority]).toEqual(['a', 0, 1]);
  expect(first.endpoints.map((endpoint) => endpoint.hostname)).toEqual([
    'b.example',
    'a.example',
    'a.example',
  ]);
});

it('keeps what the config says of an endpoint for each of its addresses', async () => {
  const { scene, start } = begin({
    lb_endpoints: [
      {
        endpoint: { ...lbEndpoint('a.example').endpoint, hostname: 'web.internal' },
        load_balancing_weight: 3,
        health_status: 'DEGRADED',
      },
    ],
  });
  scene.dns.set('a.example', '10.0.0.1', '10.0.0.2');
  start();
  await scene.clock.advanceAsync(0);
  expect(scene.updates.at(-1)?.localities[0].endpoints).toEqual([
    { address: '10.0.0.1:80', hostname: 'web.internal', weight: 3, health: 'degraded' },
    { address: '10.0.0.2:80', hostname: 'web.internal', weight: 3, health: 'degraded' },
  ]);
});

it('publishes again only when an answer differs in more than its order', async () => {
  const { scene, start } = begin({ lb_endpoints: [lbEndpoint('a.example')] });
  scene.dns.set('a.example', '10.0.0.1', '10.0.0.2');
  start();
  await scene.clock.advanceAsync(0);
  scene.dns.set('a.example', '10.0.0.2', '10.0.0.1');
  await scene.clock.advanceAsync(5000);
  expect(scene.updates).toHaveLength(1);
  scene.dns.set('a.example', '10.0.0.3');
  await scene.clock.advanceAsync(5000);
  expect(scene.addresses).toEqual(['10.0.0.3:80']);
  expect(scene.counts).toEqual({
    update_attempt: 3,
    update_success: 3,
    update_failure: 0,
    update_no_rebuild: 1,
  });
});

it('keeps the last good answer when the servers fail, and drops hosts when the name is gone', async () => {
  const { scene, start } = begin({ lb_endpoints: [lbEndpoint('a.example')] });
  scene.dns.set('a.example', '10.0.0.1');
  start();
  await scene.clock.advanceAsync(0);
  scene.dns.fail('a.example');
  await scene.clock.advanceAsync(5000);
  expect(scene.addresses).toEqual(['10.0.0.1:80']);
  expect(scene.failures).toEqual(['a.example: SERVFAIL']);
  expect(scene.counts).toMatchObject({ update_failure: 1 });
  scene.dns.set('a.example');
  await scene.clock.advanceAsync(5000);
  expect(scene.updates.at(-1)?.localities[0].endpoints).toEqual([]);
});

it('publishes an empty first answer too, which ends warming', async () => {
  const { scene, start } = begin({ lb_endpoints: [lbEndpoint('a.example')] });
  start();
  await scene.clock.advanceAsync(0);
  expect(scene.updates).toHaveLength(1);
  expect(scene.addresses).toEqual([]);
});

it('is ready at once without any name', () => {
  const { scene, start } = begin();
  start();
  expect(scene.updates).toEqual([{ localities: [] }]);
});

it('says nothing after stop', async () => {
  const { scene, start } = begin({ lb_endpoints: [lbEndpoint('a.example')] });
  scene.dns.set('a.example', '10.0.0.1');
  start().stop();
  await scene.clock.advanceAsync(60_000);
  expect(scene.updates).toEqual([]);
  expect(scene.clock.pendingTimers).toBe(0);
});

it('refuses a Unix socket', () => {
  const { start } = begin({ lb_endpoints: [{ endpoint: { address: { pipe: { path: '/run/x' } } } }] });
  expect(start).toThrow(/lb_endpoints\[0\].endpoint.address.pipe: a STRICT_DNS cluster takes names/);
});
