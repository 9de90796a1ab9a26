import { type RingHash, RingHashSchema } from '@dragoman/api';
import { ConsistentHashing, readHashing } from '@dragoman/consistent-hashing';
import { defineLoadBalancer, type LoadBalancerContextForCluster } from '@dragoman/core';
import { readRingSettings } from './config.ts';
import { Ring } from './ring.ts';

function create(config: RingHash, context: LoadBalancerContextForCluster): ConsistentHashing {
  const settings = readRingSettings(config);
  const hashing = readHashing(config);
  const scope = context.stats.scope('ring_hash_lb');
  // Each worker builds the same ring.
  const size = scope.gauge('size', 'max');
  const minHashes = scope.gauge('min_hashes_per_host', 'max');
  const maxHashes = scope.gauge('max_hashes_per_host', 'max');
  return new ConsistentHashing(hashing, context, (hosts) => {
    const ring = new Ring(hosts, settings, hashing.useHostname);
    size.set(ring.size);
    minHashes.set(ring.minHashesPerHost);
    maxHashes.set(ring.maxHashesPerHost);
    return ring;
  });
}

/** The host that comes next on a ring after the request's hash. */
export const ringHash = defineLoadBalancer({
  name: 'envoy.load_balancing_policies.ring_hash',
  config: RingHashSchema,
  lbPolicy: 'RING_HASH',
  create,
});
