import { anyTypeName, type Cluster, type DescMessage, type MessageShape, unpackAnyAs } from '@dragoman/api';
import { atPath, ConfigError, type FactoryContext } from '@dragoman/core';
import type { ApiServerSettings } from './server-settings.ts';

const PATH = 'cluster_type.typed_config';

/**
 * Reads `cluster_type.typed_config` of a cluster.
 * @throws ConfigError with paths relative to the cluster: what `read` throws, a config that is missing or of another type, and a
 *   `load_assignment`, which nobody would look at
 */
export function readTypedConfig<C extends DescMessage, T>(
  cluster: Cluster,
  schema: C,
  read: (config: MessageShape<C>) => T,
): T {
  if (cluster.loadAssignment !== undefined)
    throw ConfigError.at('load_assignment', 'the hosts of this cluster_type are found; remove it');
  const kind = cluster.clusterDiscoveryType;
  const any = kind.case === 'clusterType' ? kind.value.typedConfig : undefined;
  if (any === undefined) throw ConfigError.at(PATH, `is missing; expected ${schema.typeName}`);
  const config = unpackAnyAs(any, schema);
  if (config === undefined)
    throw ConfigError.at(PATH, `expected ${schema.typeName}, found ${anyTypeName(any)}`);
  return atPath(PATH, () => read(config));
}

/** Warns of a token that anybody on the way can read. */
export function warnOfToken({ exposesToken }: ApiServerSettings, context: FactoryContext): void {
  if (exposesToken)
    context.warn(
      `${PATH}.api_server.url`,
      'the token of token_file goes over the network in clear text; use https',
    );
}
