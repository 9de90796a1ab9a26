import { type Random, RandomSchema } from '@dragoman/api';
import {
  defineLoadBalancer,
  type Host,
  type HostPicker,
  type LoadBalancerContextForCluster,
  type LocalityRouting,
  type PickerPolicy,
  type RandomSource,
} from '@dragoman/core';
import { NO_HOST, readLocalityRouting } from '@dragoman/load-balancing';

class RandomPicker implements HostPicker {
  private readonly hosts: readonly Host[];
  private readonly source: RandomSource;

  constructor(hosts: readonly Host[], source: RandomSource) {
    this.hosts = hosts;
    this.source = source;
  }

  pick(): Host | undefined {
    return this.hosts[this.source.next() % this.hosts.length];
  }
}

class RandomPolicy implements PickerPolicy {
  readonly foreseeable = true;
  readonly locality: LocalityRouting;
  private readonly source: RandomSource;

  constructor(config: Random, context: LoadBalancerContextForCluster) {
    this.locality = readLocalityRouting(config.localityLbConfig);
    this.source = context.random;
  }

  createPicker(hosts: readonly Host[]): HostPicker {
    return hosts.length === 0 ? NO_HOST : new RandomPicker(hosts, this.source);
  }
}

/** Any host, each as likely as the others, whatever it weighs. */
export const random = defineLoadBalancer({
  name: 'envoy.load_balancing_policies.random',
  config: RandomSchema,
  lbPolicy: 'RANDOM',
  create: (config, context) => new RandomPolicy(config, context),
});
