export { previousPriorities } from './previous-priorities.ts';
