import {
  addressMessage,
  ClustersSchema,
  type ClusterStatusSchema,
  HealthStatus,
  type HostHealthStatusSchema,
  type HostStatusSchema,
  type MessageInitShape,
  RoutingPriority,
  SimpleMetric_Type,
} from '@dragoman/api';
import { HealthFlag } from '@dragoman/core';
import type { Endpoint } from '../endpoint.ts';
import { messageJson } from '../proto.ts';
import { json, text } from '../request.ts';
import type { AdminCircuitBreaker, AdminCluster, AdminHost, AdminHostStats } from '../state.ts';

type StatName = readonly [name: string, key: keyof AdminHostStats];

const COUNTERS: readonly StatName[] = [
  ['cx_connect_fail', 'cxConnectFail'],
  ['cx_total', 'cxTotal'],
  ['rq_error', 'rqError'],
  ['rq_success', 'rqSuccess'],
  ['rq_timeout', 'rqTimeout'],
  ['rq_total', 'rqTotal'],
];
const GAUGES: readonly StatName[] = [
  ['cx_active', 'cxActive'],
  ['rq_active', 'rqActive'],
];
const BY_NAME = [...COUNTERS, ...GAUGES].sort(([a], [b]) => (a < b ? -1 : 1));

export function clusters(): Endpoint[] {
  return [
    {
      path: '/clusters',
      help: 'print upstream clusters and their hosts',
      parameters: [{ name: 'format', help: 'How to print them', choices: ['text', 'json'] }],
      handle: async (state, query) => {
        const list = await state.clusters();
        if (query.get('format') !== 'json') return text(list.map(clusterText).join(''));
        return json(messageJson(ClustersSchema, { clusterStatuses: list.map(clusterStatus) }));
      },
    },
  ];
}

function clusterText(cluster: AdminCluster): string {
  const { name, outlier, circuitBreakers } = cluster;
  let lines = `${name}::observability_name::${cluster.observabilityName}\n`;
  if (outlier !== undefined) {
    lines +=
      `${name}::outlier::success_rate_average::${outlier.successRateAverage}\n` +
      `${name}::outlier::success_rate_ejection_threshold::${outlier.successRateEjectionThreshold}\n` +
      `${name}::outlier::local_origin_success_rate_average::${outlier.localOriginSuccessRateAverage}\n` +
      `${name}::outlier::local_origin_success_rate_ejection_threshold::${outlier.localOriginSuccessRateEjectionThreshold}\n`;
  }
  lines += circuitBreakerText(`${name}::default_priority`, circuitBreakers.default);
  lines += circuitBreakerText(`${name}::high_priority`, circuitBreakers.high);
  lines += `${name}::added_via_api::${cluster.addedViaApi}\n`;
  if (cluster.edsServiceName !== '') lines += `${name}::eds_service_name::${cluster.edsServiceName}\n`;
  return lines + cluster.hosts.map((host) => hostText(name, host)).join('');
}

function circuitBreakerText(prefix: string, maxima: AdminCircuitBreaker): string {
  return (
    `${prefix}::max_connections::${maxima.maxConnections}\n` +
    `${prefix}::max_pending_requests::${maxima.maxPendingRequests}\n` +
    `${prefix}::max_requests::${maxima.maxRequests}\n` +
    `${prefix}::max_retries::${maxima.maxRetries}\n`
  );
}

function hostText(cluster: string, host: AdminHost): string {
  const prefix = `${cluster}::${host.address.text}`;
  const fields: readonly (readonly [string, string | number | boolean])[] = [
    ...BY_NAME.map(([name, key]) => [name, host.stats[key]] as const),
    ['hostname', host.hostname],
    ['health_flags', healthFlagsText(host.healthFlags)],
    ['weight', host.weight],
    ['region', host.locality.region],
    ['zone', host.locality.zone],
    ['sub_zone', host.locality.subZone],
    ['canary', host.canary],
    ['priority', host.priority],
    ['success_rate', host.successRate ?? -1],
    ['local_origin_success_rate', host.localOriginSuccessRate ?? -1],
  ];
  return fields.map(([name, value]) => `${prefix}::${name}::${value}\n`).join('');
}

/** `healthy`, or `/failed_active_hc/…`. */
function healthFlagsText(flags: number): string {
  const names = Object.entries(HealthFlag).filter(([, bit]) => (flags & bit) !== 0);
  return names.length === 0 ? 'healthy' : names.map(([name]) => `/${name}`).join('');
}

function clusterStatus(cluster: AdminCluster): MessageInitShape<typeof ClusterStatusSchema> {
  const { circuitBreakers, outlier } = cluster;
  return {
    name: cluster.name,
    addedViaApi: cluster.addedViaApi,
    ...threshold('successRateEjectionThreshold', outlier?.successRateEjectionThreshold),
    ...threshold('localOriginSuccessRateEjectionThreshold', outlier?.localOriginSuccessRateEjectionThreshold),
    hostStatuses: cluster.hosts.map(hostStatus),
    circuitBreakers: {
      thresholds: [
        { priority: RoutingPriority.DEFAULT, ...maxima(circuitBreakers.default) },
        { priority: RoutingPriority.HIGH, ...maxima(circuitBreakers.high) },
      ],
    },
    observabilityName: cluster.observabilityName,
    edsServiceName: cluster.edsServiceName,
  };
}

/** A threshold that is not known is left out. */
function threshold<K extends string>(key: K, value: number | undefined): { [key in K]?: { value: number } } {
  return (value !== undefined && value > 0 ? { [key]: { value } } : {}) as { [key in K]?: { value: number } };
}

function maxima(breaker: AdminCircuitBreaker) {
  return {
    maxConnections: breaker.maxConnections,
    maxPendingRequests: breaker.maxPendingRequests,
    maxRequests: breaker.maxRequests,
    maxRetries: breaker.maxRetries,
  };
}

function hostStatus(host: AdminHost): MessageInitShape<typeof HostStatusSchema> {
  const metric = (type: SimpleMetric_Type) => (stat: StatName) => ({
    name: stat[0],
    value: BigInt(Math.max(0, host.stats[stat[1]])),
    type,
  });
  return {
    address: addressMessage(host.address),
    stats: [
      ...COUNTERS.map(metric(SimpleMetric_Type.COUNTER)),
      ...GAUGES.map(metric(SimpleMetric_Type.GAUGE)),
    ],
    healthStatus: healthStatus(host.healthFlags),
    ...(host.successRate === undefined ? {} : { successRate: { value: host.successRate } }),
    weight: host.weight,
    hostname: host.hostname,
    priority: host.priority,
    ...(host.localOriginSuccessRate === undefined
      ? {}
      : { localOriginSuccessRate: { value: host.localOriginSuccessRate } }),
    locality: host.locality,
  };
}

function healthStatus(flags: number): MessageInitShape<typeof HostHealthStatusSchema> {
  const has = (flag: number): boolean => (flags & flag) !== 0;
  return {
    failedActiveHealthCheck: has(HealthFlag.failed_active_hc),
    failedOutlierCheck: has(HealthFlag.failed_outlier_check),
    failedActiveDegradedCheck: has(HealthFlag.degraded_active_hc),
    pendingDynamicRemoval: has(HealthFlag.pending_dynamic_removal),
    pendingActiveHc: has(HealthFlag.pending_active_hc),
    excludedViaImmediateHcFail: has(HealthFlag.excluded_via_immediate_hc_fail),
    activeHcTimeout: has(HealthFlag.active_hc_timeout),
    edsHealthStatus: has(HealthFlag.failed_eds_health)
      ? HealthStatus.UNHEALTHY
      : has(HealthFlag.eds_status_draining)
        ? HealthStatus.DRAINING
        : has(HealthFlag.degraded_eds_health)
          ? HealthStatus.DEGRADED
          : HealthStatus.HEALTHY,
  };
}
