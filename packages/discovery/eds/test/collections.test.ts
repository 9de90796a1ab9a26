import { LbEndpointSchema } from '@dragoman/api';
import { ConfigError } from '@dragoman/core';
import { describe, expect, it } from 'vitest';
import { collected, collectionName, EdsScene, group, member } from './support.ts';

/** A cluster whose server has sent such an assignment. */
async function assigned(...endpoints: object[]): Promise<EdsScene> {
  const scene = new EdsScene().begin();
  await scene.assign({ endpoints });
  return scene;
}

describe('endpoints that come one by one', () => {
  it('are subscribed to by the name of their collection', async () => {
    const { collections } = await assigned(collected('a'));
    const [{ options }] = collections;
    expect([options.names, options.stats.prefix]).toEqual([[collectionName('a')], 'cluster.web.leds']);
    expect(options.type).toBe(LbEndpointSchema);
    expect(options.source).toMatchObject({ configSourceSpecifier: { case: 'ads' } });
  });

  it('are waited for in all localities', async () => {
    const scene = await assigned(
      collected('a', { locality: { zone: 'a' }, load_balancing_weight: 2 }),
      group(['10.0.0.1'], { locality: { zone: 'b' } }),
      collected('c', { locality: { zone: 'c' } }),
    );
    const [a, c] = scene.collections;
    await a.resources({ one: member('10.0.1.1'), two: member('10.0.1.2') });
    expect(scene.warm).toBe(false);
    await c.update({});
    expect(scene.updates).toHaveLength(1);
    expect(scene.addresses).toEqual(['10.0.1.1:80', '10.0.1.2:80', '10.0.0.1:80']);
    expect(scene.updates[0].localities.map(({ weight }) => weight)).toEqual([2, 0, 0]);
  });

  it('change, go and are replaced by their names', async () => {
    const scene = await assigned(collected('a'));
    const [a] = scene.collections;
    await a.resources({ one: member('10.0.1.1'), two: member('10.0.1.2') });
    await a.resources({ one: member('10.0.1.9', { load_balancing_weight: 5 }) });
    expect(scene.addresses).toEqual(['10.0.1.9:80', '10.0.1.2:80']);
    await a.update({ removed: ['one', 'unknown'] });
    expect(scene.addresses).toEqual(['10.0.1.2:80']);
    await a.update({});
    expect(scene.updates).toHaveLength(3);
    await a.update({
      full: true,
      changed: [{ name: 'three', version: '2', message: member('10.0.1.3') as never }],
    });
    expect(scene.addresses).toEqual(['10.0.1.3:80']);
    await a.update({ full: true });
    expect(scene.addresses).toEqual([]);
  });

  it.each([
    ['timeout', true],
    ['rejected', true],
    ['connection', false],
  ] as const)('are no longer waited for after a %s: %s', async (reason, warm) => {
    const scene = await assigned(collected('a'), group(['10.0.0.1']));
    const [a] = scene.collections;
    a.fail(reason);
    expect(scene.warm).toBe(warm);
    if (warm) expect(scene.addresses).toEqual(['10.0.0.1:80']);
    await a.resources({ one: member('10.0.1.1') });
    expect(scene.addresses).toEqual(['10.0.1.1:80', '10.0.0.1:80']);
    a.fail(reason);
    expect(scene.addresses).toHaveLength(2);
  });

  it('that are wrong are refused by their names, and nothing of their update is taken', async () => {
    const scene = await assigned(collected('a'));
    const [a] = scene.collections;
    await a.resources({ one: member('10.0.1.1') });
    const update = a.resources({
      two: member('10.0.1.2'),
      three: member('web.example'),
      four: member('::1', { load_balancing_weight: 0 }),
    });
    const error: unknown = await update.catch((caught: unknown) => caught);
    expect((error as ConfigError).problems.map(({ path }) => path)).toEqual([
      'three: endpoint.address.socket_address.address',
      'four: load_balancing_weight',
    ]);
    expect(scene.addresses).toEqual(['10.0.1.1:80']);
  });

  it('are not asked for again by an assignment that names them again', async () => {
    const scene = await assigned(collected('a'), collected('b'));
    const [a, b] = scene.collections;
    await a.resources({ one: member('10.0.1.1') });
    await b.resources({ two: member('10.0.1.2') });
    await scene.assign({ endpoints: [collected('a', { priority: 1 }), collected('c'), collected('c')] });
    expect([scene.collections.length, a.stopped, b.stopped]).toEqual([3, false, true]);
    // The new one has no list yet: what was there goes on.
    expect(scene.addresses).toEqual(['10.0.1.1:80', '10.0.1.2:80']);
    await scene.collections[2].resources({ three: member('10.0.1.3') });
    expect(scene.addresses).toEqual(['10.0.1.1:80', '10.0.1.3:80']);
    expect(scene.updates.at(-1)?.localities.map(({ priority }) => priority)).toEqual([1, 0]);
  });

  it('end with their cluster, and with a stale assignment', async () => {
    const stale = new EdsScene().begin();
    await stale.assign({ endpoints: [collected('a')], policy: { endpoint_stale_after: '1s' } });
    stale.clock.advance(1000);
    expect([stale.collections[0].stopped, stale.updates]).toEqual([true, [{ localities: [] }]]);
    const ended = await assigned(collected('a'));
    ended.discovery.stop();
    expect(ended.subscriptions.active).toEqual([]);
  });

  it('may come at once', async () => {
    const scene = new EdsScene();
    const { subscriptions } = scene;
    const subscribe = subscriptions.subscribe.bind(subscriptions);
    subscriptions.subscribe = (options) => {
      const subscription = subscribe(options);
      if (options.type.typeName === LbEndpointSchema.typeName)
        void subscriptions.all.at(-1)?.resources({ one: member('10.0.1.1') });
      return subscription;
    };
    await scene.begin().assign({ endpoints: [collected('a'), collected('b')] });
    expect([scene.updates.length, scene.addresses]).toEqual([1, ['10.0.1.1:80']]);
  });

  it('that cannot be subscribed to refuse the whole assignment', async () => {
    const scene = new EdsScene();
    const { subscriptions } = scene;
    const subscribe = subscriptions.subscribe.bind(subscriptions);
    subscriptions.subscribe = (options) => {
      if (options.names?.[0] === collectionName('bad')) throw ConfigError.at('ads', 'there is none');
      return subscribe(options);
    };
    await scene.begin().assign({ endpoints: [collected('a')] });
    await scene.collections[0].resources({ one: member('10.0.1.1') });
    await expect(
      scene.assign({ endpoints: [collected('a'), collected('b'), collected('bad')] }),
    ).rejects.toThrow(/^web: endpoints\[2\]\.leds_cluster_locality_config\.leds_config\.ads: there is none$/);
    expect(scene.collections.map(({ stopped }) => stopped)).toEqual([false, true]);
    await scene.collections[0].resources({ two: member('10.0.1.2') });
    expect(scene.addresses).toEqual(['10.0.1.1:80', '10.0.1.2:80']);
  });
});
