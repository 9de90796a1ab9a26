export { originalDstCluster } from './original-dst.ts';
