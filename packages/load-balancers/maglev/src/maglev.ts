import { type Maglev, MaglevSchema } from '@dragoman/api';
import { ConsistentHashing, readHashing } from '@dragoman/consistent-hashing';
import { defineLoadBalancer, type LoadBalancerContextForCluster } from '@dragoman/core';
import { readTableSize } from './config.ts';
import { MaglevTable } from './table.ts';

function create(config: Maglev, context: LoadBalancerContextForCluster): ConsistentHashing {
  const size = readTableSize(config);
  const hashing = readHashing(config);
  const scope = context.stats.scope('maglev_lb');
  // Each worker builds the same table.
  const minEntries = scope.gauge('min_entries_per_host', 'max');
  const maxEntries = scope.gauge('max_entries_per_host', 'max');
  return new ConsistentHashing(hashing, context, (hosts) => {
    const table = new MaglevTable(hosts, size, hashing.useHostname);
    minEntries.set(table.minEntriesPerHost);
    maxEntries.set(table.maxEntriesPerHost);
    return table;
  });
}

/** The host that has the request's hash in Maglev's table. */
export const maglev = defineLoadBalancer({
  name: 'envoy.load_balancing_policies.maglev',
  config: MaglevSchema,
  lbPolicy: 'MAGLEV',
  create,
});
