import type { Cluster } from '@dragoman/api';
import { ProblemCollector } from '@dragoman/core';
import { type BreakerGauge, breakerGauges } from '../resources.ts';
import { readThresholds } from './thresholds.ts';

/**
 * The gauges of a cluster's circuit breakers under their whole names, for who keeps the budgets of several workers.
 * What is wrong with the thresholds is reported by who builds the cluster.
 */
export function clusterBreakerGauges(cluster: Cluster): readonly BreakerGauge[] {
  const thresholds = readThresholds(cluster.circuitBreakers, '', new ProblemCollector());
  const prefix = `cluster.${cluster.altStatName === '' ? cluster.name : cluster.altStatName}`;
  return (['default', 'high'] as const)
    .flatMap((priority) => breakerGauges(priority, thresholds[priority]))
    .map(({ name, value }) => ({ name: `${prefix}.${name}`, value }));
}
