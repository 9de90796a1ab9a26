import { type Cluster, type Cluster_EdsClusterConfig, Cluster_EdsClusterConfigSchema } from '@dragoman/api';
import { ConfigError, refuseUnsupported } from '@dragoman/core';

/** `eds_cluster_config` of a cluster, read and checked. */
export interface EdsConfig {
  readonly source: NonNullable<Cluster_EdsClusterConfig['edsConfig']>;
  /** The name of the assignment: `service_name`, or the cluster's. */
  readonly serviceName: string;
}

const ROOT = 'eds_cluster_config';
const FIELDS = new Set(['eds_config', 'service_name']);

/** @throws ConfigError with a path below the cluster */
export function readEdsConfig(cluster: Cluster): EdsConfig {
  const { name, edsClusterConfig: config } = cluster;
  if (cluster.loadAssignment !== undefined)
    throw ConfigError.at(
      'load_assignment',
      'has no effect in a cluster of type EDS, whose endpoints come from eds_config; remove it, or make the type STATIC or STRICT_DNS',
    );
  if (config === undefined)
    throw ConfigError.at(ROOT, 'is missing: a cluster of type EDS says here where its endpoints come from');
  refuseUnsupported(config, Cluster_EdsClusterConfigSchema, FIELDS, ROOT);
  const { edsConfig: source, serviceName } = config;
  if (source === undefined)
    throw ConfigError.at(
      `${ROOT}.eds_config`,
      'is missing; ads: {} takes them from the stream that brings clusters too',
    );
  if (serviceName === '' && name.startsWith('xdstp:'))
    throw ConfigError.at(
      `${ROOT}.service_name`,
      'is empty: the name of the cluster is an xdstp one, and cannot be that of its endpoints',
    );
  return { source, serviceName: serviceName === '' ? name : serviceName };
}
