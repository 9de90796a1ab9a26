// node --conditions dragoman-source packages/load-balancers/random/bench/pick.bench.ts

import { create, RandomSchema } from '@dragoman/api';
import { systemRandom } from '@dragoman/core';
import { benchLoadBalancer, loadBalancerContext } from '@dragoman/testing';
import { random } from '../src/index.ts';

benchLoadBalancer({
  policy: () => random.create(create(RandomSchema) as never, loadBalancerContext({ random: systemRandom })),
  lists: { 'any weights': (index) => 1 + (index % 7) },
});
