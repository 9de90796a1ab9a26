export { template } from './filter.ts';
