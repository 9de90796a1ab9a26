// node --conditions dragoman-source packages/load-balancers/pick-first/bench/pick.bench.ts

import { create, PickFirstSchema } from '@dragoman/api';
import { benchLoadBalancer, loadBalancerContext } from '@dragoman/testing';
import { pickFirst } from '../src/index.ts';

for (const shuffleAddressList of [false, true])
  benchLoadBalancer({
    policy: () =>
      pickFirst.create(create(PickFirstSchema, { shuffleAddressList }) as never, loadBalancerContext()),
    lists: { [shuffleAddressList ? 'shuffled' : 'in order']: () => 1 },
  });
