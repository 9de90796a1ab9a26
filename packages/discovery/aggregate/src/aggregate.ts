import { AggregateClusterConfigSchema, ClusterSchema } from '@dragoman/api';
import { defineProvidedCluster } from '@dragoman/core';
import { AggregateBalancer } from './balancer.ts';
import { readMembers } from './config.ts';

/** The priorities of several clusters, one after the other. */
export const aggregateCluster = defineProvidedCluster({
  name: 'envoy.clusters.aggregate',
  config: AggregateClusterConfigSchema,
  cluster: ClusterSchema,
  choosesMembers: true,
  check: readMembers,
  createBalancer: (cluster, context) => new AggregateBalancer(readMembers(cluster), context),
});
