import { expect, it } from 'vitest';
import { KubernetesScene } from './support/scene.ts';
import { bookmark, endpoint, errorEvent, event, list, slice, status } from './support/slices.ts';

const A = endpoint('10.0.0.1');
const B = endpoint('10.0.0.2');
const C = endpoint('10.0.0.3');
const [a, b, c] = ['10.0.0.1:8080', '10.0.0.2:8080', '10.0.0.3:8080'];

it('lists page by page and watches from there', async () => {
  await using scene = await KubernetesScene.start({ label_selector: 'tier in (a,b)', page_size: 2 });
  const first = await scene.api.next();
  expect(first.path).toBe('/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices');
  expect(first.query('labelSelector')).toBe('kubernetes.io/service-name=web,tier in (a,b)');
  expect([first.query('limit'), first.query('continue'), first.query('watch')]).toEqual([
    '2',
    undefined,
    undefined,
  ]);
  first.answer(list([slice('web-1', [A])], { version: '990', next: 'MORE/+=' }));
  const empty = await scene.api.next();
  expect([empty.query('continue'), empty.query('limit')]).toEqual(['MORE/+=', '2']);
  empty.answer(list(null, { version: '990', next: 'LAST' }));
  expect(scene.scene.updates).toEqual([]);
  (await scene.api.next()).answer(list([slice('web-2', [B])], { version: '990' }));

  const watch = await scene.api.next();
  await scene.hosts(a, b);
  expect(watch.query('watch')).toBe('1');
  expect(watch.query('allowWatchBookmarks')).toBe('true');
  expect(watch.query('resourceVersion')).toBe('990');
  expect(watch.query('labelSelector')).toBe('kubernetes.io/service-name=web,tier in (a,b)');
  const seconds = Number(watch.query('timeoutSeconds'));
  expect(seconds).toBeGreaterThanOrEqual(300);
  expect(seconds).toBeLessThanOrEqual(600);
  expect(watch.connection).toBe(first.connection);
});

it('follows events, and publishes what came in one piece at once', async () => {
  await using scene = await KubernetesScene.start();
  const watch = await scene.watching([slice('web-1', [A])]);
  await scene.hosts(a);
  watch.write(event('ADDED', slice('web-2', [B])) + event('MODIFIED', slice('web-1', [A, C])));
  await scene.hosts(a, b, c);
  expect(scene.scene.updates).toHaveLength(2);
  watch.write(event('DELETED', slice('web-1', [A, C])));
  await scene.hosts(b);
  expect(scene.count('update_success')).toBe(3);
});

it('puts an event together that comes in pieces', async () => {
  await using scene = await KubernetesScene.start();
  const watch = await scene.watching([slice('web-1', [A])]);
  const text = event('MODIFIED', slice('web-1', [A, B]));
  watch.write(text.slice(0, 40));
  watch.write(text.slice(40));
  await scene.hosts(a, b);
});

it('publishes an empty list when the service has no slices, and when it is deleted', async () => {
  await using scene = await KubernetesScene.start();
  const watch = await scene.watching([]);
  await scene.untilCount('update_empty', 1);
  expect(scene.scene.updates).toEqual([{ localities: [] }]);
  watch.write(event('ADDED', slice('web-1', [A])));
  await scene.hosts(a);
  watch.write(event('DELETED', slice('web-1', [A])));
  await scene.hosts();
  expect(scene.count('update_empty')).toBe(2);
});

it('begins the next watch at once where the last one ended, by a bookmark too', async () => {
  await using scene = await KubernetesScene.start();
  const watch = await scene.watching([slice('web-1', [A])]);
  watch.write(event('MODIFIED', slice('web-1', [A, B], { version: '1005' })));
  await scene.hosts(a, b);
  scene.scene.clock.advance(300_000);
  watch.end();
  const second = await scene.api.next();
  expect(second.query('resourceVersion')).toBe('1005');
  second.begin();
  // In one piece: what the event does is seen when the bookmark has been read too.
  second.write(event('MODIFIED', slice('web-1', [A], { version: '1006' })) + bookmark('2000'));
  await scene.hosts(a);
  scene.scene.clock.advance(300_000);
  second.end();
  const third = await scene.api.next();
  expect([third.query('watch'), third.query('resourceVersion')]).toEqual(['1', '2000']);
  expect(scene.scene.failures).toEqual([]);
});

it('lists anew at once when a watch is answered 410, and keeps the hosts meanwhile', async () => {
  await using scene = await KubernetesScene.start();
  const expired = status(410, 'Expired', 'too old resource version: 1000 (2000)');
  (await scene.api.next()).answer(list([slice('web-1', [A])]));
  (await scene.api.next()).answer(expired, 410);
  const again = await scene.api.next();
  expect([again.query('watch'), again.query('resourceVersion')]).toEqual([undefined, undefined]);
  await scene.hosts(a);
  again.answer(list([slice('web-9', [B])], { version: '2000' }));
  await scene.hosts(b);
  expect(scene.scene.failures).toEqual([]);

  // A server that says so again and again is not asked without pause.
  (await scene.api.next()).answer(expired, 410);
  const wait = await scene.passWait();
  expect(wait).toBeGreaterThanOrEqual(1000);
  expect((await scene.api.next()).query('watch')).toBeUndefined();
});

it('lists anew when 410 is an event of the watch', async () => {
  await using scene = await KubernetesScene.start();
  const watch = await scene.watching([slice('web-1', [A])]);
  watch.write(
    event('MODIFIED', slice('web-1', [C])) + errorEvent(410, 'Expired', 'too old resource version'),
  );
  const again = await scene.api.next();
  expect(again.query('watch')).toBeUndefined();
  await scene.hosts(c);
  again.answer(list([slice('web-1', [B])], { version: '2000' }));
  await scene.hosts(b);
  expect((await scene.api.next()).query('resourceVersion')).toBe('2000');
  expect(scene.scene.failures).toEqual([]);
});

it('begins the list again when its continue token has expired', async () => {
  await using scene = await KubernetesScene.start();
  (await scene.api.next()).answer(list([slice('web-1', [A])], { next: 'OLD' }));
  const second = await scene.api.next();
  expect(second.query('continue')).toBe('OLD');
  second.answer(status(410, 'Expired', 'The provided continue parameter is too old'), 410);
  const fresh = await scene.api.next();
  expect(fresh.query('continue')).toBeUndefined();
  fresh.answer(list([slice('web-2', [B])]));
  await scene.hosts(b);
});

it('goes on where it was after a disconnect in the middle of an event', async () => {
  await using scene = await KubernetesScene.start();
  const watch = await scene.watching([slice('web-1', [A])]);
  watch.write(event('ADDED', slice('web-2', [B], { version: '1001' })));
  await scene.hosts(a, b);
  watch.write(event('DELETED', slice('web-1', [A], { version: '1002' })).slice(0, 80));
  watch.cut();
  await scene.untilCount('update_failure', 1);
  expect(await scene.passWait()).toBeLessThan(1000);
  const second = await scene.api.next();
  expect([second.query('watch'), second.query('resourceVersion')]).toEqual(['1', '1001']);
  await scene.hosts(a, b);
  second.begin();
  second.write(event('DELETED', slice('web-1', [A], { version: '1002' })));
  await scene.hosts(b);
});

it('takes an orderly end in the middle of an event as a failure', async () => {
  await using scene = await KubernetesScene.start();
  const watch = await scene.watching([slice('web-1', [A])]);
  watch.write('{"type":"DELETED","object":');
  watch.end();
  await scene.untilCount('update_failure', 1);
  expect(scene.scene.failures[0]).toMatch(/shop\/web at http:.*: watch: ended in the middle of an event$/);
  await scene.passWait();
  expect((await scene.api.next()).query('resourceVersion')).toBe('1000');
});

it('does not ask without pause a server that ends each watch at once', async () => {
  await using scene = await KubernetesScene.start();
  (await scene.watching([slice('web-1', [A])])).end();
  const waits: number[] = [];
  for (let round = 0; round < 5; round++) {
    waits.push(await scene.passWait());
    const watch = await scene.api.next();
    expect(watch.query('watch')).toBe('1');
    watch.answer('');
  }
  waits.push(await scene.passWait());
  expect(waits.map((wait, round) => wait >= 500 * 2 ** round && wait < 1000 * 2 ** round)).toEqual(
    Array.from({ length: 6 }, () => true),
  );
  // What is known is not gone on from for ever.
  const relist = await scene.api.next();
  expect(relist.query('watch')).toBeUndefined();
  expect(scene.scene.failures).toEqual([]);
});

it('backs off while the server fails, and waits as long as it asks', async () => {
  await using scene = await KubernetesScene.start();
  (await scene.api.next()).answer(status(403, 'Forbidden', 'endpointslices is forbidden'), 403);
  await scene.untilCount('update_failure', 1);
  expect(scene.scene.failures[0]).toMatch(/list: answered 403: endpointslices is forbidden$/);
  expect(await scene.passWait()).toBeLessThan(1000);
  (await scene.api.next()).answer('', 429, { 'retry-after': '20' });
  await scene.untilCount('update_failure', 2);
  expect(await scene.passWait()).toBe(20_000);
  await scene.watching([slice('web-1', [A])]);
  await scene.hosts(a);
});

it('gives up a watch that is silent beyond its time, and a list that trickles', async () => {
  await using scene = await KubernetesScene.start({ watch_timeout: '10s' }, { request_timeout: '2s' });
  const slow = await scene.api.next();
  slow.begin();
  slow.write('{"kind":');
  scene.scene.clock.advance(2000);
  await slow.gone();
  expect(scene.scene.failures).toHaveLength(1);
  await scene.passWait(2000);
  const watch = await scene.watching([slice('web-1', [A])]);
  watch.write(event('ADDED', slice('web-2', [B])));
  await scene.hosts(a, b);
  const limit = (Number(watch.query('timeoutSeconds')) + 2) * 1000;
  expect(limit).toBeLessThanOrEqual(22_000);
  scene.scene.clock.advance(limit);
  await watch.gone();
  expect(scene.scene.failures).toHaveLength(2);
  await scene.passWait(2000);
  expect((await scene.api.next()).query('watch')).toBe('1');
});

it('says nothing after stop, and leaves no timer', async () => {
  await using scene = await KubernetesScene.start();
  const watch = await scene.watching([slice('web-1', [A])]);
  await scene.hosts(a);
  scene.stop();
  await watch.gone();
  expect(scene.scene.clock.pendingTimers).toBe(0);
  expect(scene.scene.failures).toEqual([]);
  expect(scene.scene.updates).toHaveLength(1);
});
