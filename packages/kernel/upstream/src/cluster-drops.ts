import type { Counter, DropOverload, RequestDrops, Runtime, StatsScope } from '@dragoman/core';

const LIMIT_KEY = 'load_balancing_policy.drop_overload_limit';

/** What of a cluster's requests is turned away. Made where something is, so that its counter stands nowhere else. */
export class ClusterDrops implements RequestDrops {
  readonly dropped: Counter;
  private readonly configured: number;
  private readonly runtime: Runtime;

  /** @param scope `cluster.<name>` */
  constructor({ ratio }: DropOverload, scope: StatsScope, runtime: Runtime) {
    this.dropped = scope.counter('upstream_rq_drop_overload');
    this.configured = ratio;
    this.runtime = runtime;
  }

  get ratio(): number {
    const limit = this.runtime.getInteger(LIMIT_KEY, 100) / 100;
    return Math.max(0, Math.min(this.configured, limit));
  }
}
