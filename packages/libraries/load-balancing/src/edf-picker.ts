import type { Host, HostPicker } from '@dragoman/core';
import { EdfScheduler } from './edf-scheduler.ts';

/** Hosts in proportion to their weights, earliest deadline first. */
export class EdfPicker implements HostPicker {
  private readonly hosts: readonly Host[];
  private readonly scheduler: EdfScheduler;

  /**
   * @param skip picks to pass over at the start, so that many proxies do not begin with the same host; any whole number of 0 or more
   * @param weigh the weight of a host at this moment, more than 0; asked for whenever it is picked. Default: the weight it had when the picker was made
   */
  constructor(hosts: readonly Host[], skip: number, weigh?: (host: Host) => number) {
    this.hosts = hosts;
    this.scheduler = new EdfScheduler(
      hosts.map(weigh ?? ((host) => Math.max(1, host.weight))),
      weigh === undefined ? undefined : (entry) => weigh(hosts[entry]),
      skip,
    );
  }

  pick(): Host | undefined {
    return this.hosts[this.scheduler.next()];
  }
}

/** @param hosts at least one */
export function sameWeights(hosts: readonly Host[]): boolean {
  const { weight } = hosts[0];
  for (let i = 1; i < hosts.length; i++) if (hosts[i].weight !== weight) return false;
  return true;
}

/** Over no hosts. */
export const NO_HOST: HostPicker = { pick: () => undefined };
