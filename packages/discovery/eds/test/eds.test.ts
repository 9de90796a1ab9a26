import { ClusterLoadAssignmentSchema } from '@dragoman/api';
import { ConfigError } from '@dragoman/core';
import { FakeSubscriptions, lbEndpoint, testContext } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { assignment, EdsScene, group } from './support.ts';

describe('the subscription', () => {
  it('asks for the assignment of the cluster, and ends', () => {
    const scene = new EdsScene().begin();
    const { options } = scene.server;
    expect(options.type).toBe(ClusterLoadAssignmentSchema);
    expect(options.source).toMatchObject({ configSourceSpecifier: { case: 'ads' } });
    expect([options.names, options.stats.prefix]).toEqual([['web'], 'cluster.web']);
    scene.discovery.stop();
    expect(scene.subscriptions.active).toEqual([]);
  });

  it('asks by service_name, which the assignment has to bear', async () => {
    const name = 'xdstp://server/envoy.config.endpoint.v3.ClusterLoadAssignment/web';
    const scene = new EdsScene({
      name: 'xdstp://server/envoy.config.cluster.v3.Cluster/web',
      eds_cluster_config: { eds_config: { path_config_source: { path: '/x' } }, service_name: name },
    }).begin();
    expect(scene.server.names).toEqual([name]);
    await expect(scene.server.resources({ [name]: assignment() })).rejects.toThrow(
      `${name}: cluster_name: is "web"; "${name}" was asked for`,
    );
    await scene.server.resources({ [name]: assignment({ cluster_name: name }) });
    expect(scene.updates).toHaveLength(1);
  });

  it.each<[string, object, string]>([
    ['no EDS config', { eds_cluster_config: undefined }, 'eds_cluster_config'],
    ['no source', { eds_cluster_config: {} }, 'eds_cluster_config.eds_config'],
    ['an xdstp name alone', { name: 'xdstp://a/b/c' }, 'eds_cluster_config.service_name'],
    ['endpoints of its own', { load_assignment: { cluster_name: 'web' } }, 'load_assignment'],
  ])('refuses %s', (_name, cluster, path) => {
    let error: unknown;
    try {
      new EdsScene(cluster);
    } catch (caught) {
      error = caught;
    }
    expect((error as ConfigError).problems.map((problem) => problem.path)).toEqual([path]);
  });

  it('checks its source when it is made, without asking for anything', () => {
    const { subscriptions } = new EdsScene();
    expect(subscriptions.all).toEqual([]);
    expect(subscriptions.checked).toMatchObject([
      {
        source: { configSourceSpecifier: { case: 'ads' } },
        type: ClusterLoadAssignmentSchema,
        names: ['web'],
      },
    ]);
  });

  it.each(['check', 'subscribe'] as const)('refuses a source that there is not: %s', (method) => {
    const subscriptions = new FakeSubscriptions();
    subscriptions[method] = () => {
      throw ConfigError.at('api_config_source', 'unknown');
    };
    const make = () => new EdsScene({}, { subscriptions });
    expect(method === 'check' ? make : () => make().begin()).toThrow(
      /^eds_cluster_config\.eds_config\.api_config_source: unknown$/,
    );
    if (method === 'subscribe') make();
  });

  it('ends a subscription that answered at once and was given up for it', () => {
    const scene = new EdsScene();
    const { subscriptions } = scene;
    const subscribe = subscriptions.subscribe.bind(subscriptions);
    subscriptions.subscribe = (options) => {
      const subscription = subscribe(options);
      scene.discovery.stop();
      return subscription;
    };
    scene.begin();
    expect(subscriptions.active).toEqual([]);
  });
});

describe('warming', () => {
  it.each<[string, (scene: EdsScene) => unknown, boolean]>([
    ['hosts', (scene) => scene.assign({ endpoints: [group(['10.0.0.1'])] }), true],
    ['an assignment without hosts', (scene) => scene.assign({}), true],
    ['an update without the assignment', (scene) => scene.server.update({}), true],
    ['its removal', (scene) => scene.server.update({ removed: ['web'] }), true],
    ['a timeout', (scene) => scene.server.fail('timeout'), true],
    ['a refusal', (scene) => scene.server.fail('rejected'), true],
    ['a lost connection', (scene) => scene.server.fail('connection'), false],
  ])('%s', async (_name, happen, ends) => {
    const scene = new EdsScene().begin();
    expect(scene.warm).toBe(false);
    await happen(scene);
    expect(scene.warm).toBe(ends);
  });

  it('is over with a refused assignment only when the subscription says so', async () => {
    const scene = new EdsScene().begin();
    await expect(scene.assign({ cluster_name: 'other' })).rejects.toThrow(ConfigError);
    expect(scene.warm).toBe(false);
    scene.server.fail('rejected', 'web: cluster_name: is "other"');
    expect(scene.failures).toEqual(['what came was refused: web: cluster_name: is "other"']);
  });
});

describe('later', () => {
  it.each<[string, (scene: EdsScene) => unknown]>([
    ['an update without the assignment', (scene) => scene.server.update({ full: true })],
    ['its removal', (scene) => scene.server.update({ removed: ['web'] })],
    ['a lost connection', (scene) => scene.server.fail('connection')],
    ['a timeout', (scene) => scene.server.fail('timeout')],
    ['a refusal', (scene) => scene.server.fail('rejected')],
    [
      'a wrong assignment',
      (scene) => expect(scene.assign({ endpoints: [group(['nowhere'])] })).rejects.toThrow(ConfigError),
    ],
  ])('%s leaves the hosts as they are', async (_name, happen) => {
    const scene = new EdsScene().begin();
    await scene.assign({ endpoints: [group(['10.0.0.1'])] });
    await happen(scene);
    expect(scene.addresses).toEqual(['10.0.0.1:80']);
    expect(scene.updates).toHaveLength(1);
    await scene.assign({ endpoints: [group(['10.0.0.2'])] });
    expect(scene.addresses).toEqual(['10.0.0.2:80']);
  });

  it('an assignment without hosts takes them away', async () => {
    const scene = new EdsScene().begin();
    await scene.assign({ endpoints: [group(['10.0.0.1'])] });
    await scene.assign({});
    expect(scene.updates.at(-1)).toEqual({ localities: [] });
  });

  it('nothing is said after the end', async () => {
    const scene = new EdsScene().begin();
    await scene.assign({ endpoints: [group(['10.0.0.1'])], policy: { endpoint_stale_after: '1s' } });
    scene.discovery.stop();
    await scene.assign({ endpoints: [group(['10.0.0.2'])] });
    await scene.server.update({});
    scene.server.fail('timeout');
    await scene.clock.advanceAsync(5000);
    expect([scene.updates.length, scene.failures, scene.clock.pendingTimers]).toEqual([1, [], 0]);
  });
});

describe('what has not changed', () => {
  const one = { ...lbEndpoint('10.0.0.1'), load_balancing_weight: 2 };
  const two = { ...lbEndpoint('10.0.0.2'), metadata: { filter_metadata: { 'envoy.lb': { v: 1 } } } };
  const fields = (...endpoints: object[]) => ({ endpoints: [{ lb_endpoints: endpoints }] });
  const zoned = (weight: number | undefined, ...zones: string[]) => ({
    endpoints: zones.map((zone) => ({
      locality: { zone },
      lb_endpoints: [lbEndpoint('10.0.0.1'), lbEndpoint('10.0.0.2')],
      ...(weight === undefined ? {} : { load_balancing_weight: weight }),
    })),
  });

  it.each<[string, object, object, published: boolean, counted: boolean]>([
    ['the same', fields(one, two), fields(one, two), false, true],
    ['another order', fields(one, two), fields(two, one), false, true],
    ['a host repeated', fields(one), fields(one, one), false, true],
    [
      'an empty locality more',
      fields(one),
      { endpoints: [group([]), ...fields(one).endpoints] },
      false,
      true,
    ],
    ['another weight', fields(one), fields({ ...one, load_balancing_weight: 3 }), true, false],
    ['another health', fields(one), fields({ ...one, health_status: 'DRAINING' }), true, false],
    ['other metadata', fields(two), fields(lbEndpoint('10.0.0.2')), true, false],
    ['a host more', fields(one), fields(one, two), true, false],
    ['a host less', fields(one, two), fields(two), true, false],
    ['another locality', zoned(1, 'a'), zoned(1, 'b'), true, false],
    ['another weight of the locality', zoned(1, 'a'), zoned(2, 'a'), true, false],
    ['no weight of the locality any more', zoned(1, 'a'), zoned(undefined, 'a'), true, false],
    [
      'another priority',
      fields(one),
      { endpoints: [{ ...fields(one).endpoints[0], priority: 1 }] },
      true,
      false,
    ],
    ['the factor', fields(one), { ...fields(one), policy: { overprovisioning_factor: 200 } }, true, false],
    [
      'the default factor',
      fields(one),
      { ...fields(one), policy: { overprovisioning_factor: 140 } },
      false,
      true,
    ],
    [
      'how health counts',
      fields(one),
      { ...fields(one), policy: { weighted_priority_health: true } },
      true,
      false,
    ],
    [
      'what is dropped',
      fields(one),
      {
        ...fields(one),
        policy: { drop_overloads: [{ category: 'lb', drop_percentage: { numerator: 5 } }] },
      },
      true,
      true,
    ],
  ])('%s', async (_name, before, after, published, counted) => {
    const scene = new EdsScene().begin();
    await scene.assign(before);
    await scene.assign(after);
    expect(scene.updates).toHaveLength(published ? 2 : 1);
    expect(scene.stat('update_no_rebuild')).toBe(counted ? 1 : 0);
  });

  it('is counted, and published, when there are no hosts at first', async () => {
    const scene = new EdsScene().begin();
    await scene.assign({});
    expect([scene.updates.length, scene.stat('update_no_rebuild')]).toEqual([1, 1]);
  });
});

describe('staleness', () => {
  const fresh = (seconds: number) => ({
    endpoints: [group(['10.0.0.1'])],
    policy: {
      endpoint_stale_after: `${seconds}s`,
      drop_overloads: [{ category: 'lb', drop_percentage: { numerator: 50 } }],
    },
  });

  it('drops the hosts when nothing comes in time, and takes those that come later', async () => {
    const scene = new EdsScene().begin();
    await scene.assign(fresh(10));
    scene.clock.advance(9_999);
    expect(scene.addresses).toEqual(['10.0.0.1:80']);
    scene.clock.advance(1);
    expect(scene.updates.at(-1)).toEqual({ localities: [], dropOverload: { category: 'lb', ratio: 0.5 } });
    expect([scene.stat('assignment_stale'), scene.stat('assignment_timeout_received')]).toEqual([1, 1]);
    scene.clock.advance(60_000);
    expect(scene.stat('assignment_stale')).toBe(1);
    await scene.assign(fresh(10));
    expect(scene.addresses).toEqual(['10.0.0.1:80']);
  });

  it('counts anew from each assignment, and not from what is no assignment', async () => {
    const scene = new EdsScene().begin();
    await scene.assign(fresh(10));
    scene.clock.advance(6_000);
    await scene.assign(fresh(10));
    scene.clock.advance(6_000);
    await expect(scene.assign({ endpoints: [group(['x'])] })).rejects.toThrow(ConfigError);
    await scene.server.update({});
    scene.clock.advance(3_999);
    expect(scene.addresses).toHaveLength(1);
    scene.clock.advance(1);
    expect(scene.addresses).toEqual([]);
  });

  it('ends with an assignment that does not go stale', async () => {
    const scene = new EdsScene().begin();
    await scene.assign(fresh(10));
    await scene.assign({ endpoints: [group(['10.0.0.1'])] });
    expect(scene.clock.pendingTimers).toBe(0);
  });
});

it('has one priority in the local cluster', async () => {
  const { localInfo } = testContext();
  const scene = new EdsScene({}, { localInfo: { ...localInfo, localClusterName: 'web' } }).begin();
  await expect(scene.assign({ endpoints: [group([]), group([], { priority: 1 })] })).rejects.toThrow(
    'web: endpoints[1].priority: must be 0 in the local cluster, is 1',
  );
  await scene.assign({ endpoints: [group(['10.0.0.1'])] });
  expect(scene.addresses).toEqual(['10.0.0.1:80']);
});
