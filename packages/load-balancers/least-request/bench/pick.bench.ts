// node --conditions dragoman-source packages/load-balancers/least-request/bench/pick.bench.ts

import { create, LeastRequest_SelectionMethod, LeastRequestSchema } from '@dragoman/api';
import { systemRandom } from '@dragoman/core';
import { benchLoadBalancer, loadBalancerContext } from '@dragoman/testing';
import { leastRequest } from '../src/index.ts';

const { FULL_SCAN, N_CHOICES } = LeastRequest_SelectionMethod;

for (const selectionMethod of [N_CHOICES, FULL_SCAN])
  benchLoadBalancer({
    policy: () =>
      leastRequest.create(
        create(LeastRequestSchema, { selectionMethod }) as never,
        loadBalancerContext({ random: systemRandom }),
      ),
    lists:
      selectionMethod === FULL_SCAN
        ? { 'full scan': () => 1 }
        : { 'equal weights': () => 1, 'different weights': (index) => 1 + (index % 7) },
    picks: selectionMethod === FULL_SCAN ? 2_000 : 1_000_000,
  });
