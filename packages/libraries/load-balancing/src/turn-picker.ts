import type { Host, HostPicker } from '@dragoman/core';
import { CursorPicker } from './cursor-picker.ts';
import { EdfPicker, NO_HOST, sameWeights } from './edf-picker.ts';
import type { SlowStart } from './slow-start.ts';

/**
 * The picker of a round robin over hosts as they are now (Envoy: `RoundRobinLoadBalancer`): one after the other where weights are equal,
 * earliest deadline first where they are not, or where one of the hosts starts slowly.
 *
 * @param seed where the turns begin, any whole number of 0 or more: one that is drawn, so that many proxies do not begin with the same host
 * @param previous the picker it replaces: a cursor goes on
 */
export function turnPicker(
  hosts: readonly Host[],
  seed: number,
  slowStart: SlowStart | undefined,
  previous: HostPicker | undefined,
): HostPicker {
  if (hosts.length === 0) return NO_HOST;
  if (slowStart?.concerns(hosts))
    return new EdfPicker(hosts, seed, (host) => slowStart.scaled(host.weight, host));
  if (!sameWeights(hosts)) return new EdfPicker(hosts, seed);
  return new CursorPicker(hosts, previous instanceof CursorPicker ? previous.position : seed);
}
