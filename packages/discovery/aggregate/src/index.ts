export { aggregateCluster } from './aggregate.ts';
