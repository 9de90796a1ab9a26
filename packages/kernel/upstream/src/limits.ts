import type { RoutingPriority, Runtime } from '@dragoman/core';
import { DEFAULT_RETRY_BUDGET, type Thresholds } from './config/thresholds.ts';

/** The most that there may be of something at this moment. */
export interface Limit {
  readonly value: number;
}

/**
 * A number of the config whose place a runtime value takes while the proxy runs. Reading it is a comparison: the key is looked up when the
 * runtime has changed.
 */
export class RuntimeLimit implements Limit {
  readonly key: string;
  private readonly runtime: Runtime;
  private readonly configured: number;
  private version = Number.NaN;
  private current = 0;
  private fromRuntime = false;

  constructor(runtime: Runtime, key: string, configured: number) {
    this.runtime = runtime;
    this.key = key;
    this.configured = configured;
  }

  get value(): number {
    if (this.version !== this.runtime.version) this.read();
    return this.current;
  }

  /** The value is that of {@link key}. */
  get overridden(): boolean {
    if (this.version !== this.runtime.version) this.read();
    return this.fromRuntime;
  }

  /** A value that is no whole number of 0 or more is none. */
  private read(): void {
    const { runtime, key, configured } = this;
    const value = runtime.getInteger(key, -1);
    this.version = runtime.version;
    this.fromRuntime = value >= 0;
    this.current = value >= 0 ? value : configured;
  }
}

/**
 * How many retries may be under way: `max_retries`, or with a `retry_budget` a share of the requests that are. Runtime
 * values below `circuit_breakers.<cluster>.<priority>.` go before those of the config, and can bring a budget in.
 */
export class RetryLimit {
  private readonly budget: Thresholds['retryBudget'];
  private readonly runtime: Runtime;
  private readonly percentKey: string;
  private readonly minKey: string;
  private readonly fixed: RuntimeLimit;
  private readonly least: RuntimeLimit;
  private version = Number.NaN;
  private share = false;
  private percent = 0;

  /** @param prefix of the keys, without the dot at its end */
  constructor(prefix: string, { maxRetries, retryBudget }: Thresholds, runtime: Runtime) {
    const budget = `${prefix}.retry_budget`;
    this.budget = retryBudget;
    this.runtime = runtime;
    this.percentKey = `${budget}.budget_percent`;
    this.minKey = `${budget}.min_retry_concurrency`;
    this.fixed = new RuntimeLimit(runtime, `${prefix}.max_retries`, maxRetries);
    this.least = new RuntimeLimit(runtime, this.minKey, (retryBudget ?? DEFAULT_RETRY_BUDGET).minConcurrency);
  }

  get isShare(): boolean {
    if (this.version !== this.runtime.version) this.read();
    return this.share;
  }

  /** @param active requests under way, and waiting for a connection */
  max(active: number): number {
    if (!this.isShare) return this.fixed.value;
    return Math.max(this.least.value, Math.floor((active * this.percent) / 100));
  }

  private read(): void {
    const { runtime, budget, percentKey, minKey } = this;
    this.version = runtime.version;
    this.share =
      budget !== undefined || runtime.get(percentKey) !== undefined || runtime.get(minKey) !== undefined;
    this.percent = runtime.getNumber(percentKey, (budget ?? DEFAULT_RETRY_BUDGET).percent);
  }
}

/** What the circuit breaker of one priority allows at this moment: the config's thresholds, and what runtime has put in their place. */
export class ThresholdLimits {
  readonly connections: RuntimeLimit;
  readonly pendingRequests: RuntimeLimit;
  readonly requests: RuntimeLimit;
  readonly connectionPools: RuntimeLimit;
  readonly retries: RetryLimit;
  /** Of one host. No runtime key changes it, as in Envoy. Undefined: no limit. */
  readonly connectionsPerHost: number | undefined;

  constructor(cluster: string, priority: RoutingPriority, thresholds: Thresholds, runtime: Runtime) {
    const prefix = `circuit_breakers.${cluster}.${priority}`;
    const limit = (name: string, value: number): RuntimeLimit =>
      new RuntimeLimit(runtime, `${prefix}.${name}`, value);
    this.connections = limit('max_connections', thresholds.maxConnections);
    this.pendingRequests = limit('max_pending_requests', thresholds.maxPendingRequests);
    this.requests = limit('max_requests', thresholds.maxRequests);
    this.connectionPools = limit('max_connection_pools', thresholds.maxConnectionPools);
    this.retries = new RetryLimit(prefix, thresholds, runtime);
    this.connectionsPerHost = thresholds.maxConnectionsPerHost;
  }
}
