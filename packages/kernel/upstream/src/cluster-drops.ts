import type { Counter, DropOverload, RequestDrops, Runtime, StatsScope } from '@dragoman/core';
import type { LoadMeter } from './loads/load-meter.ts';
import { TwinCounter } from './loads/tally.ts';

const LIMIT_KEY = 'load_balancing_policy.drop_overload_limit';

/** What of a cluster's requests is turned away. Made where something is, so that its counter stands nowhere else. */
export class ClusterDrops implements RequestDrops {
  readonly dropped: Counter;
  private readonly configured: number;
  private readonly runtime: Runtime;

  /** @param scope `cluster.<name>` */
  constructor({ ratio, category }: DropOverload, scope: StatsScope, runtime: Runtime, loads: LoadMeter) {
    this.dropped = new TwinCounter(scope.counter('upstream_rq_drop_overload'), loads.overload(category));
    this.configured = ratio;
    this.runtime = runtime;
  }

  get ratio(): number {
    const limit = this.runtime.getInteger(LIMIT_KEY, 100) / 100;
    return Math.max(0, Math.min(this.configured, limit));
  }
}
