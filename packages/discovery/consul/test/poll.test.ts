import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ConsulScene, index, instance } from './support/scene.ts';

const [A, B] = [instance('10.0.0.1'), instance('10.0.0.2')];
const [a, b] = ['10.0.0.1:8080', '10.0.0.2:8080'];

it('asks, and then waits for what is new', async () => {
  await using scene = await ConsulScene.start({
    tags: ['v1', 'a b'],
    datacenter: 'dc2',
    namespace: 'shop',
    partition: 'p',
    filter: 'Service.Meta.x == "1"',
    passing_only: true,
    consistency: 'STALE',
    wait: '60s',
  });
  const first = await scene.api.next();
  expect(first.path).toBe('/v1/health/service/web');
  expect([...first.url.searchParams]).toEqual([
    ['dc', 'dc2'],
    ['ns', 'shop'],
    ['partition', 'p'],
    ['filter', 'Service.Meta.x == "1"'],
    ['tag', 'v1'],
    ['tag', 'a b'],
    ['passing', 'true'],
    ['stale', 'true'],
  ]);
  first.answer([A], 200, index('18446744073709551615'));
  const second = await scene.api.next();
  await scene.hosts(a);
  expect([second.query('index'), second.query('wait')]).toEqual(['18446744073709551615', '60s']);
  expect(second.connection).toBe(first.connection);
});

it('has no parameters without reason, and a name that needs escapes', async () => {
  await using scene = await ConsulScene.start({ service: 'a/b?c' });
  const first = await scene.api.next();
  expect(first.url.pathname + first.url.search).toBe('/v1/health/service/a%2Fb%3Fc');
});

it('is not disturbed by an answer without a change', async () => {
  await using scene = await ConsulScene.start();
  (await scene.api.next()).answer([A, B], 200, index(5));
  (await scene.api.next()).answer([B, A], 200, index(5));
  await scene.untilCount('update_no_rebuild', 1);
  expect(scene.scene.updates).toHaveLength(1);
});

it('begins anew when the index goes backwards, and counts one below 1 as 1', async () => {
  await using scene = await ConsulScene.start();
  (await scene.api.next()).answer([A], 200, index(100));
  const reset = await scene.api.next();
  expect(reset.query('index')).toBe('100');
  reset.answer([B], 200, index(40));
  await scene.hosts(b);
  const anew = await scene.api.next();
  expect([anew.query('index'), anew.query('wait')]).toEqual([undefined, undefined]);
  anew.answer([B], 200, index(0));
  await scene.passWait();
  expect((await scene.api.next()).query('index')).toBe('1');
});

it('asks a service that never stands still once a second', async () => {
  await using scene = await ConsulScene.start();
  (await scene.api.next()).answer([A], 200, index(1));
  (await scene.api.next()).answer([B], 200, index(2));
  for (let round = 3; round < 6; round++) {
    (await scene.api.next()).answer([A], 200, index(round));
    expect(Math.round(await scene.passWait())).toBe(1000);
  }
});

it('publishes a service without instances, and one that is gone', async () => {
  await using scene = await ConsulScene.start();
  (await scene.api.next()).answer([], 200, index(1));
  await scene.untilCount('update_empty', 1);
  expect(scene.scene.updates).toEqual([{ localities: [] }]);
  (await scene.api.next()).answer([A], 200, index(2));
  await scene.hosts(a);
  (await scene.api.next()).answer([], 200, index(3));
  await scene.hosts();
});

it.each([
  ['knows no leader', { 'x-consul-knownleader': 'false' }, /the server knows no leader/],
  ['heard of it too long ago', { 'x-consul-lastcontact': '2001' }, /last heard of the leader 2001 ms ago/],
])('keeps its hosts when the server %s', async (_, headers, reason) => {
  await using scene = await ConsulScene.start({ consistency: 'STALE', max_stale: '2s' });
  // Better than none.
  (await scene.api.next()).answer([A], 200, index(7, headers));
  await scene.hosts(a);
  (await scene.api.next()).answer([], 200, index(8, headers));
  await scene.untilCount('update_failure', 1);
  expect(scene.scene.failures[0]).toMatch(reason);
  expect(await scene.passWait()).toBeLessThan(1000);
  const anew = await scene.api.next();
  expect(anew.query('index')).toBeUndefined();
  anew.answer([B], 200, index(9, { 'x-consul-lastcontact': '2000' }));
  await scene.hosts(b);
});

it('backs off while it fails, without an index, and keeps its hosts', async () => {
  await using scene = await ConsulScene.start();
  (await scene.api.next()).answer([A], 200, index(7));
  await scene.hosts(a);
  (await scene.api.next()).answer('No cluster leader', 500);
  await scene.untilCount('update_failure', 1);
  expect(scene.scene.failures[0]).toMatch(/^consul web at http:.*: answered 500: No cluster leader$/);
  expect(await scene.passWait()).toBeLessThan(1000);
  const broken = await scene.api.next();
  expect(broken.query('index')).toBeUndefined();
  broken.begin({ ...index(8), 'content-length': '1000' });
  broken.write('[{"Node":');
  broken.cut();
  await scene.untilCount('update_failure', 2);
  expect(await scene.passWait()).toBeGreaterThanOrEqual(1000);
  (await scene.api.next()).answer([B], 200, index(9));
  await scene.hosts(b);
});

it('gives a query up that is not answered in its time', async () => {
  await using scene = await ConsulScene.start({ wait: '160s' }, { request_timeout: '2s' });
  (await scene.api.next()).answer([A], 200, index(7));
  const held = await scene.api.next();
  await scene.hosts(a);
  scene.scene.clock.advance(171_999);
  expect(scene.scene.failures).toEqual([]);
  scene.scene.clock.advance(1);
  await held.gone();
  expect(scene.scene.failures[0]).toMatch(/no answer in 172000 ms$/);
});

it('reads an expired token again', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'consul-'));
  try {
    const path = join(folder, 'token');
    writeFileSync(path, 'old');
    await using scene = await ConsulScene.start({}, { token_file: path });
    const refused = await scene.api.next();
    expect(refused.header('x-consul-token')).toBe('old');
    writeFileSync(path, 'new');
    refused.answer('ACL not found', 403);
    const again = await scene.api.next();
    expect(again.header('x-consul-token')).toBe('new');
    again.answer([A], 200, index(1));
    await scene.hosts(a);
    expect(scene.scene.failures).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it.each([
  ['no JSON', '[{', /the answer is not JSON/],
  ['no list', '{"Node":1}', /the answer is no list of instances/],
  ['too many instances', JSON.stringify([A, A, A]), /holds more than 2 instances/],
  ['too many bytes', 'x'.repeat(20_000), /answered with more than 10000 bytes/],
  ['deep JSON', '['.repeat(100), /nested more than 64 levels/],
])('refuses an answer that is %s', async (_, text, reason) => {
  await using scene = await ConsulScene.start({ max_instances: 2 }, { max_response_bytes: 10_000 });
  (await scene.api.next()).answer(text, 200, index(5));
  await scene.untilCount('update_rejected', 1);
  expect(scene.scene.failures[0]).toMatch(reason);
  await scene.passWait();
  const again = await scene.api.next();
  expect(again.query('index')).toBeUndefined();
  again.answer([A], 200, index(5));
  await scene.hosts(a);
});

it('says nothing after stop, and leaves no timer', async () => {
  await using scene = await ConsulScene.start();
  (await scene.api.next()).answer([A], 200, index(5));
  const held = await scene.api.next();
  scene.stop();
  await held.gone();
  expect(scene.scene.clock.pendingTimers).toBe(0);
  expect(scene.scene.failures).toEqual([]);
});
