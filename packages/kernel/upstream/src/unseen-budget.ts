import type { ResourceBudget } from '@dragoman/core';
import type { Limit } from './limits.ts';
import type { CreateBudget } from './resources.ts';

/** A budget of one thread that no gauge shows: those of its cluster show what the workers have. */
class UnseenBudget implements ResourceBudget {
  used = 0;
  private readonly limit: Limit;

  constructor(limit: Limit) {
    this.limit = limit;
  }

  get max(): number {
    return this.limit.value;
  }

  canTake(): boolean {
    return this.used < this.max;
  }

  take(): void {
    this.used++;
  }

  give(): void {
    this.used--;
  }
}

export const createUnseenBudget: CreateBudget = (_key, limit) => new UnseenBudget(limit);
