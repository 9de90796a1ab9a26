// node --conditions dragoman-source packages/load-balancers/wrr-locality/bench/pick.bench.ts

import { create, WrrLocalitySchema } from '@dragoman/api';
import { benchLoadBalancer, loadBalancerContext } from '@dragoman/testing';
import { wrrLocality } from '../src/index.ts';

// What is left when the policy inside costs next to nothing.
benchLoadBalancer({
  policy: () => wrrLocality.create(create(WrrLocalitySchema) as never, loadBalancerContext()),
  lists: { 'around hosts in turn': () => 1 },
});
