import { expect, it } from 'vitest';
import { KubernetesScene } from './support/scene.ts';
import { endpoint, errorEvent, event, list, slice } from './support/slices.ts';

const A = endpoint('10.0.0.1');
const B = endpoint('10.0.0.2');
const [a, b] = ['10.0.0.1:8080', '10.0.0.2:8080'];

it.each([
  ['no JSON', '{"type":\n', /a line that is not JSON/],
  ['deep JSON', `${'['.repeat(100)}\n`, /a line that is nested more than 64 levels deep/],
  [
    'another kind',
    `${JSON.stringify({ type: 'ADDED', object: { kind: 'Pod' } })}\n`,
    /no event of an EndpointSlice/,
  ],
  ['an unknown type', event('REPLACED' as 'ADDED', slice('web-1', [A])), /an event of an unknown type/],
  ['no version', event('ADDED', slice('web-2', [A], { version: '' })), /has no resourceVersion/],
  ['no name', event('ADDED', slice('', [A])), /an EndpointSlice without a name/],
  [
    'too many endpoints',
    event('ADDED', slice('web-2', [A, B, A, B])),
    /more than 4 endpoints \(max_endpoints\)/,
  ],
  ['a huge line', 'x'.repeat(4 * 1024 * 1024 + 1), /a line of more than 4194304 bytes/],
])('refuses a watch that sends %s, keeps the hosts and lists anew', async (_, text, reason) => {
  await using scene = await KubernetesScene.start({ max_endpoints: 4 });
  const watch = await scene.watching([slice('web-1', [A])]);
  await scene.hosts(a);
  watch.write(text);
  await scene.untilCount('update_rejected', 1);
  expect(scene.scene.failures[0]).toMatch(reason);
  await watch.gone();
  await scene.hosts(a);
  await scene.passWait();
  const again = await scene.api.next();
  expect(again.query('watch')).toBeUndefined();
  again.answer(list([slice('web-1', [B])]));
  await scene.hosts(b);
});

it('lists anew after an error in the watch that is none of version', async () => {
  await using scene = await KubernetesScene.start();
  const watch = await scene.watching([slice('web-1', [A])]);
  watch.write(errorEvent(500, 'InternalError', 'etcdserver:\u0007 leader changed'));
  await scene.untilCount('update_failure', 1);
  expect(scene.scene.failures[0]).toMatch(/watch: etcdserver:\? leader changed$/);
  await scene.passWait();
  expect((await scene.api.next()).query('watch')).toBeUndefined();
});

it.each([
  ['no JSON', 'certainly not', /the list is not JSON/],
  ['half an answer', '{"kind":"EndpointSliceList","items":[', /the list is not JSON/],
  ['another kind', JSON.stringify({ kind: 'PodList', items: [] }), /is no EndpointSliceList/],
  [
    'items that are none',
    JSON.stringify({ kind: 'EndpointSliceList', items: [1] }),
    /a.* EndpointSlice without a name/,
  ],
  ['no version', JSON.stringify(list([], { version: '' })), /has no resourceVersion/],
  ['too many endpoints', JSON.stringify(list([slice('web-1', [A, A, A])])), /holds more than 2 endpoints/],
  [
    'too many slices',
    JSON.stringify(list(['1', '2', '3'].map((name) => slice(name, null)))),
    /more than 2 endpoints/,
  ],
  ['too many bytes', 'x'.repeat(20_000), /answered with more than 10000 bytes/],
])('refuses a list with %s, and asks again later', async (_, text, reason) => {
  await using scene = await KubernetesScene.start({ max_endpoints: 2 }, { max_response_bytes: 10_000 });
  (await scene.api.next()).answer(text);
  await scene.untilCount('update_rejected', 1);
  expect(scene.scene.failures[0]).toMatch(reason);
  expect(scene.scene.updates).toEqual([]);
  await scene.passWait();
  await scene.watching([slice('web-1', [A])]);
  await scene.hosts(a);
});
