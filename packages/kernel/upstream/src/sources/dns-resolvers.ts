import { anyTypeName, CaresDnsResolverConfigSchema, type Cluster, create, unpackAny } from '@dragoman/api';
import { atPath, type DnsResolver, type ExtensionRegistry, type MainContext } from '@dragoman/core';

const CARES = 'envoy.network.dns_resolver.cares';

/**
 * The resolver that a cluster asks for, or undefined for the server's. `typed_dns_resolver_config` goes before
 * `dns_resolution_config`, and that before `dns_resolvers`, as in Envoy.
 *
 * @throws ConfigError with a path relative to the cluster
 */
export function clusterResolver(
  cluster: Cluster,
  registry: ExtensionRegistry,
  context: MainContext,
): DnsResolver | undefined {
  const typed = cluster.typedDnsResolverConfig;
  if (typed !== undefined) {
    const path = 'typed_dns_resolver_config';
    const any = typed.typedConfig;
    const typeName = any === undefined ? undefined : anyTypeName(any);
    const extension = registry.resolve('dns-resolvers', typed.name, typeName, path);
    return atPath(`${path}.typed_config`, () =>
      extension.create((any === undefined ? undefined : unpackAny(any)) as never, context),
    );
  }
  const resolution = cluster.dnsResolutionConfig;
  const resolvers = resolution?.resolvers ?? cluster.dnsResolvers;
  if (resolution === undefined && resolvers.length === 0) return undefined;
  const path = resolution === undefined ? 'dns_resolvers' : 'dns_resolution_config';
  const extension = registry.resolve('dns-resolvers', CARES, CaresDnsResolverConfigSchema.typeName, path);
  const config = create(CaresDnsResolverConfigSchema, {
    resolvers,
    dnsResolverOptions: resolution?.dnsResolverOptions,
  });
  return atPath(path, () => extension.create(config as never, context));
}
