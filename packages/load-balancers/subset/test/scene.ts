import { readLoose, SubsetSchema } from '@dragoman/api';
import type {
  Host,
  HostSet,
  LoadBalancer,
  LoadBalancerContextForCluster,
  LoadBalancerPolicy,
  MetadataValue,
} from '@dragoman/core';
import {
  hostSetOf,
  loadBalancerContext,
  MemoryStats,
  pickContext,
  simpleBalancer,
  testHost,
} from '@dragoman/testing';
import { subset } from '../src/index.ts';

export type Fields = Record<string, MetadataValue>;

const CHILD = {
  policies: [
    {
      typed_extension_config: {
        name: 'envoy.load_balancing_policies.round_robin',
        typed_config: {
          '@type': 'type.googleapis.com/envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin',
        },
      },
    },
  ],
};

export function typedConfig(config: object): never {
  return readLoose(SubsetSchema, { subset_lb_policy: CHILD, ...config }) as never;
}

export function host(address: string, fields?: Fields, over: Partial<Host> = {}): Host {
  const metadata = new Map(fields === undefined ? [] : [['envoy.lb', fields]]);
  return testHost(`10.0.0.${address}:80`, 1, { metadata, ...over });
}

/** A policy on its own cluster. `seen` are the sets that each of its balancers was given last, in the order they were made. */
export class Scene {
  readonly stats = new MemoryStats('cluster.test');
  readonly seen: (readonly HostSet[])[] = [];
  readonly updates: number[] = [];
  closed = 0;
  readonly balancer: LoadBalancer;

  constructor(config: object, over: Partial<LoadBalancerContextForCluster> = {}) {
    const context = loadBalancerContext({ stats: this.stats, ...over });
    this.balancer = subset
      .create(typedConfig(config), context)
      .createBalancer((policy) => this.watch(policy));
  }

  update(...sets: readonly (readonly Host[] | HostSet)[]): this {
    this.balancer.update(sets.map((set, priority) => ('hosts' in set ? set : hostSetOf(set, { priority }))));
    return this;
  }

  /** The hosts that requests with these criteria come to. */
  over(criteria: Fields | undefined, picks = 24): Set<Host> {
    const context = pickContext({ metadataMatch: criteria });
    const found = Array.from({ length: picks }, () => this.balancer.choose(context));
    return new Set(found.filter((one) => one !== undefined));
  }

  count(name: string): number {
    return this.stats.value(`cluster.test.lb_subsets_${name}`);
  }

  private watch(policy: LoadBalancerPolicy): LoadBalancer {
    const inner = simpleBalancer(policy);
    const index = this.seen.push([]) - 1;
    return {
      update: (sets) => {
        this.seen[index] = sets;
        this.updates[index] = (this.updates[index] ?? 0) + 1;
        inner.update(sets);
      },
      choose: (context) => inner.choose(context),
      close: () => {
        this.closed++;
        inner.close?.();
      },
    };
  }
}
