import { type AggregateClusterConfig, type Cluster, unpackAny } from '@dragoman/api';
import { atPath, ConfigError, ProblemCollector } from '@dragoman/core';

const AT = 'cluster_type.typed_config';

/** The names of the members, in their order. @throws ConfigError with every problem, paths relative to the cluster */
export function readMembers({ name, clusterDiscoveryType: type }: Cluster): readonly string[] {
  const any = type.case === 'clusterType' ? type.value.typedConfig : undefined;
  if (any === undefined) throw ConfigError.at(AT, 'is missing: it names the clusters');
  const { clusters } = atPath(AT, () => unpackAny(any)) as AggregateClusterConfig;
  const problems = new ProblemCollector();
  if (clusters.length === 0) problems.add(`${AT}.clusters`, 'is empty: name at least one cluster');
  clusters.forEach((member, index) => {
    const path = `${AT}.clusters[${index}]`;
    if (member === '') problems.add(path, 'is empty');
    else if (member === name) problems.add(path, `"${name}" is the cluster itself`);
    else if (clusters.indexOf(member) < index) problems.add(path, `"${member}" is listed twice`);
  });
  problems.throwIfAny();
  return clusters;
}
