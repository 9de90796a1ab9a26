import { ClusterSchema } from '@dragoman/api';
import { defineProvidedCluster } from '@dragoman/core';
import { OriginalDstBalancer } from './balancer.ts';
import { readSettings } from './config.ts';

/** Hosts are where the connections were meant to go. */
export const originalDstCluster = defineProvidedCluster({
  name: 'envoy.cluster.original_dst',
  clusterType: 'ORIGINAL_DST',
  cluster: ClusterSchema,
  check: readSettings,
  createBalancer: (cluster, context) => new OriginalDstBalancer(readSettings(cluster), context),
});
