import {
  emptyRuntime,
  type Gauge,
  type ResourceBudget,
  type ResourceManager,
  type RoutingPriority,
  type Runtime,
  type StatsScope,
} from '@dragoman/core';

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
  /** `per_host_thresholds`: connections to one host. Undefined: no limit. */
  readonly maxConnectionsPerHost: number | undefined;
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
  maxConnectionsPerHost: undefined,
  trackRemaining: false,
  retryBudget: undefined,
};

/** Envoy's values of a `retry_budget` that says no more. */
export const DEFAULT_RETRY_BUDGET = { percent: 20, minConcurrency: 3 } as const;

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

/**
 * Makes the budget of a threshold: on this thread, or one shared with other workers. `gauges` makes the gauges that show it; a
 * budget that others show does not ask for them.
 */
export type CreateBudget = (key: BudgetKey, max: number, gauges: () => BudgetGauges) => ResourceBudget;

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

export const createLocalBudget: CreateBudget = (_key, max, gauges) => new LocalBudget(max, gauges());

/**
 * How many retries may be under way: `max_retries`, or with a `retry_budget` a share of the requests that are. Runtime
 * values below `circuit_breakers.<cluster>.<priority>.` go before those of the config, and can bring a budget in.
 */
export class RetryLimit {
  private readonly thresholds: Thresholds;
  private readonly runtime: Runtime;
  private readonly maxKey: string;
  private readonly percentKey: string;
  private readonly minKey: string;

  constructor(cluster: string, priority: RoutingPriority, thresholds: Thresholds, runtime: Runtime) {
    const prefix = `circuit_breakers.${cluster}.${priority}`;
    this.thresholds = thresholds;
    this.runtime = runtime;
    this.maxKey = `${prefix}.max_retries`;
    this.percentKey = `${prefix}.retry_budget.budget_percent`;
    this.minKey = `${prefix}.retry_budget.min_retry_concurrency`;
  }

  get isShare(): boolean {
    const { runtime } = this;
    return (
      this.thresholds.retryBudget !== undefined ||
      runtime.get(this.percentKey) !== undefined ||
      runtime.get(this.minKey) !== undefined
    );
  }

  /** @param active requests under way, and waiting for a connection */
  max(active: number): number {
    const { runtime, thresholds } = this;
    if (!this.isShare) return runtime.getInteger(this.maxKey, thresholds.maxRetries);
    const { percent, minConcurrency } = thresholds.retryBudget ?? DEFAULT_RETRY_BUDGET;
    return Math.max(
      runtime.getInteger(this.minKey, minConcurrency),
      Math.floor((active * runtime.getNumber(this.percentKey, percent)) / 100),
    );
  }
}

/** Retries, counted where the other budgets are, within a limit that moves. */
class RetryBudget implements ResourceBudget {
  private readonly limit: RetryLimit;
  private readonly counted: ResourceBudget;
  private readonly requests: ResourceBudget;
  private readonly pending: ResourceBudget;
  private readonly gauges: BudgetGauges | undefined;

  /** @param counted without a limit of its own */
  constructor(
    limit: RetryLimit,
    counted: ResourceBudget,
    requests: ResourceBudget,
    pending: ResourceBudget,
    gauges: BudgetGauges | undefined,
  ) {
    this.limit = limit;
    this.counted = counted;
    this.requests = requests;
    this.pending = pending;
    this.gauges = gauges;
    this.publish();
  }

  get used(): number {
    return this.counted.used;
  }

  get max(): number {
    return this.limit.max(this.requests.used + this.pending.used);
  }

  canTake(): boolean {
    return this.used < this.max;
  }

  take(): void {
    this.counted.take();
    this.publish();
  }

  give(): void {
    this.counted.give();
    this.publish();
  }

  private publish(): void {
    if (this.gauges === undefined) return;
    this.gauges.open.set(this.canTake() ? 0 : 1);
    // What is left of a share says nothing: it moves with every request.
    this.gauges.remaining?.set(this.limit.isShare ? 0 : Math.max(0, this.max - this.used));
  }
}

/** What is counted for each priority, with its limit and the names of its gauges. */
const KINDS: readonly {
  readonly resource: ResourceKind;
  readonly max: (thresholds: Thresholds) => number;
  readonly open: string;
  readonly remaining: string;
}[] = [
  { resource: 'connections', max: (t) => t.maxConnections, open: 'cx_open', remaining: 'remaining_cx' },
  {
    resource: 'pendingRequests',
    max: (t) => t.maxPendingRequests,
    open: 'rq_pending_open',
    remaining: 'remaining_pending',
  },
  { resource: 'requests', max: (t) => t.maxRequests, open: 'rq_open', remaining: 'remaining_rq' },
  { resource: 'retries', max: (t) => t.maxRetries, open: 'rq_retry_open', remaining: 'remaining_retries' },
  {
    resource: 'connectionPools',
    max: (t) => t.maxConnectionPools,
    open: 'cx_pool_open',
    remaining: 'remaining_cx_pools',
  },
];

/** More than there can be of anything: the limit of what is only counted. */
const UNLIMITED = 2 ** 31 - 1;

const breakerPrefix = (priority: RoutingPriority): string => `circuit_breakers.${priority}`;

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
    runtime: Runtime = emptyRuntime,
  ) {
    const scope = clusterScope.scope(breakerPrefix(priority));
    const budgets = {} as Record<ResourceKind, ResourceBudget>;
    for (const { resource, max, open, remaining } of KINDS) {
      let shown: BudgetGauges | undefined;
      const gauges = (): BudgetGauges => {
        shown = {
          open: scope.gauge(open, 'max'),
          remaining: thresholds.trackRemaining ? scope.gauge(remaining, 'max') : undefined,
        };
        return shown;
      };
      const key = { cluster, priority, resource };
      if (resource !== 'retries') {
        budgets[resource] = createBudget(key, max(thresholds), gauges);
        continue;
      }
      const counted = createBudget(key, UNLIMITED, gauges);
      const limit = new RetryLimit(cluster, priority, thresholds, runtime);
      budgets.retries = new RetryBudget(limit, counted, budgets.requests, budgets.pendingRequests, shown);
    }
    this.connections = budgets.connections;
    this.pendingRequests = budgets.pendingRequests;
    this.requests = budgets.requests;
    this.retries = budgets.retries;
    this.connectionPools = budgets.connectionPools;
  }
}

/** How much of each budget of a priority is in use, over all workers. */
export type BudgetUse = (priority: RoutingPriority, resource: ResourceKind) => number;

/** A gauge of a circuit breaker whose budgets several workers share: none of them alone could keep it. */
export interface BreakerGauge {
  /** Below `cluster.<name>.` */
  readonly name: string;
  value(use: BudgetUse): number;
}

/** The gauges of one priority's circuit breaker, as functions of what is in use. */
export function breakerGauges(
  cluster: string,
  priority: RoutingPriority,
  thresholds: Thresholds,
  runtime: Runtime,
): readonly BreakerGauge[] {
  const retries = new RetryLimit(cluster, priority, thresholds, runtime);
  return KINDS.flatMap(({ resource, max, open, remaining }) => {
    const limit = (use: BudgetUse): number =>
      resource === 'retries'
        ? retries.max(use(priority, 'requests') + use(priority, 'pendingRequests'))
        : max(thresholds);
    const left = (use: BudgetUse): number => Math.max(0, limit(use) - use(priority, resource));
    const shown = (use: BudgetUse): number => (resource === 'retries' && retries.isShare ? 0 : left(use));
    const prefix = breakerPrefix(priority);
    return [
      { name: `${prefix}.${open}`, value: (use: BudgetUse) => (left(use) === 0 ? 1 : 0) },
      ...(thresholds.trackRemaining ? [{ name: `${prefix}.${remaining}`, value: shown }] : []),
    ];
  });
}

/** Every budget of a cluster, in an order of its own: a place for each in memory that workers share. */
export const BUDGETS: readonly Omit<BudgetKey, 'cluster'>[] = (['default', 'high'] as const).flatMap(
  (priority) => KINDS.map(({ resource }) => ({ priority, resource })),
);

/** The place of a budget in {@link BUDGETS}. */
export function budgetIndex(priority: RoutingPriority, resource: ResourceKind): number {
  return BUDGETS.findIndex((key) => key.priority === priority && key.resource === resource);
}
