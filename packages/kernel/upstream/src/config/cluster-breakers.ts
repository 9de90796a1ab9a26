import type { Cluster } from '@dragoman/api';
import { ProblemCollector, type Runtime } from '@dragoman/core';
import { type BreakerGauge, breakerGauges } from '../resources.ts';
import { readThresholds } from './thresholds.ts';

/**
 * The gauges of a cluster's circuit breakers under their whole names, for who keeps the budgets of several workers.
 * What is wrong with the thresholds is reported by who builds the cluster.
 */
export function clusterBreakerGauges(cluster: Cluster, runtime: Runtime): readonly BreakerGauge[] {
  const thresholds = readThresholds(cluster.circuitBreakers, '', new ProblemCollector());
  const prefix = `cluster.${cluster.altStatName === '' ? cluster.name : cluster.altStatName}`;
  return (['default', 'high'] as const)
    .flatMap((priority) => breakerGauges(cluster.name, priority, thresholds[priority], runtime))
    .map(({ name, value }) => ({ name: `${prefix}.${name}`, value }));
}
