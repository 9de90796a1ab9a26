import type { ClusterLoadAssignment, LedsClusterLocalityConfig } from '@dragoman/api';
import { ConfigError, type EndpointData, ProblemCollector } from '@dragoman/core';
import {
  type ConfiguredLocality,
  endpointByAddress,
  type LoadAssignment,
  readAssignment,
} from '@dragoman/endpoints';

/** One entry of `endpoints`. */
export type AssignedLocality = Omit<ConfiguredLocality, 'endpoints'> & {
  readonly endpoints: readonly EndpointData[];
};

/** What a server has assigned to a cluster. */
export type Assignment = Omit<LoadAssignment, 'localities'> & {
  readonly localities: readonly AssignedLocality[];
};

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
  const assignment = readAssignment(message, { discovered: true, local });
  const problems = new ProblemCollector();
  const localities = assignment.localities.map((group) => toLocality(group, problems));
  problems.throwIfAny();
  return { ...assignment, localities };
}

function toLocality(group: ConfiguredLocality, problems: ProblemCollector): AssignedLocality {
  const { leds, endpoints, path } = group;
  if (leds !== undefined) problems.try(`${path}.leds_cluster_locality_config`, () => checkCollection(leds));
  return {
    ...group,
    endpoints: endpoints.flatMap(
      (endpoint) => problems.try('', () => endpointByAddress(endpoint, 'EDS')) ?? [],
    ),
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
