import {
  anyTypeName,
  type Cluster,
  Cluster_CommonLbConfigSchema,
  Cluster_LbPolicy,
  create,
  type LoadBalancingPolicy,
  SubsetSchema,
  unpackAny,
} from '@dragoman/api';
import {
  atPath,
  ConfigError,
  type DiscoveryExtension,
  type ExtensionRegistry,
  type LoadBalancerContextForCluster,
  type LoadBalancerExtension,
  type LoadBalancerPolicy,
  type ProblemCollector,
  refuseUnsupported,
} from '@dragoman/core';
import { legacyPolicyConfig, legacySubsetConfig } from './legacy-policies.ts';

/** What stands around the policy of a cluster. */
export interface CommonLbSettings {
  /** Percent, 0 … 100. Default 50. */
  readonly healthyPanicThreshold: number;
  /** Hosts that come or go end the connections to all. Default false. */
  readonly closeOnHostSetChange: boolean;
}

const DEFAULT_PANIC_THRESHOLD = 50;
const COMMON_FIELDS = new Set([
  'healthy_panic_threshold',
  'zone_aware_lb_config',
  'locality_weighted_lb_config',
  'consistent_hashing_lb_config',
  'update_merge_window',
  'ignore_new_hosts_until_first_hc',
  'close_connections_on_host_set_change',
]);
const COMMON_REASONS = { override_host_status: 'hosts that a request names are not built yet' };
/** Of clusters that choose their hosts themselves. */
const PROVIDED_FIELDS = new Set(['healthy_panic_threshold']);
const PROVIDED_REASONS: Readonly<Record<string, string>> = Object.fromEntries(
  [...COMMON_FIELDS, 'override_host_status'].map((field) => [
    field,
    'has no effect in a cluster that chooses its hosts itself; remove it',
  ]),
);
const POLICY_PREFIX = 'envoy.load_balancing_policies.';
const PROVIDED = 'CLUSTER_PROVIDED';
const SUBSET = `${POLICY_PREFIX}subset`;

/**
 * Reads `common_lb_config`.
 * @param discovered there are hosts for it to speak of, the cluster's or those of clusters that inherit it
 */
export function readCommonLb(
  cluster: Cluster,
  problems: ProblemCollector,
  discovered: boolean,
): CommonLbSettings {
  const config = cluster.commonLbConfig;
  const [fields, reasons] = discovered
    ? [COMMON_FIELDS, COMMON_REASONS]
    : [PROVIDED_FIELDS, PROVIDED_REASONS];
  if (config !== undefined)
    problems.try('common_lb_config', () =>
      refuseUnsupported(config, Cluster_CommonLbConfigSchema, fields, '', reasons),
    );
  return {
    healthyPanicThreshold: config?.healthyPanicThreshold?.value ?? DEFAULT_PANIC_THRESHOLD,
    closeOnHostSetChange: config?.closeConnectionsOnHostSetChange ?? false,
  };
}

/** Makes the policy once it is known which: by then the cluster has its stats. */
export type CreatePolicy = (context: PolicyContext) => LoadBalancerPolicy;

/** What a cluster gives its policy. */
export type PolicyContext = Omit<LoadBalancerContextForCluster, 'policy'>;

/** Finds the policy: `load_balancing_policy` (its first entry that is known), else `lb_policy`. @throws ConfigError */
export function readPolicy(
  cluster: Cluster,
  registry: ExtensionRegistry,
  type: DiscoveryExtension | undefined,
): CreatePolicy {
  const { loadBalancingPolicy } = cluster;
  return loadBalancingPolicy === undefined
    ? byEnum(cluster, registry, type)
    : firstKnown(loadBalancingPolicy, registry, 'load_balancing_policy', (policy, path) =>
        checkFits(policy, type, path),
      );
}

/** Clusters that choose their hosts themselves do so, and no others. @param type undefined: main says that it is not there */
function checkFits(policy: LoadBalancerExtension, type: DiscoveryExtension | undefined, path: string): void {
  if (type === undefined) return;
  const provided = policy.lbPolicy === PROVIDED;
  if (provided === (type.createBalancer !== undefined)) return;
  const name = type.clusterType ?? type.name;
  throw ConfigError.at(
    path,
    provided
      ? `clusters of type ${name} have no load balancer of their own, which ${PROVIDED} asks for; name another policy, such as ROUND_ROBIN`
      : `${policy.lbPolicy ?? policy.name} is not possible: clusters of type ${name} choose their hosts themselves; set lb_policy: ${PROVIDED}`,
  );
}

/** @param path where `policy` stands */
function firstKnown(
  { policies }: LoadBalancingPolicy,
  registry: ExtensionRegistry,
  path: string,
  check?: (policy: LoadBalancerExtension, path: string) => void,
): CreatePolicy {
  let first: ConfigError | undefined;
  for (let index = 0; index < policies.length; index++) {
    const entry = policies[index].typedExtensionConfig;
    const at = `${path}.policies[${index}].typed_extension_config`;
    if (entry === undefined) throw ConfigError.at(at, 'is missing');
    const any = entry.typedConfig;
    const typeName = any === undefined ? undefined : anyTypeName(any);
    let extension: LoadBalancerExtension;
    try {
      extension = registry.resolve('load-balancers', entry.name, typeName, at);
    } catch (error) {
      first ??= error as ConfigError;
      continue;
    }
    check?.(extension, at);
    const config = any === undefined ? undefined : atPath(`${at}.typed_config`, () => unpackAny(any));
    return (context) =>
      atPath(`${at}.typed_config`, () => createPolicy(extension, config, context, registry));
  }
  throw first ?? ConfigError.at(`${path}.policies`, 'is empty: name at least one policy');
}

function byEnum(
  cluster: Cluster,
  registry: ExtensionRegistry,
  type: DiscoveryExtension | undefined,
): CreatePolicy {
  const name = Cluster_LbPolicy[cluster.lbPolicy];
  if (name === undefined || name === 'LOAD_BALANCING_POLICY_CONFIG')
    throw ConfigError.at(
      'lb_policy',
      name === undefined ? `${cluster.lbPolicy} is no policy` : 'needs load_balancing_policy',
    );
  const extension =
    registry.ofCategory('load-balancers').find((candidate) => candidate.lbPolicy === name) ??
    registry.resolve('load-balancers', POLICY_PREFIX + name.toLowerCase(), undefined, 'lb_policy');
  checkFits(extension, type, 'lb_policy');
  const config = legacyPolicyConfig(name, cluster);
  const subset = config && legacySubsetConfig(cluster, { name: extension.name, config });
  if (subset === undefined) {
    const path = config === undefined ? 'lb_policy' : `${name.toLowerCase()}_lb_config`;
    return (context) => atPath(path, () => createPolicy(extension, config, context, registry));
  }
  const outer = registry.resolve('load-balancers', SUBSET, SubsetSchema.typeName, 'lb_subset_config');
  return (context) => atPath('lb_subset_config', () => createPolicy(outer, subset, context, registry));
}

function createPolicy(
  extension: LoadBalancerExtension,
  config: unknown,
  context: PolicyContext,
  registry: ExtensionRegistry,
): LoadBalancerPolicy {
  const given = config ?? (extension.config === undefined ? undefined : create(extension.config));
  const whole: LoadBalancerContextForCluster = {
    ...context,
    policy: (inner, path) =>
      firstKnown((inner ?? { policies: [] }) as LoadBalancingPolicy, registry, path)(context),
  };
  return extension.create(given as never, whole);
}
