import {
  type Cluster,
  type ConsulCluster,
  ConsulCluster_Consistency as Consistency,
  ConsulClusterSchema,
  type ConsulCluster_WarningHealth as WarningHealth,
  durationMs,
} from '@dragoman/api';
import { type ApiServerSettings, readApiServer, readTypedConfig } from '@dragoman/api-discovery';
import { atPath } from '@dragoman/core';

/** How instances become hosts. */
export interface InstanceOptions {
  readonly warningHealth: WarningHealth;
  /** Empty: the plain address. */
  readonly taggedAddress: string;
  readonly regionKey: string;
  readonly zoneKey: string;
}

/** What is asked of Consul, and how. */
export interface ConsulOptions extends InstanceOptions {
  readonly server: ApiServerSettings;
  readonly service: string;
  /** The path and those parameters of the query that stay the same; ends with a parameter. */
  readonly path: string;
  /** How long a query waits for a change, whole seconds in milliseconds. */
  readonly waitMs: number;
  /** Milliseconds since a server heard of the leader, beyond which its answer replaces nothing. */
  readonly maxStaleMs: number;
  readonly maxInstances: number;
}

const DEFAULT_URL = 'http://127.0.0.1:8500';
/** Consul's own default. */
const DEFAULT_WAIT_MS = 300_000;
const DEFAULT_MAX_STALE_MS = 10_000;
const DEFAULT_MAX_INSTANCES = 50_000;

/** @throws ConfigError with every problem, paths relative to the cluster */
export function readOptions(cluster: Cluster): ConsulOptions {
  return readTypedConfig(cluster, ConsulClusterSchema, read);
}

function read(config: ConsulCluster): ConsulOptions {
  const server = atPath('api_server', () => readApiServer(config.apiServer, { url: DEFAULT_URL }));
  return {
    server,
    service: config.service,
    path: pathOf(config),
    waitMs: Math.ceil((durationMs(config.wait) ?? DEFAULT_WAIT_MS) / 1000) * 1000,
    maxStaleMs: durationMs(config.maxStale) ?? DEFAULT_MAX_STALE_MS,
    maxInstances: config.maxInstances ?? DEFAULT_MAX_INSTANCES,
    warningHealth: config.warningHealth,
    taggedAddress: config.taggedAddress,
    regionKey: config.regionMetaKey || 'region',
    zoneKey: config.zoneMetaKey || 'zone',
  };
}

/** `tag` may stand there several times: instances must have all of them. */
function pathOf(config: ConsulCluster): string {
  const query = new URLSearchParams();
  const set = (name: string, value: string): void => {
    if (value !== '') query.append(name, value);
  };
  set('dc', config.datacenter);
  set('ns', config.namespace);
  set('partition', config.partition);
  set('filter', config.filter);
  for (const tag of config.tags) set('tag', tag);
  if (config.passingOnly) set('passing', 'true');
  if (config.consistency === Consistency.STALE) set('stale', 'true');
  if (config.consistency === Consistency.CONSISTENT) set('consistent', 'true');
  const text = query.toString();
  return `/v1/health/service/${encodeURIComponent(config.service)}?${text}${text === '' ? '' : '&'}`;
}
