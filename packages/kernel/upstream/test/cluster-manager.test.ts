import { MaglevSchema } from '@dragoman/api';
import {
  ConfigError,
  defineLoadBalancer,
  ExtensionRegistry,
  emptyRuntime,
  type Host,
  type PickerPolicy,
} from '@dragoman/core';
import { FakeClock } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { CLUSTER_COUNTERS, CLUSTER_GAUGES, createClusterManager } from '../src/index.ts';
import { clusterMessage, hostList, inOrder, testContext, world } from './support/clusters.ts';
import { FakeCodec, FakeConnector, FakeRequest, settleCloses } from './support/fake-upstream.ts';
import { MemoryStats } from './support/memory-stats.ts';

describe('createClusterManager', () => {
  const make = (...clusters: object[]) => {
    const { context } = testContext(new FakeClock(), new MemoryStats());
    return createClusterManager({
      clusters: clusters.map(clusterMessage),
      registry: new ExtensionRegistry([inOrder]),
      context,
      connector: new FakeConnector(),
      createCodec: (connection, handler) => new FakeCodec(connection, handler),
    });
  };

  it('finds clusters by name', () => {
    const manager = make({ name: 'a' }, { name: 'b' });
    expect([...manager.clusterNames]).toEqual(['a', 'b']);
    expect(manager.get('a')?.info.name).toBe('a');
    expect(manager.get('c')).toBeUndefined();
    manager.updateHosts('c', hostList('10.0.0.1:80'));
  });

  it('reports the problems of all clusters, located', () => {
    expect(() =>
      make({ name: 'a', track_timeout_budgets: true }, { name: 'b' }, { name: 'b' }, { name: '' }),
    ).toThrow(
      /clusters\[0\]\.track_timeout_budgets: .*\n.*clusters\[2\]\.name: another cluster is named "b" too\n.*clusters\[3\]\.name/,
    );
  });
});

it('says in which message of a cluster its policy found a fault', () => {
  const strict = defineLoadBalancer({
    name: 'envoy.load_balancing_policies.maglev',
    config: MaglevSchema,
    lbPolicy: 'MAGLEV',
    create: (): PickerPolicy => {
      throw ConfigError.at('table_size', 'is odd');
    },
  });
  const config = { lb_policy: 'MAGLEV', maglev_lb_config: { table_size: 7 } };
  expect(() => world(config, { registry: new ExtensionRegistry([strict]) })).toThrow(
    'maglev_lb_config.table_size: is odd',
  );
});

describe('changes while it runs', () => {
  function busy() {
    const here = world();
    const request = new FakeRequest();
    here.cluster.httpPool(here.cluster.chooseHost(undefined) as Host, 'default').newStream(request, request);
    here.connector.last.accept();
    return { here, request };
  }

  it('keep everything of an unchanged cluster', () => {
    const { here } = busy();
    here.manager.addOrUpdateCluster(clusterMessage({}));
    expect(here.manager.get('web')).toBe(here.cluster);
    here.manager.addOrUpdateCluster(clusterMessage({}), hostList('10.0.0.9:80'));
    expect(here.cluster.chooseHost(undefined)?.address.text).toBe('10.0.0.9:80');
  });

  it('put a changed cluster in place, and let requests of the old one finish', () => {
    const { here, request } = busy();
    here.manager.addOrUpdateCluster(clusterMessage({ connect_timeout: '1s' }), hostList('10.0.0.1:80'));
    const changed = here.manager.get('web');
    expect(changed).not.toBe(here.cluster);
    expect(changed?.info.connectTimeoutMs).toBe(1000);
    expect(here.connector.last.open).toBe(true);
    here.connector.last.receive('done');
    expect(request.events).toEqual(['ready', 'body:done']);
    expect(here.connector.last.open).toBe(false);
  });

  it('change nothing when the new config is wrong', () => {
    const { here } = busy();
    expect(() => here.manager.addOrUpdateCluster(clusterMessage({ track_timeout_budgets: true }))).toThrow(
      'track_timeout_budgets',
    );
    expect(here.manager.get('web')).toBe(here.cluster);
  });

  it('take a removed cluster away, and let its requests finish', () => {
    const { here, request } = busy();
    expect(here.manager.removeCluster('web')).toBe(true);
    expect(here.manager.removeCluster('web')).toBe(false);
    expect(here.manager.get('web')).toBeUndefined();
    here.connector.last.receive('done');
    settleCloses();
    expect(request.events).toEqual(['ready', 'body:done']);
    expect(here.counts()['upstream_cx_active']).toBeUndefined();
  });
});

describe('the stats of a cluster', () => {
  it('exist from the start, also those that nothing counts yet', () => {
    const { stats } = world({ alt_stat_name: 'pretty' });
    for (const name of [...CLUSTER_COUNTERS, ...CLUSTER_GAUGES])
      expect(stats.value(`cluster.pretty.${name}`), name).toBe(0);
    for (const priority of ['default', 'high'])
      for (const gauge of ['cx_open', 'cx_pool_open', 'rq_open', 'rq_pending_open', 'rq_retry_open'])
        expect(stats.value(`cluster.pretty.circuit_breakers.${priority}.${gauge}`)).toBe(0);
    expect(stats.value('cluster.pretty.circuit_breakers.default.remaining_cx')).toBeUndefined();
  });

  it('show what is left with track_remaining', () => {
    const { stats } = world({
      circuit_breakers: { thresholds: [{ track_remaining: true, max_pending_requests: 7 }] },
    });
    const at = 'cluster.web.circuit_breakers.default.';
    expect(stats.nonZero(at)).toEqual({
      remaining_cx: 1024,
      remaining_cx_pools: 4_294_967_295,
      remaining_pending: 7,
      remaining_retries: 3,
      remaining_rq: 1024,
    });
  });

  it('show a threshold of 0 as open', () => {
    const { counts } = world({ circuit_breakers: { thresholds: [{ max_requests: 0 }] } });
    expect(counts()).toEqual({ 'circuit_breakers.default.rq_open': 1 });
  });

  it('count responses by code, class, origin and canary', () => {
    const { cluster, counts } = world();
    cluster.info.chargeResponse(200, false, false);
    cluster.info.chargeResponse(200, true, true);
    cluster.info.chargeResponse(503, false, false);
    cluster.info.chargeResponse(99, false, false);
    cluster.info.chargeResponse(1000, false, false);
    expect(counts()).toEqual({
      upstream_rq_completed: 3,
      upstream_rq_2xx: 2,
      upstream_rq_200: 2,
      upstream_rq_5xx: 1,
      upstream_rq_503: 1,
      'external.upstream_rq_completed': 2,
      'external.upstream_rq_2xx': 1,
      'external.upstream_rq_200': 1,
      'external.upstream_rq_5xx': 1,
      'external.upstream_rq_503': 1,
      'internal.upstream_rq_completed': 1,
      'internal.upstream_rq_2xx': 1,
      'internal.upstream_rq_200': 1,
      'canary.upstream_rq_completed': 1,
      'canary.upstream_rq_2xx': 1,
      'canary.upstream_rq_200': 1,
    });
  });

  it('time responses by origin and canary', () => {
    const { cluster, stats } = world();
    cluster.info.chargeResponseTime(5, false, false);
    cluster.info.chargeResponseTime(7, true, true);
    expect(stats.recorded('cluster.web.upstream_rq_time')).toEqual([5, 7]);
    expect(stats.recorded('cluster.web.external.upstream_rq_time')).toEqual([5]);
    expect(stats.recorded('cluster.web.internal.upstream_rq_time')).toEqual([7]);
    expect(stats.recorded('cluster.web.canary.upstream_rq_time')).toEqual([7]);
  });
});

it('is in maintenance when the runtime says so', () => {
  const runtime = {
    ...emptyRuntime,
    get: (key: string) => (key === 'upstream.maintenance_mode.web' ? '100' : undefined),
    featureEnabled: () => true,
  };
  expect(world({}, { runtime }).cluster.info.maintenanceMode).toBe(true);
  expect(world().cluster.info.maintenanceMode).toBe(false);
});

it('makes budgets with the factory it is given', () => {
  const keys: string[] = [];
  world(
    {},
    {
      createBudget: ({ cluster, priority, resource }, { value: max }) => {
        keys.push(`${cluster} ${priority} ${resource} ${max}`);
        return { canTake: () => true, take: () => {}, give: () => {}, max, used: 0 };
      },
    },
  );
  expect(keys).toContain('web default requests 1024');
  expect(keys).toContain('web high pendingRequests 1024');
  // Their limit moves with runtime and load: the budget counts alone.
  expect(keys).toContain(`web high retries ${2 ** 31 - 1}`);
  expect(keys).toHaveLength(10);
});
