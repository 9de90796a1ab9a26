import {
  addressMessage,
  type ClusterStatsSchema,
  durationFromMs,
  type EndpointLoadMetricStatsSchema,
  type MessageInitShape,
  type UpstreamEndpointStatsSchema,
  type UpstreamLocalityStatsSchema,
} from '@dragoman/api';
import { Address } from '@dragoman/core';
import type { ClusterTotals, LocalityTotals, Totals } from './load-book.ts';

export interface ReportedCluster {
  readonly name: string;
  /** Empty: it has none. */
  readonly serviceName: string;
  readonly totals: ClusterTotals;
  /** Over which they have come about. */
  readonly intervalMs: number;
}

/** @param perEndpoint with the numbers of each host */
export function clusterStats(
  { name, serviceName, totals, intervalMs }: ReportedCluster,
  perEndpoint: boolean,
): MessageInitShape<typeof ClusterStatsSchema> {
  return {
    clusterName: name,
    clusterServiceName: serviceName,
    upstreamLocalityStats: totals.localities.map((locality) => localityStats(locality, perEndpoint)),
    totalDroppedRequests: BigInt(totals.dropped),
    droppedRequests: Array.from(totals.overloads, ([category, count]) => ({
      category,
      droppedCount: BigInt(count),
    })),
    loadReportInterval: durationFromMs(intervalMs),
  };
}

function localityStats(
  totals: LocalityTotals,
  perEndpoint: boolean,
): MessageInitShape<typeof UpstreamLocalityStatsSchema> {
  const { region, zone, subZone } = totals.locality;
  return {
    locality: { region, zone, subZone },
    priority: totals.priority,
    ...counts(totals),
    upstreamEndpointStats: perEndpoint
      ? Array.from(totals.endpoints, ([address, endpoint]) => endpointStats(address, endpoint))
      : [],
  };
}

function endpointStats(
  address: string,
  totals: Totals,
): MessageInitShape<typeof UpstreamEndpointStatsSchema> {
  return { address: addressMessage(Address.of(address)), ...counts(totals) };
}

function counts({ issued, success, error, active, metrics }: Totals): {
  readonly totalIssuedRequests: bigint;
  readonly totalSuccessfulRequests: bigint;
  readonly totalErrorRequests: bigint;
  readonly totalRequestsInProgress: bigint;
  readonly loadMetricStats: MessageInitShape<typeof EndpointLoadMetricStatsSchema>[];
} {
  return {
    totalIssuedRequests: BigInt(issued),
    totalSuccessfulRequests: BigInt(success),
    totalErrorRequests: BigInt(error),
    totalRequestsInProgress: BigInt(active),
    loadMetricStats: Array.from(metrics, ([metricName, { answers, total }]) => ({
      metricName,
      numRequestsFinishedWithMetric: BigInt(answers),
      totalMetricValue: total,
    })),
  };
}
