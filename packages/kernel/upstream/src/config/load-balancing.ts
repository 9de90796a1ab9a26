import {
  anyTypeName,
  type Cluster,
  Cluster_CommonLbConfigSchema,
  Cluster_LbPolicy,
  Cluster_RoundRobinLbConfigSchema,
  unpackAny,
} from '@dragoman/api';
import {
  atPath,
  ConfigError,
  type ExtensionRegistry,
  type LoadBalancerContextForCluster,
  type LoadBalancerExtension,
  type LoadBalancerPolicy,
  type ProblemCollector,
  refuseUnsupported,
} from '@dragoman/core';

/** What stands around the policy of a cluster. */
export interface CommonLbSettings {
  /** Percent, 0 … 100. Default 50. */
  readonly healthyPanicThreshold: number;
  readonly failTrafficOnPanic: boolean;
}

const DEFAULT_PANIC_THRESHOLD = 50;
const COMMON_FIELDS = new Set(['healthy_panic_threshold', 'zone_aware_lb_config']);
const POLICY_PREFIX = 'envoy.load_balancing_policies.';
const NONE: ReadonlySet<string> = new Set();

/** Reads `common_lb_config`. */
export function readCommonLb(cluster: Cluster, problems: ProblemCollector): CommonLbSettings {
  const config = cluster.commonLbConfig;
  if (config === undefined)
    return { healthyPanicThreshold: DEFAULT_PANIC_THRESHOLD, failTrafficOnPanic: false };
  problems.try('common_lb_config', () => {
    refuseUnsupported(config, Cluster_CommonLbConfigSchema, COMMON_FIELDS, '', {
      locality_weighted_lb_config: 'load balancing weighted by locality is not built yet',
      update_merge_window: 'merging of host updates is not built yet: every update acts at once',
    });
  });
  const zone =
    config.localityConfigSpecifier.case === 'zoneAwareLbConfig'
      ? config.localityConfigSpecifier.value
      : undefined;
  if (zone?.routingEnabled !== undefined || zone?.minClusterSize !== undefined)
    problems.add(
      `common_lb_config.zone_aware_lb_config.${zone.routingEnabled !== undefined ? 'routing_enabled' : 'min_cluster_size'}`,
      'routing by zone is not built yet',
    );
  return {
    healthyPanicThreshold: config.healthyPanicThreshold?.value ?? DEFAULT_PANIC_THRESHOLD,
    failTrafficOnPanic: zone?.failTrafficOnPanic ?? false,
  };
}

/** Makes the policy once it is known which: by then the cluster has its stats. */
export type CreatePolicy = (context: LoadBalancerContextForCluster) => LoadBalancerPolicy;

/** Finds the policy: `load_balancing_policy` (its first entry that is known), else `lb_policy`. @throws ConfigError */
export function readPolicy(cluster: Cluster, registry: ExtensionRegistry): CreatePolicy {
  return cluster.loadBalancingPolicy === undefined
    ? byEnum(cluster, registry)
    : byConfig(cluster, cluster.loadBalancingPolicy.policies, registry);
}

function byConfig(
  _cluster: Cluster,
  policies: NonNullable<Cluster['loadBalancingPolicy']>['policies'],
  registry: ExtensionRegistry,
): CreatePolicy {
  let first: ConfigError | undefined;
  for (let index = 0; index < policies.length; index++) {
    const entry = policies[index].typedExtensionConfig;
    const path = `load_balancing_policy.policies[${index}].typed_extension_config`;
    if (entry === undefined) throw ConfigError.at(path, 'is missing');
    const any = entry.typedConfig;
    const typeName = any === undefined ? undefined : anyTypeName(any);
    let extension: LoadBalancerExtension;
    try {
      extension = registry.resolve('load-balancers', entry.name, typeName, path);
    } catch (error) {
      first ??= error as ConfigError;
      continue;
    }
    const config = any === undefined ? undefined : atPath(`${path}.typed_config`, () => unpackAny(any));
    return (context) => atPath(`${path}.typed_config`, () => extension.create(config as never, context));
  }
  throw first ?? ConfigError.at('load_balancing_policy.policies', 'is empty: name at least one policy');
}

function byEnum(cluster: Cluster, registry: ExtensionRegistry): CreatePolicy {
  const name = Cluster_LbPolicy[cluster.lbPolicy];
  if (name === undefined || name === 'LOAD_BALANCING_POLICY_CONFIG' || name === 'CLUSTER_PROVIDED')
    throw ConfigError.at(
      'lb_policy',
      name === 'LOAD_BALANCING_POLICY_CONFIG'
        ? 'needs load_balancing_policy'
        : `${name ?? cluster.lbPolicy} is not supported yet`,
    );
  const { lbConfig } = cluster;
  if (lbConfig.case === 'roundRobinLbConfig')
    refuseUnsupported(lbConfig.value, Cluster_RoundRobinLbConfigSchema, NONE, 'round_robin_lb_config', {
      slow_start_config: 'slow start is not built yet',
    });
  const extension =
    registry.ofCategory('load-balancers').find((candidate) => candidate.lbPolicy === name) ??
    registry.resolve('load-balancers', POLICY_PREFIX + name.toLowerCase(), undefined, 'lb_policy');
  return (context) => extension.create(undefined as never, context);
}
