// node --conditions dragoman-source packages/discovery/aggregate/bench/choose.bench.ts

import { AggregateClusterConfigSchema, anyPack, ClusterSchema, create } from '@dragoman/api';
import type { Cluster, LoadBalancer, MemberClusters } from '@dragoman/core';
import { hostSetOf, ProvidedScene, testHosts } from '@dragoman/testing';
import { aggregateCluster } from '../src/index.ts';

const CHOICES = 1_000_000;
const ROUNDS = 5;

for (const count of [2, 20]) {
  const names = Array.from({ length: count }, (_, i) => `member-${i}`);
  const hostSets = [hostSetOf(testHosts(10))];
  const [host] = hostSets[0].hosts;
  const clusters: MemberClusters = {
    get: () => ({ hostSets }) as Partial<Cluster> as Cluster,
    clusterNames: names,
    // As little as a member can do.
    chooseHost: () => host,
    onChange: () => () => {},
  };
  const typedConfig = anyPack(
    AggregateClusterConfigSchema,
    create(AggregateClusterConfigSchema, { clusters: names }),
  );
  const cluster = create(ClusterSchema, {
    clusterDiscoveryType: { case: 'clusterType', value: { name: 'envoy.clusters.aggregate', typedConfig } },
  });
  const { context } = new ProvidedScene({ clusters });
  const balancer = aggregateCluster.createBalancer?.(cluster as never, context) as LoadBalancer;
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    for (let i = 0; i < CHOICES; i++) balancer.choose(undefined);
    best = Math.min(best, performance.now() - start);
  }
  console.log(
    `${count} members: ${((best * 1e6) / CHOICES).toFixed(1)} ns a choice, without the member's own`,
  );
  balancer.close?.();
}
