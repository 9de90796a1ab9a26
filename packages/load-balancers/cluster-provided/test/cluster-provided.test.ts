import { create, ClusterProvidedSchema } from '@dragoman/api';
import type { LoadBalancer } from '@dragoman/core';
import { loadBalancerContext } from '@dragoman/testing';
import { expect, it } from 'vitest';
import { clusterProvided } from '../src/index.ts';

const config = create(ClusterProvidedSchema) as never;

it('hands out the balancer that the cluster brings along', () => {
  const own: LoadBalancer = { update() {}, choose: () => undefined };
  const policy = clusterProvided.create(config, loadBalancerContext({ provided: () => own }));
  expect(
    policy.createBalancer(() => {
      throw new Error('nobody asks for a standard one');
    }),
  ).toBe(own);
});

it('is refused where the cluster brings none', () => {
  expect(() => clusterProvided.create(config, loadBalancerContext({}))).toThrow(
    /the type of cluster ".+" brings no load balancer of its own; name another policy/,
  );
});
