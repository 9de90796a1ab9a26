// node --conditions dragoman-source packages/load-balancers/client-side-weighted-round-robin/bench/pick.bench.ts

import { ClientSideWeightedRoundRobinSchema, create, durationFromMs } from '@dragoman/api';
import type { Host, LoadBalancerPolicy } from '@dragoman/core';
import { benchLoadBalancer, FakeClock, loadBalancerContext } from '@dragoman/testing';
import { clientSideWeightedRoundRobin } from '../src/index.ts';

const NONE: ReadonlyMap<string, number> = new Map();

/** Every host reports a load of its own behind each build, and weights are worked out once. */
function reporting(clock: FakeClock, policy: LoadBalancerPolicy): LoadBalancerPolicy {
  if (!('createBalancer' in policy)) return policy;
  return {
    createBalancer(standard) {
      const balancer = policy.createBalancer(standard);
      return {
        ...balancer,
        update(sets) {
          balancer.update(sets);
          for (const { hosts } of sets) hosts.forEach(reportLoad);
          clock.advance(1_000);
        },
        choose: (context) => balancer.choose(context),
        close: () => balancer.close?.(),
      };
    },
  };
}

function reportLoad(host: Host, index: number): void {
  host.onLoadReport?.({
    cpuUtilization: 1,
    memUtilization: 0,
    applicationUtilization: 0,
    rpsFractional: 1 + (index % 7),
    eps: 0,
    requestCost: NONE,
    utilization: NONE,
    namedMetrics: NONE,
  });
}

const policyOn = (clock: FakeClock): LoadBalancerPolicy =>
  clientSideWeightedRoundRobin.create(
    create(ClientSideWeightedRoundRobinSchema, { blackoutPeriod: durationFromMs(0) }) as never,
    loadBalancerContext({ clock }),
  );

benchLoadBalancer({ policy: () => policyOn(new FakeClock()), lists: { 'no reports': () => 1 } });
benchLoadBalancer({
  policy: () => {
    const clock = new FakeClock();
    return reporting(clock, policyOn(clock));
  },
  lists: { 'reported weights': () => 1 },
});
