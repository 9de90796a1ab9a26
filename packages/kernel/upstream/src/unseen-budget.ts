import type { ResourceBudget } from '@dragoman/core';
import type { CreateBudget } from './resources.ts';

/** A budget of one thread that no gauge shows: those of its cluster show what the workers have. */
class UnseenBudget implements ResourceBudget {
  readonly max: number;
  used = 0;

  constructor(max: number) {
    this.max = max;
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

export const createUnseenBudget: CreateBudget = (_key, max) => new UnseenBudget(max);
