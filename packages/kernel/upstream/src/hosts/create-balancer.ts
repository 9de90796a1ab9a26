import type { FactoryContext, LoadBalancer, LoadBalancerPolicy } from '@dragoman/core';
import type { ClusterDependencies } from '../cluster-dependencies.ts';
import type { UpstreamClusterInfo } from '../cluster-info.ts';
import type { ClusterSettings } from '../config/cluster-settings.ts';
import { PredictiveConnect } from '../pool/connect-ahead.ts';
import type { OwnHostList } from './own-host-list.ts';
import { PriorityBalancer } from './priority-balancer.ts';
import { priorityLoad } from './priority-load.ts';

/** The balancer of a cluster: that of its policy, around which priorities, localities and panic are decided. */
export function createBalancer(
  settings: ClusterSettings,
  info: UpstreamClusterInfo,
  { context, localZone, clusters }: ClusterDependencies,
  hosts: OwnHostList | undefined,
): LoadBalancer {
  const { statsScope, stats } = info;
  const { runtime, random, clock } = context;
  const { healthyPanicThreshold } = settings.commonLb;
  const scene = {
    zone: localZone,
    runtime,
    random,
    stats,
    panicThreshold: () =>
      Math.min(100, runtime.getInteger('upstream.healthy_panic_threshold', healthyPanicThreshold)),
  };
  const around = (policy: LoadBalancerPolicy): LoadBalancer =>
    'createBalancer' in policy ? policy.createBalancer(around) : new PriorityBalancer(policy, scene);
  const provided =
    settings.provided &&
    hosts &&
    (() =>
      settings.provided?.({
        ...context,
        info,
        clusters,
        hosts,
        priorityShares: (sets) => priorityLoad(sets, scene.panicThreshold()),
      }) as LoadBalancer);
  return around(
    settings.createPolicy({
      clusterName: settings.name,
      stats: statsScope,
      random,
      clock,
      runtime,
      provided,
    }),
  );
}

/** Undefined where nothing is connected ahead to hosts that come next. */
export function createPredictive(
  { name, predictiveRatio }: ClusterSettings,
  balancer: LoadBalancer,
  context: FactoryContext,
): PredictiveConnect | undefined {
  if (predictiveRatio === undefined) return undefined;
  if (balancer.peek !== undefined) return new PredictiveConnect(predictiveRatio);
  context.warn(
    `cluster ${name}: preconnect_policy.predictive_preconnect_ratio`,
    'has no effect, as in Envoy: the load-balancing policy does not know which host it will pick next. round_robin, random and client_side_weighted_round_robin do; per_upstream_preconnect_ratio connects ahead to the hosts in use with every policy',
  );
  return undefined;
}
