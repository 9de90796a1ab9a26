import {
  anyPack,
  type Cluster,
  type Cluster_CommonLbConfig,
  type Cluster_SlowStartConfig,
  create,
  type DescMessage,
  LeastRequestSchema,
  type LocalityLbConfigSchema,
  MaglevSchema,
  type Message,
  type MessageInitShape,
  messageType,
  RandomSchema,
  RingHash_HashFunction,
  RingHashSchema,
  RoundRobinSchema,
  type SlowStartConfigSchema,
  type Subset,
  SubsetSchema,
  type Cluster_RingHashLbConfig,
  Cluster_RingHashLbConfig_HashFunction,
  Cluster_LbSubsetConfigSchema,
  fromBinary,
  LoadBalancingPolicySchema,
  toBinary,
} from '@dragoman/api';

type SlowStartInit = MessageInitShape<typeof SlowStartConfigSchema>;

/**
 * `lb_subset_config` as the message of the subset policy, with the policy of `lb_policy` inside; undefined where it selects nothing.
 *
 * @param inner name and config of that policy
 */
export function legacySubsetConfig(
  cluster: Cluster,
  inner: { name: string; config: Message },
): Subset | undefined {
  const config = cluster.lbSubsetConfig;
  if (config === undefined || config.subsetSelectors.length === 0) return undefined;
  const typedConfig = anyPack(messageType(inner.config.$typeName) as DescMessage, inner.config);
  // The two messages have the same fields under the same numbers.
  const subset = fromBinary(SubsetSchema, toBinary(Cluster_LbSubsetConfigSchema, config));
  subset.subsetLbPolicy = create(LoadBalancingPolicySchema, {
    policies: [{ typedExtensionConfig: { name: inner.name, typedConfig } }],
  });
  return subset;
}

/**
 * What `lb_policy`, `*_lb_config` and `common_lb_config` mean as the message of a policy; undefined for one that has none of its own
 * there.
 *
 * @param policy name of `lb_policy`
 */
export function legacyPolicyConfig(policy: string, cluster: Cluster): Message | undefined {
  const { lbConfig, commonLbConfig: common } = cluster;
  switch (policy) {
    case 'ROUND_ROBIN': {
      const own = lbConfig.case === 'roundRobinLbConfig' ? lbConfig.value : undefined;
      return create(RoundRobinSchema, {
        slowStartConfig: slowStart(own?.slowStartConfig),
        localityLbConfig: locality(common),
      });
    }
    case 'LEAST_REQUEST': {
      const own = lbConfig.case === 'leastRequestLbConfig' ? lbConfig.value : undefined;
      return create(LeastRequestSchema, {
        choiceCount: own?.choiceCount,
        activeRequestBias: own?.activeRequestBias,
        slowStartConfig: slowStart(own?.slowStartConfig),
        localityLbConfig: locality(common),
      });
    }
    case 'RANDOM':
      return create(RandomSchema, { localityLbConfig: locality(common) });
    case 'RING_HASH': {
      const own = lbConfig.case === 'ringHashLbConfig' ? lbConfig.value : undefined;
      return create(RingHashSchema, {
        hashFunction: hashFunction(own),
        minimumRingSize: own?.minimumRingSize,
        maximumRingSize: own?.maximumRingSize,
        ...hashing(common),
      });
    }
    case 'MAGLEV': {
      const own = lbConfig.case === 'maglevLbConfig' ? lbConfig.value : undefined;
      return create(MaglevSchema, { tableSize: own?.tableSize, ...hashing(common) });
    }
    default:
      return undefined;
  }
}

function slowStart(config: Cluster_SlowStartConfig | undefined): SlowStartInit | undefined {
  if (config === undefined) return undefined;
  const { slowStartWindow, aggression, minWeightPercent } = config;
  return { slowStartWindow, aggression, minWeightPercent };
}

function locality(
  common: Cluster_CommonLbConfig | undefined,
): MessageInitShape<typeof LocalityLbConfigSchema> | undefined {
  const specifier = common?.localityConfigSpecifier;
  if (specifier?.case === 'localityWeightedLbConfig')
    return { localityConfigSpecifier: { case: 'localityWeightedLbConfig', value: {} } };
  if (specifier?.case !== 'zoneAwareLbConfig') return undefined;
  const { routingEnabled, minClusterSize, failTrafficOnPanic } = specifier.value;
  return {
    localityConfigSpecifier: {
      case: 'zoneAwareLbConfig',
      value: { routingEnabled, minClusterSize, failTrafficOnPanic },
    },
  };
}

function hashing(common: Cluster_CommonLbConfig | undefined) {
  const own = common?.consistentHashingLbConfig;
  return {
    consistentHashingLbConfig:
      own === undefined
        ? undefined
        : { useHostnameForHashing: own.useHostnameForHashing, hashBalanceFactor: own.hashBalanceFactor },
    localityWeightedLbConfig:
      common?.localityConfigSpecifier.case === 'localityWeightedLbConfig' ? {} : undefined,
  };
}

function hashFunction(own: Cluster_RingHashLbConfig | undefined): RingHash_HashFunction {
  return own?.hashFunction === Cluster_RingHashLbConfig_HashFunction.MURMUR_HASH_2
    ? RingHash_HashFunction.MURMUR_HASH_2
    : RingHash_HashFunction.XX_HASH;
}
