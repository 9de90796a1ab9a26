import type { ResourceBudget } from '@dragoman/core';
import type { SharedCount, SharedCounts } from '@dragoman/stats';
import { budgetIndex, type CreateBudget, createLocalBudget, type Limit } from '@dragoman/upstream';

/**
 * A budget that the workers share. Two workers may take the last of it in the same instant, as in Envoy: it is exceeded by one a
 * worker at most.
 */
class SharedBudget implements ResourceBudget {
  private readonly limit: Limit;
  private readonly count: SharedCount;

  constructor(limit: Limit, count: SharedCount) {
    this.limit = limit;
    this.count = count;
  }

  get max(): number {
    return this.limit.value;
  }

  get used(): number {
    return this.count.total;
  }

  canTake(): boolean {
    return this.count.total < this.limit.value;
  }

  take(): void {
    this.count.inc();
  }

  give(): void {
    this.count.dec();
  }
}

/**
 * Budgets in the memory that `counts` has for a cluster; on this thread alone where it has none. The gauges of shared
 * ones are main's: none of the workers could keep them.
 */
export function sharedBudgets(counts: ReadonlyMap<string, SharedCounts>, workerIndex: number): CreateBudget {
  return (key, limit, gauges) => {
    const shared = counts.get(key.cluster);
    if (shared === undefined) return createLocalBudget(key, limit, gauges);
    return new SharedBudget(limit, shared.of(budgetIndex(key.priority, key.resource), workerIndex));
  };
}
