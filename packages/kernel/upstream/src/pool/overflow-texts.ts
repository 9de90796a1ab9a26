import type { Logger, RoutingPriority } from '@dragoman/core';
import type { Thresholds } from '../resources.ts';

/** What of a circuit breaker can refuse a request or a connection. */
export type Breaker =
  | 'connections'
  | 'connectionsPerHost'
  | 'pendingRequests'
  | 'requests'
  | 'connectionPools';

/** Where each stands in `circuit_breakers`, and which stat of the cluster shows how much is in use. */
const BREAKERS: Readonly<
  Record<Breaker, { list: string; field: string; max: (thresholds: Thresholds) => number; use: string }>
> = {
  connections: {
    list: 'thresholds',
    field: 'max_connections',
    max: (thresholds) => thresholds.maxConnections,
    use: 'upstream_cx_active',
  },
  connectionsPerHost: {
    list: 'per_host_thresholds',
    field: 'max_connections',
    max: (thresholds) => thresholds.maxConnectionsPerHost ?? 0,
    use: 'cx_active of the host at /clusters',
  },
  pendingRequests: {
    list: 'thresholds',
    field: 'max_pending_requests',
    max: (thresholds) => thresholds.maxPendingRequests,
    use: 'upstream_rq_pending_active',
  },
  requests: {
    list: 'thresholds',
    field: 'max_requests',
    max: (thresholds) => thresholds.maxRequests,
    use: 'upstream_rq_active',
  },
  connectionPools: {
    list: 'thresholds',
    field: 'max_connection_pools',
    max: (thresholds) => thresholds.maxConnectionPools,
    use: 'circuit_breakers.*.cx_pool_open',
  },
};

/** The details of a request for which an overloaded proxy opens no connection. */
export const SHED_TEXT =
  'the overload manager sheds it (envoy.load_shed_points.connection_pool_new_connection)';

/** Says which threshold of a cluster was hit, for access logs and the log. */
export class OverflowTexts {
  private readonly cluster: string;
  private readonly priority: RoutingPriority;
  private readonly thresholds: Thresholds;
  private readonly logger: Logger;
  private readonly known = new Map<Breaker, string>();

  /** @param thresholds of `priority` */
  constructor(cluster: string, priority: RoutingPriority, thresholds: Thresholds, logger: Logger) {
    this.cluster = cluster;
    this.priority = priority;
    this.thresholds = thresholds;
    this.logger = logger;
  }

  /** A request is refused. @returns the details of its failure, of which access logs get to know */
  refused(breaker: Breaker): string {
    this.log('refused a request (503, UO)', breaker);
    return this.textOf(breaker);
  }

  /** A connection is not opened. What waits for it goes on waiting. */
  held(breaker: Breaker): void {
    this.log('opened no further connection', breaker);
  }

  private log(what: string, breaker: Breaker): void {
    if (!this.logger.enabled('debug')) return;
    this.logger.debug(
      `${what}: ${this.textOf(breaker)}; raise it there, or see what holds them (${BREAKERS[breaker].use})`,
    );
  }

  /** Made once: under overload there are many. */
  private textOf(breaker: Breaker): string {
    let text = this.known.get(breaker);
    if (text === undefined) {
      const { list, field, max } = BREAKERS[breaker];
      const place = `circuit_breakers.${list}[${this.priority.toUpperCase()}].${field}`;
      text = `${place} of cluster ${this.cluster} is reached: ${max(this.thresholds)}`;
      this.known.set(breaker, text);
    }
    return text;
  }
}
