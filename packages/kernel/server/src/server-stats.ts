import type { CertificateGroup, Clock, Gauge, StatsScope } from '@dragoman/core';
import { daysUntilFirstExpiry } from './certificate-report.ts';
import { memoryOf } from './memory.ts';
import type { WorkerMemory } from './workers/workers.ts';

/** Envoy's numbers of `server.state`. */
export const ServerState = { live: 0, draining: 1, preInitializing: 2, initializing: 3 } as const;
export type ServerState = (typeof ServerState)[keyof typeof ServerState];

/** `server.*` and `listener_manager.*`. */
export interface ServerStats {
  readonly live: Gauge;
  readonly state: Gauge;
  readonly initializationTimeMs: ReturnType<StatsScope['histogram']>;
  readonly listenersActive: Gauge;
  readonly listenersDraining: Gauge;
  readonly listenersWarming: Gauge;
  readonly listenerAdded: ReturnType<StatsScope['counter']>;
  readonly listenerCreateSuccess: ReturnType<StatsScope['counter']>;
  readonly listenerCreateFailure: ReturnType<StatsScope['counter']>;
  readonly listenerStopped: ReturnType<StatsScope['counter']>;
  readonly listenerModified: ReturnType<StatsScope['counter']>;
  readonly listenerRemoved: ReturnType<StatsScope['counter']>;
  readonly workersStarted: Gauge;
  /** Worker threads that ended while the proxy ran, and were replaced. Not in Envoy, which ends with its first. */
  readonly workerDeaths: ReturnType<StatsScope['counter']>;
  /** What nobody caught. */
  readonly bugFailures: ReturnType<StatsScope['counter']>;
  readonly hotRestartEpoch: Gauge;
  readonly hotRestartGeneration: Gauge;
  /** Of the processes that this one has taken over from, ms. */
  uptimeBeforeMs: number;
  /** Brings the gauges that follow time and memory up to date: before every flush. */
  refresh(connections: number, parentConnections: number): void;
  /** What the worker threads have of the memory. */
  noteWorkers(rows: readonly WorkerMemory[]): void;
  /** The certificates that workers use. */
  noteCertificates(groups: readonly CertificateGroup[]): void;
}

/** What Envoy documents and nothing here changes yet. */
const RESERVED_COUNTERS = [
  'debug_assertion_failures',
  'static_unknown_fields',
  'dynamic_unknown_fields',
  'dropped_stat_flushes',
  'wip_protos',
] as const;

export function createServerStats(root: StatsScope, clock: Clock, concurrency: number): ServerStats {
  const server = root.scope('server');
  const manager = root.scope('listener_manager');
  for (const name of RESERVED_COUNTERS) server.counter(name);
  // An update replaces a listener as a whole: no filter chain is drained alone.
  manager.counter('listener_in_place_updated');
  manager.gauge('total_filter_chains_draining', 'never-import');
  // Of this process alone: what another one has of them is not added in a hot restart (as in Envoy).
  const own = (name: string): Gauge => server.gauge(name, 'never-import');
  const ownOfManager = (name: string): Gauge => manager.gauge(name, 'never-import');
  own('concurrency').set(concurrency);
  const hotRestartEpoch = own('hot_restart_epoch');
  const hotRestartGeneration = own('hot_restart_generation');
  hotRestartEpoch.set(0);
  hotRestartGeneration.set(1);
  own('stats_recent_lookups').set(0);
  own('version').set(0);
  const certificateDays = own('days_until_first_cert_expiring');
  own('seconds_until_first_ocsp_response_expiring').set(0);
  const parent = own('parent_connections');
  parent.set(0);
  const uptime = own('uptime');
  const totalConnections = own('total_connections');
  const allocated = server.gauge('memory_allocated');
  const heapSize = server.gauge('memory_heap_size');
  const physical = server.gauge('memory_physical_size');
  const start = clock.now();
  let workers: readonly WorkerMemory[] = [];
  let certificates: readonly CertificateGroup[] = [];
  const countDays = () => certificateDays.set(daysUntilFirstExpiry(certificates, clock.wallTime()));
  countDays();
  return {
    live: own('live'),
    state: own('state'),
    hotRestartEpoch,
    hotRestartGeneration,
    uptimeBeforeMs: 0,
    initializationTimeMs: server.histogram('initialization_time_ms', 'milliseconds'),
    listenersActive: ownOfManager('total_listeners_active'),
    listenersDraining: ownOfManager('total_listeners_draining'),
    listenersWarming: ownOfManager('total_listeners_warming'),
    listenerAdded: manager.counter('listener_added'),
    listenerCreateSuccess: manager.counter('listener_create_success'),
    listenerCreateFailure: manager.counter('listener_create_failure'),
    listenerStopped: manager.counter('listener_stopped'),
    listenerModified: manager.counter('listener_modified'),
    listenerRemoved: manager.counter('listener_removed'),
    workerDeaths: server.counter('worker_deaths'),
    bugFailures: server.counter('envoy_bug_failures'),
    workersStarted: ownOfManager('workers_started'),
    refresh(connections, parentConnections) {
      uptime.set(Math.floor((clock.now() - start + this.uptimeBeforeMs) / 1000));
      totalConnections.set(connections + parentConnections);
      parent.set(parentConnections);
      countDays();
      const { total } = memoryOf(workers);
      allocated.set(Number(total.allocated));
      heapSize.set(Number(total.heapSize));
      physical.set(Number(total.totalPhysicalBytes));
    },
    noteWorkers(rows) {
      workers = rows;
    },
    noteCertificates(groups) {
      certificates = groups;
      countDays();
    },
  };
}
