import type { Clock, Gauge, StatsScope } from '@dragoman/core';

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
  readonly listenerAdded: ReturnType<StatsScope['counter']>;
  readonly listenerCreateSuccess: ReturnType<StatsScope['counter']>;
  readonly listenerCreateFailure: ReturnType<StatsScope['counter']>;
  readonly listenerStopped: ReturnType<StatsScope['counter']>;
  readonly workersStarted: Gauge;
  /** Brings the gauges that follow time and memory up to date: before every flush. */
  refresh(connections: number): void;
}

/** What Envoy documents and nothing here changes yet. */
const RESERVED_COUNTERS = [
  'debug_assertion_failures',
  'envoy_bug_failures',
  'static_unknown_fields',
  'dynamic_unknown_fields',
  'dropped_stat_flushes',
  'wip_protos',
] as const;

/** Envoy's value where there is no certificate. */
const NO_CERTIFICATE_DAYS = 2 ** 32 - 1;

export function createServerStats(root: StatsScope, clock: Clock, concurrency: number): ServerStats {
  const server = root.scope('server');
  const manager = root.scope('listener_manager');
  for (const name of RESERVED_COUNTERS) server.counter(name);
  for (const name of ['listener_modified', 'listener_removed', 'listener_in_place_updated'])
    manager.counter(name);
  for (const name of ['total_listeners_warming', 'total_filter_chains_draining']) manager.gauge(name);
  server.gauge('concurrency').set(concurrency);
  server.gauge('hot_restart_epoch').set(0);
  server.gauge('hot_restart_generation').set(1);
  server.gauge('parent_connections').set(0);
  server.gauge('stats_recent_lookups').set(0);
  server.gauge('version').set(0);
  server.gauge('days_until_first_cert_expiring').set(NO_CERTIFICATE_DAYS);
  server.gauge('seconds_until_first_ocsp_response_expiring').set(0);
  const uptime = server.gauge('uptime');
  const totalConnections = server.gauge('total_connections');
  const allocated = server.gauge('memory_allocated');
  const heapSize = server.gauge('memory_heap_size');
  const physical = server.gauge('memory_physical_size');
  const start = clock.now();
  return {
    live: server.gauge('live'),
    state: server.gauge('state'),
    initializationTimeMs: server.histogram('initialization_time_ms', 'milliseconds'),
    listenersActive: manager.gauge('total_listeners_active'),
    listenersDraining: manager.gauge('total_listeners_draining'),
    listenerAdded: manager.counter('listener_added'),
    listenerCreateSuccess: manager.counter('listener_create_success'),
    listenerCreateFailure: manager.counter('listener_create_failure'),
    listenerStopped: manager.counter('listener_stopped'),
    workersStarted: manager.gauge('workers_started'),
    refresh(connections) {
      uptime.set(Math.floor((clock.now() - start) / 1000));
      totalConnections.set(connections);
      const { heapUsed, heapTotal, rss } = process.memoryUsage();
      allocated.set(heapUsed);
      heapSize.set(heapTotal);
      physical.set(rss);
    },
  };
}
