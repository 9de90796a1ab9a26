import { ClientSideWeightedRoundRobinSchema, readLoose } from '@dragoman/api';
import type { Host, LoadBalancer, LoadBalancerContextForCluster, LoadReport } from '@dragoman/core';
import { FakeClock, loadBalancerContext, ScriptedRandom, simpleBalancer } from '@dragoman/testing';
import { clientSideWeightedRoundRobin } from '../src/index.ts';

/** A report of 100 requests a second at a load of 1: weight 100. */
export function reportOf(over: Partial<LoadReport> = {}): LoadReport {
  return {
    cpuUtilization: 1,
    memUtilization: 0,
    applicationUtilization: 0,
    rpsFractional: 100,
    eps: 0,
    requestCost: new Map(),
    utilization: new Map(),
    namedMetrics: new Map(),
    ...over,
  };
}

/** `host` reports a load that comes to `weight`. */
export function reportWeight(host: Host, weight: number): void {
  host.onLoadReport?.(reportOf({ rpsFractional: weight }));
}

export function configOf(config: object = {}): ReturnType<typeof readLoose> {
  return readLoose(ClientSideWeightedRoundRobinSchema, config);
}

export interface Scene {
  readonly clock: FakeClock;
  readonly balancer: LoadBalancer;
}

/** A balancer of its own clock; schedules begin at their beginning. */
export function sceneOf(
  config: object = {},
  over: Partial<LoadBalancerContextForCluster> = {},
  standard = simpleBalancer,
): Scene {
  const clock = new FakeClock();
  const context = loadBalancerContext({ clock, random: new ScriptedRandom([0]), ...over });
  const policy = clientSideWeightedRoundRobin.create(configOf(config) as never, context);
  return { clock, balancer: policy.createBalancer(standard) };
}

export function weights(hosts: readonly Host[]): number[] {
  return hosts.map((host) => host.weight);
}
