import { type CreateBudget, createLocalBudget } from './resources.ts';
import { LocalGauge } from './stats/local-stats.ts';

/** Budgets of one thread that no gauge shows: those of their cluster show what the workers have. */
export const createUnseenBudget: CreateBudget = (key, limit) =>
  createLocalBudget(key, limit, () => ({ open: new LocalGauge(''), remaining: undefined }));
