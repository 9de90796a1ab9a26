import { HealthCheck_TcpHealthCheckSchema } from '@dragoman/api';
import {
  defineHealthChecker,
  type EndpointData,
  ExtensionRegistry,
  type HealthCheckResult,
  type HealthCheckTarget,
  HealthFlag,
  type HostListUpdate,
  noSubscriptions,
} from '@dragoman/core';
import { FakeClock } from '@dragoman/testing';
import { type HealthDependencies, HostPipeline } from '../../src/health/host-pipeline.ts';
import { clusterMessage, testContext } from './clusters.ts';
import { FakeCodec, FakeConnector } from './fake-upstream.ts';
import { MemoryStats } from './memory-stats.ts';

/** The checks of one host, as the test wants them to end. */
export class FakeSession {
  readonly target: HealthCheckTarget;
  attempts = 0;
  cancelled = 0;
  closed = false;
  private done: ((result: HealthCheckResult) => void) | undefined = undefined;

  constructor(target: HealthCheckTarget) {
    this.target = target;
  }

  check(done: (result: HealthCheckResult) => void): void {
    this.attempts++;
    this.done = done;
  }

  cancel(): void {
    this.cancelled++;
  }

  close(): void {
    this.closed = true;
  }

  end(result: HealthCheckResult): void {
    this.done?.(result);
  }

  succeed(degraded = false): void {
    this.end({ ok: true, degraded });
  }

  fail(over: { kind?: 'active' | 'network'; retriable?: boolean; immediate?: boolean } = {}): void {
    this.end({ ok: false, kind: 'active', reason: 'test', ...over });
  }
}

/** A cluster whose hosts are checked as the test says, on fake time. */
export function healthWorld(check: object = {}, cluster: object = {}) {
  const clock = new FakeClock();
  const stats = new MemoryStats();
  const { context } = testContext(clock, stats);
  const sessions = new Map<string, FakeSession>();
  const checker = defineHealthChecker({
    name: 'envoy.health_checkers.tcp',
    config: HealthCheck_TcpHealthCheckSchema,
    field: 'tcp_health_check',
    create: () => ({
      session(target) {
        const session = new FakeSession(target);
        sessions.set(target.host.address.text, session);
        return session;
      },
    }),
  });
  const lists: HostListUpdate[] = [];
  const written: [path: string, line: string][] = [];
  const traffic = { seen: true };
  const health: HealthDependencies = {
    connector: new FakeConnector(),
    createCodec: (connection, handler) => new FakeCodec(connection, handler),
    http2: undefined,
    hasTraffic: () => traffic.seen,
    writeEvent: (path, line) => written.push([path, line]),
  };
  const pipeline = new HostPipeline({
    cluster: clusterMessage({
      common_lb_config: { update_merge_window: '0s' },
      health_checks: [
        {
          timeout: '1s',
          interval: '5s',
          unhealthy_threshold: 2,
          healthy_threshold: 3,
          tcp_health_check: {},
          ...check,
        },
      ],
      ...cluster,
    }),
    registry: new ExtensionRegistry([checker]),
    context: Object.assign(context, {
      subscriptions: noSubscriptions,
      dns: { resolve: async () => ({ ok: false as const, reason: '' }), close() {} },
    }),
    clusterScope: stats.scope('cluster.web'),
    health,
    mergeStats: {
      viaMerge: stats.counter('cluster_updated_via_merge'),
      cancelled: stats.counter('update_merge_cancelled'),
      outOfWindow: stats.counter('update_out_of_merge_window'),
    },
    ejectionLog: '/log/outliers',
    onHosts: (update) => lists.push(update),
  });
  return {
    clock,
    pipeline,
    lists,
    written,
    traffic,
    counts: () => stats.nonZero('cluster.web.health_check.'),
    stats,
    of(address: string): FakeSession {
      const session = sessions.get(address);
      if (session === undefined) throw new Error(`${address} is not checked`);
      return session;
    },
    /** The hosts of the last list, with the names of their flags. */
    hosts: () => Object.fromEntries(endpointsOf(lists.at(-1)).map((one) => [one.address, flagNames(one)])),
  };
}

function endpointsOf(list: HostListUpdate | undefined): readonly EndpointData[] {
  return list?.localities.flatMap(({ endpoints }) => endpoints) ?? [];
}

function flagNames({ checked = 0 }: EndpointData): string[] {
  return Object.entries(HealthFlag)
    .filter(([, bit]) => (checked & bit) !== 0)
    .map(([name]) => name);
}
