import { ClusterSchema, readLoose } from '@dragoman/api';
import { DiscoveryScene, lbEndpoint } from '@dragoman/testing';
import { expect, it } from 'vitest';
import { logicalDns } from '../src/index.ts';

function begin(...endpoints: object[]) {
  const scene = new DiscoveryScene();
  const message = readLoose(ClusterSchema, {
    name: 'web',
    load_assignment: { cluster_name: 'web', endpoints },
  });
  return { scene, start: () => scene.start(logicalDns.create(message as never, scene.context)) };
}

it('is one host at the first address, which stays the same host when that changes', async () => {
  const { scene, start } = begin({ lb_endpoints: [lbEndpoint('web.example', 8080)] });
  scene.dns.set('web.example', '10.0.0.2', '10.0.0.1');
  start();
  await scene.clock.advanceAsync(0);
  scene.dns.set('web.example', '10.0.0.1', '10.0.0.2');
  await scene.clock.advanceAsync(5000);
  expect(scene.updates.map((update) => update.localities[0].endpoints)).toEqual([
    [{ address: '10.0.0.2:8080', id: 'web.example:8080', hostname: 'web.example', weight: 1 }],
    [{ address: '10.0.0.1:8080', id: 'web.example:8080', hostname: 'web.example', weight: 1 }],
  ]);
});

it('does not publish an unchanged address again', async () => {
  const { scene, start } = begin({ lb_endpoints: [lbEndpoint('web.example')] });
  scene.dns.set('web.example', '10.0.0.1');
  start();
  await scene.clock.advanceAsync(10_000);
  expect(scene.updates).toHaveLength(1);
  expect(scene.counts).toEqual({
    update_attempt: 3,
    update_success: 3,
    update_failure: 0,
    update_no_rebuild: 2,
  });
});

it('keeps the last address through failures and empty answers', async () => {
  const { scene, start } = begin({ lb_endpoints: [lbEndpoint('web.example')] });
  scene.dns.set('web.example', '10.0.0.1');
  start();
  await scene.clock.advanceAsync(0);
  scene.dns.fail('web.example');
  await scene.clock.advanceAsync(5000);
  scene.dns.set('web.example');
  await scene.clock.advanceAsync(5000);
  expect(scene.addresses).toEqual(['10.0.0.1:80']);
  expect(scene.failures).toEqual(['web.example: SERVFAIL', 'web.example: the name has no addresses']);
  expect(scene.counts).toMatchObject({ update_failure: 2, update_success: 1 });
});

it('reports a first failure, and recovers', async () => {
  const { scene, start } = begin({ lb_endpoints: [lbEndpoint('web.example')] });
  scene.dns.fail('web.example');
  start();
  await scene.clock.advanceAsync(0);
  expect([scene.updates.length, scene.failures.length]).toEqual([0, 1]);
  scene.dns.set('web.example', '10.0.0.1');
  await scene.clock.advanceAsync(5000);
  expect(scene.addresses).toEqual(['10.0.0.1:80']);
});

it('says nothing after stop', async () => {
  const { scene, start } = begin({ lb_endpoints: [lbEndpoint('web.example')] });
  start().stop();
  await scene.clock.advanceAsync(60_000);
  expect([scene.updates, scene.failures]).toEqual([[], []]);
  expect(scene.clock.pendingTimers).toBe(0);
});

it.each<[string, object[], RegExp]>([
  ['no endpoint', [], /load_assignment: a LOGICAL_DNS cluster has one/],
  [
    'two names',
    [{ lb_endpoints: [lbEndpoint('a.example'), lbEndpoint('b.example')] }],
    /one locality with one endpoint/,
  ],
  ['two localities', [{ lb_endpoints: [lbEndpoint('a.example')] }, {}], /one locality with one endpoint/],
  [
    'a Unix socket',
    [{ lb_endpoints: [{ endpoint: { address: { pipe: { path: '/x' } } } }] }],
    /takes a name/,
  ],
])('refuses %s', (_name, endpoints, message) => {
  expect(begin(...endpoints).start).toThrow(message);
});
