// node --conditions dragoman-source packages/discovery/original-dst/bench/choose.bench.ts

import { ClusterSchema, create } from '@dragoman/api';
import { Address, type LoadBalancer, type LoadBalancerContext, StreamInfo } from '@dragoman/core';
import { connectionInfo, ProvidedScene } from '@dragoman/testing';
import { originalDstCluster } from '../src/index.ts';

const CHOICES = 1_000_000;
const ROUNDS = 5;

for (const count of [1, 1_000]) {
  const { context } = new ProvidedScene();
  const balancer = originalDstCluster.createBalancer?.(
    create(ClusterSchema) as never,
    context,
  ) as LoadBalancer;
  const requests = Array.from({ length: count }, (_, i): LoadBalancerContext => {
    const localAddress = Address.ip(`10.0.${i >> 8}.${i & 255}`, 80);
    const info = new StreamInfo(connectionInfo({ localAddress, localAddressRestored: true }), 0, 0);
    return { hash: undefined, requestHeaders: undefined, metadataMatch: undefined, info };
  });
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    for (let i = 0; i < CHOICES; i++) balancer.choose(requests[i % count]);
    best = Math.min(best, performance.now() - start);
  }
  console.log(`${count} destinations: ${((best * 1e6) / CHOICES).toFixed(1)} ns a choice`);
  balancer.close?.();
}
