export { clusterProvided } from './cluster-provided.ts';
