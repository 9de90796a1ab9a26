import type { ClusterLoadAssignment, LedsClusterLocalityConfig } from '@dragoman/api';
import {
  ConfigError,
  type EndpointData,
  type HostListPolicy,
  type Locality,
  ProblemCollector,
} from '@dragoman/core';
import { type ConfiguredLocality, endpointByAddress, readAssignment } from '@dragoman/endpoints';

/** One entry of `endpoints`. */
export interface AssignedLocality {
  readonly locality: Locality;
  /** 0: not weighted. */
  readonly weight: number;
  readonly priority: number;
  /** Empty where they are a collection. */
  readonly endpoints: readonly EndpointData[];
  readonly leds: LedsClusterLocalityConfig | undefined;
  /** Where it stands in the assignment. */
  readonly path: string;
}

/** What a server has assigned to a cluster. */
export interface Assignment {
  readonly localities: readonly AssignedLocality[];
  readonly policy: HostListPolicy;
  /** Milliseconds, 0: never. */
  readonly staleAfterMs: number;
}

export interface AssignmentScene {
  /** What `cluster_name` has to be. */
  readonly serviceName: string;
  /** The cluster is the one that this proxy is a part of. */
  readonly local: boolean;
}

/**
 * Reads a `ClusterLoadAssignment` of a cluster whose endpoints are given by their addresses.
 *
 * @throws ConfigError with every problem, paths below the message
 */
export function toAssignment(
  message: ClusterLoadAssignment,
  { serviceName, local }: AssignmentScene,
): Assignment {
  if (message.clusterName !== serviceName)
    throw ConfigError.at('cluster_name', `is "${message.clusterName}"; "${serviceName}" was asked for`);
  const { localities, policy, staleAfterMs } = readAssignment(message, { discovered: true, local });
  const problems = new ProblemCollector();
  const assigned = localities.map((group) => toLocality(group, problems));
  problems.throwIfAny();
  return { localities: assigned, policy, staleAfterMs };
}

function toLocality(
  { locality, weight, priority, endpoints, leds, path }: ConfiguredLocality,
  problems: ProblemCollector,
): AssignedLocality {
  if (leds !== undefined) problems.try(`${path}.leds_cluster_locality_config`, () => checkCollection(leds));
  return {
    locality,
    weight,
    priority,
    endpoints: endpoints.flatMap(
      (endpoint) => problems.try('', () => endpointByAddress(endpoint, 'EDS')) ?? [],
    ),
    leds,
    path,
  };
}

function checkCollection({ ledsConfig, ledsCollectionName }: LedsClusterLocalityConfig): void {
  if (ledsConfig === undefined) throw ConfigError.at('leds_config', 'is missing');
  if (!ledsCollectionName.startsWith('xdstp:'))
    throw ConfigError.at(
      'leds_collection_name',
      `"${ledsCollectionName}" is not an xdstp name, such as xdstp://<authority>/envoy.config.endpoint.v3.LbEndpoint/<collection>/*`,
    );
}
