import type { Logger, RoutingPriority } from '@dragoman/core';
import type { ThresholdLimits } from '../limits.ts';

/** What of a circuit breaker can refuse a request or a connection. */
export type Breaker =
  | 'connections'
  | 'connectionsPerHost'
  | 'pendingRequests'
  | 'requests'
  | 'connectionPools';

/** Where each stands in `circuit_breakers`, and which stat of the cluster shows how much is in use. */
const BREAKERS: Readonly<Record<Breaker, { list: string; field: string; use: string }>> = {
  connections: {
    list: 'thresholds',
    field: 'max_connections',
    use: 'upstream_cx_active',
  },
  connectionsPerHost: {
    list: 'per_host_thresholds',
    field: 'max_connections',
    use: 'cx_active of the host at /clusters',
  },
  pendingRequests: {
    list: 'thresholds',
    field: 'max_pending_requests',
    use: 'upstream_rq_pending_active',
  },
  requests: {
    list: 'thresholds',
    field: 'max_requests',
    use: 'upstream_rq_active',
  },
  connectionPools: {
    list: 'thresholds',
    field: 'max_connection_pools',
    use: 'circuit_breakers.*.cx_pool_open',
  },
};

/** The details of a request for which an overloaded proxy opens no connection. */
export const SHED_TEXT =
  'the overload manager sheds it (envoy.load_shed_points.connection_pool_new_connection)';

interface KnownText {
  readonly max: number;
  readonly key: string | undefined;
  readonly text: string;
}

/** Says which threshold of a cluster was hit, for access logs and the log. */
export class OverflowTexts {
  private readonly cluster: string;
  private readonly priority: RoutingPriority;
  private readonly limits: ThresholdLimits;
  private readonly logger: Logger;
  private readonly known = new Map<Breaker, KnownText>();

  /** @param limits of `priority` */
  constructor(cluster: string, priority: RoutingPriority, limits: ThresholdLimits, logger: Logger) {
    this.cluster = cluster;
    this.priority = priority;
    this.limits = limits;
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

  /** Made once for each limit: under overload there are many. */
  private textOf(breaker: Breaker): string {
    const known = this.known.get(breaker);
    const max = this.maxOf(breaker);
    const key = this.keyOf(breaker);
    if (known?.max === max && known.key === key) return known.text;
    const { list, field } = BREAKERS[breaker];
    const place = `circuit_breakers.${list}[${this.priority.toUpperCase()}].${field}`;
    const source = key === undefined ? '' : `, set by the runtime key ${key}`;
    const text = `${place} of cluster ${this.cluster} is reached: ${max}${source}`;
    this.known.set(breaker, { max, key, text });
    return text;
  }

  private maxOf(breaker: Breaker): number {
    const { limits } = this;
    return breaker === 'connectionsPerHost' ? (limits.connectionsPerHost ?? 0) : limits[breaker].value;
  }

  /** Undefined where the limit is the config's. */
  private keyOf(breaker: Breaker): string | undefined {
    if (breaker === 'connectionsPerHost') return undefined;
    const { overridden, key } = this.limits[breaker];
    return overridden ? key : undefined;
  }
}
