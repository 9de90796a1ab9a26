import type { Extension } from '@dragoman/core';
import { clientSideWeightedRoundRobin } from '@dragoman/load-balancer-client-side-weighted-round-robin';
import { leastRequest } from '@dragoman/load-balancer-least-request';
import { maglev } from '@dragoman/load-balancer-maglev';
import { random } from '@dragoman/load-balancer-random';
import { ringHash } from '@dragoman/load-balancer-ring-hash';
import { roundRobin } from '@dragoman/load-balancer-round-robin';
import type { JsonObject } from '@dragoman/testing';
import {
  type HostGroup,
  HostList,
  type SimProxy,
  type ProxyOptions,
  type Simulation,
} from '../../src/index.ts';

export const POLICIES: readonly Extension[] = [
  clientSideWeightedRoundRobin,
  leastRequest,
  maglev,
  random,
  ringHash,
  roundRobin,
];

/** A cluster `web` in whose way no circuit breaker stands. */
export function web(over: JsonObject = {}, threshold: JsonObject = {}): JsonObject {
  const most = 1_000_000;
  const open = { max_connections: most, max_pending_requests: most, max_requests: most, max_retries: most };
  return { name: 'web', circuit_breakers: { thresholds: [{ ...open, ...threshold }] }, ...over };
}

export interface Scene {
  readonly proxy: SimProxy;
  readonly list: HostList;
  /** Tells the proxy of the list as it is now. */
  publish(): void;
}

/** A proxy with a cluster `web` of these hosts. */
export function scene(
  sim: Simulation,
  groups: readonly HostGroup[],
  options: Partial<ProxyOptions> = {},
): Scene {
  const proxy = sim.addProxy({ clusters: [web()], extensions: POLICIES, ...options });
  const list = new HostList(...groups);
  const publish = (): void => proxy.updateHosts('web', list.update());
  publish();
  return { proxy, list, publish };
}

/** Sends this many requests and lets them end. @returns their statuses */
export function send(sim: Simulation, proxy: SimProxy, count: number): number[] {
  const statuses: number[] = [];
  for (let i = 0; i < count; i++) {
    proxy.send({}, ({ status }) => statuses.push(status));
    sim.runUntil(sim.now + 1);
  }
  sim.runUntil(sim.now + 60_000);
  return statuses;
}
