import {
  emptyRuntime,
  type Gauge,
  type ResourceBudget,
  type ResourceManager,
  type RoutingPriority,
  type Runtime,
  type StatsScope,
} from '@dragoman/core';
import type { Thresholds } from './config/thresholds.ts';
import { type Limit, type RetryLimit, ThresholdLimits } from './limits.ts';

/** What a threshold limits. */
export type ResourceKind = 'connections' | 'pendingRequests' | 'requests' | 'retries' | 'connectionPools';

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
export type CreateBudget = (key: BudgetKey, limit: Limit, gauges: () => BudgetGauges) => ResourceBudget;

/** A budget of one thread. Its gauges follow a limit that has moved when the budget is asked next. */
class LocalBudget implements ResourceBudget {
  used = 0;
  private readonly limit: Limit;
  private readonly open: Gauge;
  private readonly remaining: Gauge | undefined;
  /** The limit as the gauges know it. */
  private shown: number;

  constructor(limit: Limit, gauges: BudgetGauges) {
    this.limit = limit;
    this.open = gauges.open;
    this.remaining = gauges.remaining;
    this.shown = limit.value;
    this.publish();
  }

  get max(): number {
    const { value } = this.limit;
    if (value !== this.shown) this.follow(value);
    return value;
  }

  canTake(): boolean {
    return this.used < this.max;
  }

  take(): void {
    this.used++;
    if (this.used === this.shown) this.open.set(1);
    if (this.remaining !== undefined) this.remaining.set(Math.max(0, this.shown - this.used));
  }

  give(): void {
    this.used--;
    if (this.used === this.shown - 1) this.open.set(0);
    if (this.remaining !== undefined) this.remaining.set(Math.max(0, this.shown - this.used));
  }

  private follow(limit: number): void {
    this.shown = limit;
    this.publish();
  }

  private publish(): void {
    this.open.set(this.used < this.shown ? 0 : 1);
    this.remaining?.set(Math.max(0, this.shown - this.used));
  }
}

export const createLocalBudget: CreateBudget = (_key, limit, gauges) => new LocalBudget(limit, gauges());

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

/** What is counted for each priority, with the names of its gauges. */
const KINDS: readonly {
  readonly resource: ResourceKind;
  readonly open: string;
  readonly remaining: string;
}[] = [
  { resource: 'connections', open: 'cx_open', remaining: 'remaining_cx' },
  { resource: 'pendingRequests', open: 'rq_pending_open', remaining: 'remaining_pending' },
  { resource: 'requests', open: 'rq_open', remaining: 'remaining_rq' },
  { resource: 'retries', open: 'rq_retry_open', remaining: 'remaining_retries' },
  { resource: 'connectionPools', open: 'cx_pool_open', remaining: 'remaining_cx_pools' },
];

/** More than there can be of anything: the limit of what is only counted. */
const UNLIMITED: Limit = { value: 2 ** 31 - 1 };

const breakerPrefix = (priority: RoutingPriority): string => `circuit_breakers.${priority}`;

/** The circuit breaker of one priority of a cluster. */
export class Resources implements ResourceManager {
  readonly connections: ResourceBudget;
  readonly pendingRequests: ResourceBudget;
  readonly requests: ResourceBudget;
  readonly retries: ResourceBudget;
  readonly connectionPools: ResourceBudget;
  readonly limits: ThresholdLimits;

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
    const limits = new ThresholdLimits(cluster, priority, thresholds, runtime);
    const budgets = {} as Record<ResourceKind, ResourceBudget>;
    for (const { resource, open, remaining } of KINDS) {
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
        budgets[resource] = createBudget(key, limits[resource], gauges);
        continue;
      }
      const counted = createBudget(key, UNLIMITED, gauges);
      const { requests, pendingRequests } = budgets;
      budgets.retries = new RetryBudget(limits.retries, counted, requests, pendingRequests, shown);
    }
    this.limits = limits;
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
  const limits = new ThresholdLimits(cluster, priority, thresholds, runtime);
  const { retries } = limits;
  return KINDS.flatMap(({ resource, open, remaining }) => {
    const limit = (use: BudgetUse): number =>
      resource === 'retries'
        ? retries.max(use(priority, 'requests') + use(priority, 'pendingRequests'))
        : limits[resource].value;
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
