import { type Cluster, ClusterSchema, readLoose } from '@dragoman/api';
import type { ResourceManager } from '@dragoman/core';
import { SharedCounts, StatsStore } from '@dragoman/stats';
import { testContext } from '@dragoman/testing';
import { createClusterManager } from '@dragoman/upstream';
import { ExtensionRegistry } from '@dragoman/core';
import { describe, expect, test } from 'vitest';
import { RuntimeValues } from '../src/runtime-values.ts';
import { sharedBudgets } from '../src/worker/shared-budgets.ts';
import { Ledger } from '../src/workers/ledger.ts';
import { EXTENSIONS } from './extensions.ts';

const clusterOf = (thresholds: object[]): Cluster =>
  readLoose(ClusterSchema, { name: 'web', type: 'STATIC', circuit_breakers: { thresholds } });

/** Two workers with one cluster, and main's ledger. */
function twoWorkers(cluster: Cluster, runtime = new RuntimeValues()) {
  const stats = new StatsStore();
  const ledger = new Ledger(2, stats, runtime);
  const handle = ledger.clusterBudgets(cluster);
  ledger.showCluster(cluster);
  const registry = new ExtensionRegistry(EXTENSIONS);
  const workers = [0, 1].map((index) => {
    const manager = createClusterManager({
      clusters: [cluster],
      registry,
      context: { ...testContext(), runtime },
      connector: undefined as never,
      createCodec: undefined as never,
      createBudget: sharedBudgets(new Map([['web', SharedCounts.of(handle)]]), index),
    });
    return (priority: 'default' | 'high'): ResourceManager =>
      (manager.get('web') as NonNullable<ReturnType<typeof manager.get>>).info.resources(priority);
  });
  const gauge = (name: string): number | undefined =>
    stats.gauges.get(`cluster.web.circuit_breakers.${name}`)?.value;
  return {
    stats,
    ledger,
    first: workers[0] as (typeof workers)[0],
    second: workers[1] as (typeof workers)[0],
    gauge,
  };
}

describe('budgets of two workers', () => {
  const KINDS = [
    ['connections', 'max_connections', 'cx_open', 'remaining_cx'],
    ['pendingRequests', 'max_pending_requests', 'rq_pending_open', 'remaining_pending'],
    ['requests', 'max_requests', 'rq_open', 'remaining_rq'],
    ['retries', 'max_retries', 'rq_retry_open', 'remaining_retries'],
    ['connectionPools', 'max_connection_pools', 'cx_pool_open', 'remaining_cx_pools'],
  ] as const;
  test.for(KINDS)('%s', ([kind, field, open, remaining]) => {
    const { ledger, first, second, gauge } = twoWorkers(
      clusterOf([
        { [field]: 2, track_remaining: true },
        { priority: 'HIGH', [field]: 1 },
      ]),
    );
    const shown = () => [gauge(`default.${open}`), gauge(`default.${remaining}`)];
    const budgets = [first('default')[kind], second('default')[kind]] as const;
    expect(budgets.map(({ max, used }) => [max, used])).toEqual([
      [2, 0],
      [2, 0],
    ]);
    expect(shown()).toEqual([0, 2]);
    budgets[0].take();
    expect(shown()).toEqual([0, 1]);
    budgets[1].take();
    expect(budgets.map((budget) => budget.canTake())).toEqual([false, false]);
    expect(shown()).toEqual([1, 0]);
    // More than there was: nobody shows less than nothing.
    budgets[1].take();
    expect([budgets[0].used, ...shown()]).toEqual([3, 1, 0]);
    // Another priority is another budget, without a gauge that nobody asked for.
    expect([first('high')[kind].canTake(), gauge(`high.${open}`), gauge(`high.${remaining}`)]).toEqual([
      true,
      0,
      undefined,
    ]);
    ledger.retire(1);
    expect([budgets[0].used, ...shown()]).toEqual([1, 0, 1]);
    budgets[0].give();
    expect(shown()).toEqual([0, 2]);
  });

  test('retry_budget is a share of the requests on all of them', () => {
    const retry_budget = { budget_percent: { value: 50 }, min_retry_concurrency: 1 };
    const { ledger, first, second, gauge } = twoWorkers(clusterOf([{ retry_budget, track_remaining: true }]));
    const [one, other] = [first('default'), second('default')];
    const shown = () => [gauge('default.rq_retry_open'), gauge('default.remaining_retries')];
    expect([one.retries.max, ...shown()]).toEqual([1, 0, 0]);
    one.retries.take();
    expect([other.retries.canTake(), other.retries.used, ...shown()]).toEqual([false, 1, 1, 0]);
    // Half of six that are under way or wait, whoever has them.
    for (let i = 0; i < 4; i++) other.requests.take();
    for (let i = 0; i < 2; i++) one.pendingRequests.take();
    expect([one.retries.max, other.retries.max, ...shown()]).toEqual([3, 3, 0, 0]);
    expect(other.retries.canTake()).toBe(true);
    ledger.retire(1);
    expect([one.retries.max, ...shown()]).toEqual([1, 1, 0]);
    ledger.retire(0);
    expect(shown()).toEqual([0, 0]);
  });
});

test('a new version of a cluster has a page of its own, and the gauges are its', () => {
  const before = clusterOf([{ max_connections: 1, track_remaining: true }]);
  const { ledger, first, gauge } = twoWorkers(before);
  first('default').connections.take();
  expect(gauge('default.remaining_cx')).toBe(0);
  const after = clusterOf([{ max_connections: 5, track_remaining: true }]);
  const page = SharedCounts.of(ledger.clusterBudgets(after));
  expect(gauge('default.remaining_cx')).toBe(0);
  ledger.showCluster(after);
  expect(gauge('default.remaining_cx')).toBe(5);
  page.of(0, 1).inc();
  expect(gauge('default.remaining_cx')).toBe(4);
  // A worker that dies takes from both.
  ledger.retire(1);
  expect(gauge('default.remaining_cx')).toBe(5);
  ledger.hideCluster('web');
  expect(gauge('default.remaining_cx')).toBeUndefined();
});

test.for([
  ['connections', 'max_connections', 'cx_open', 'remaining_cx'],
  ['pendingRequests', 'max_pending_requests', 'rq_pending_open', 'remaining_pending'],
  ['requests', 'max_requests', 'rq_open', 'remaining_rq'],
  ['retries', 'max_retries', 'rq_retry_open', 'remaining_retries'],
  ['connectionPools', 'max_connection_pools', 'cx_pool_open', 'remaining_cx_pools'],
] as const)('%s follow their runtime key, and so do their gauges', ([kind, field, open, remaining]) => {
  const runtime = new RuntimeValues();
  const { first, second, gauge } = twoWorkers(clusterOf([{ [field]: 1, track_remaining: true }]), runtime);
  const [one, other] = [first('default')[kind], second('default')[kind]];
  const seen = () => [other.max, other.canTake(), gauge(`default.${open}`), gauge(`default.${remaining}`)];
  one.take();
  expect(seen()).toEqual([1, false, 1, 0]);
  runtime.replace(new Map([[`circuit_breakers.web.default.${field}`, '3']]));
  expect(seen()).toEqual([3, true, 0, 2]);
  runtime.replace(new Map([[`circuit_breakers.web.default.${field}`, '0']]));
  expect(seen()).toEqual([0, false, 1, 0]);
  runtime.replace(new Map());
  expect(seen()).toEqual([1, false, 1, 0]);
});
