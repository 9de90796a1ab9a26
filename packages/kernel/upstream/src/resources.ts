import type { Gauge, ResourceBudget, ResourceManager, RoutingPriority, StatsScope } from '@dragoman/core';

/** What a threshold limits. */
export type ResourceKind = 'connections' | 'pendingRequests' | 'requests' | 'retries' | 'connectionPools';

/** `circuit_breakers.thresholds` of one priority. */
export interface Thresholds {
  /** Default 1024. */
  readonly maxConnections: number;
  /** Default 1024. */
  readonly maxPendingRequests: number;
  /** Default 1024. */
  readonly maxRequests: number;
  /** Default 3. */
  readonly maxRetries: number;
  /** Default: no limit. */
  readonly maxConnectionPools: number;
  /** `track_remaining`: whether the `remaining_*` gauges are kept. */
  readonly trackRemaining: boolean;
  /** Takes the place of {@link maxRetries}. */
  readonly retryBudget: { readonly percent: number; readonly minConcurrency: number } | undefined;
}

/** Envoy's defaults (2³²−1 pools: no limit). */
export const DEFAULT_THRESHOLDS: Thresholds = {
  maxConnections: 1024,
  maxPendingRequests: 1024,
  maxRequests: 1024,
  maxRetries: 3,
  maxConnectionPools: 2 ** 32 - 1,
  trackRemaining: false,
  retryBudget: undefined,
};

/** Where a budget shows what it has left. */
export interface BudgetGauges {
  /** 1 while nothing more fits. */
  readonly open: Gauge;
  /** Undefined without `track_remaining`. */
  readonly remaining: Gauge | undefined;
}

export interface BudgetKey {
  readonly cluster: string;
  readonly priority: RoutingPriority;
  readonly resource: ResourceKind;
}

/** Makes the budget of a threshold: on this thread, or one shared with other workers. */
export type CreateBudget = (key: BudgetKey, max: number, gauges: BudgetGauges) => ResourceBudget;

/** A budget of one thread. */
class LocalBudget implements ResourceBudget {
  readonly max: number;
  used = 0;
  private readonly open: Gauge;
  private readonly remaining: Gauge | undefined;

  constructor(max: number, gauges: BudgetGauges) {
    this.max = max;
    this.open = gauges.open;
    this.remaining = gauges.remaining;
    this.open.set(max > 0 ? 0 : 1);
    this.remaining?.set(max);
  }

  canTake(): boolean {
    return this.used < this.max;
  }

  take(): void {
    this.used++;
    if (this.used === this.max) this.open.set(1);
    if (this.remaining !== undefined) this.remaining.set(Math.max(0, this.max - this.used));
  }

  give(): void {
    this.used--;
    if (this.used === this.max - 1) this.open.set(0);
    if (this.remaining !== undefined) this.remaining.set(Math.max(0, this.max - this.used));
  }
}

export const createLocalBudget: CreateBudget = (_key, max, gauges) => new LocalBudget(max, gauges);

/** Retries as a share of the requests that are under way (`retry_budget`). */
class RetryBudget implements ResourceBudget {
  used = 0;
  private readonly percent: number;
  private readonly minConcurrency: number;
  private readonly requests: ResourceBudget;
  private readonly pending: ResourceBudget;
  private readonly gauges: BudgetGauges;

  constructor(
    budget: { readonly percent: number; readonly minConcurrency: number },
    requests: ResourceBudget,
    pending: ResourceBudget,
    gauges: BudgetGauges,
  ) {
    this.percent = budget.percent;
    this.minConcurrency = budget.minConcurrency;
    this.requests = requests;
    this.pending = pending;
    this.gauges = gauges;
    this.publish();
  }

  get max(): number {
    const active = this.requests.used + this.pending.used;
    return Math.max(this.minConcurrency, Math.floor((active * this.percent) / 100));
  }

  canTake(): boolean {
    return this.used < this.max;
  }

  take(): void {
    this.used++;
    this.publish();
  }

  give(): void {
    this.used--;
    this.publish();
  }

  private publish(): void {
    this.gauges.open.set(this.canTake() ? 0 : 1);
    this.gauges.remaining?.set(Math.max(0, this.max - this.used));
  }
}

/** The circuit breaker of one priority of a cluster. */
export class Resources implements ResourceManager {
  readonly connections: ResourceBudget;
  readonly pendingRequests: ResourceBudget;
  readonly requests: ResourceBudget;
  readonly retries: ResourceBudget;
  readonly connectionPools: ResourceBudget;

  /** @param clusterScope `cluster.<name>` */
  constructor(
    cluster: string,
    priority: RoutingPriority,
    thresholds: Thresholds,
    clusterScope: StatsScope,
    createBudget: CreateBudget,
  ) {
    const scope = clusterScope.scope(`circuit_breakers.${priority}`);
    const gauges = (open: string, remaining: string): BudgetGauges => ({
      open: scope.gauge(open, 'max'),
      remaining: thresholds.trackRemaining ? scope.gauge(remaining, 'max') : undefined,
    });
    const budget = (resource: ResourceKind, max: number, open: string, remaining: string): ResourceBudget =>
      createBudget({ cluster, priority, resource }, max, gauges(open, remaining));
    this.connections = budget('connections', thresholds.maxConnections, 'cx_open', 'remaining_cx');
    this.pendingRequests = budget(
      'pendingRequests',
      thresholds.maxPendingRequests,
      'rq_pending_open',
      'remaining_pending',
    );
    this.requests = budget('requests', thresholds.maxRequests, 'rq_open', 'remaining_rq');
    this.retries =
      thresholds.retryBudget === undefined
        ? budget('retries', thresholds.maxRetries, 'rq_retry_open', 'remaining_retries')
        : new RetryBudget(
            thresholds.retryBudget,
            this.requests,
            this.pendingRequests,
            gauges('rq_retry_open', 'remaining_retries'),
          );
    this.connectionPools = budget(
      'connectionPools',
      thresholds.maxConnectionPools,
      'cx_pool_open',
      'remaining_cx_pools',
    );
  }
}
