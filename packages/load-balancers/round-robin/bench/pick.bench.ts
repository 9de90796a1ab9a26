// node --conditions dragoman-source packages/load-balancers/round-robin/bench/pick.bench.ts

import { create, RoundRobinSchema } from '@dragoman/api';
import { benchLoadBalancer, loadBalancerContext } from '@dragoman/testing';
import { roundRobin } from '../src/index.ts';

benchLoadBalancer({
  policy: () => roundRobin.create(create(RoundRobinSchema) as never, loadBalancerContext()),
  lists: { 'equal weights': () => 1, 'different weights': (index) => 1 + (index % 7) },
});
