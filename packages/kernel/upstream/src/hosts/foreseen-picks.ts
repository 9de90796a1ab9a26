import type { Host, HostSet } from '@dragoman/core';
import type { PriorityLoad } from './priority-load.ts';

/** Picks that were made before their requests have come, so that they could be connected ahead. */
export class ForeseenPicks {
  private hosts: Host[] = [];
  private most: number;

  constructor(sets: readonly HostSet[]) {
    this.most = healthyCount(sets);
  }

  /** As many as there are healthy hosts, as in Envoy. */
  get full(): boolean {
    return this.hosts.length >= this.most;
  }

  push(host: Host): void {
    this.hosts.push(host);
  }

  /** The next one. Undefined when there is none. */
  shift(): Host | undefined {
    return this.hosts.shift();
  }

  /**
   * Hosts that are still healthy keep their turn, as long as the priorities take what they took before: their pickers have counted it, and their
   * connections are there.
   */
  update(sets: readonly HostSet[], before: PriorityLoad, after: PriorityLoad): void {
    this.most = healthyCount(sets);
    if (this.hosts.length === 0) return;
    this.hosts = sameLoad(before, after) ? this.hosts.filter(stillHealthy(sets, after)) : [];
  }
}

function healthyCount(sets: readonly HostSet[]): number {
  return sets.reduce((sum, { healthyHosts }) => sum + healthyHosts.length, 0);
}

function stillHealthy(sets: readonly HostSet[], { panic }: PriorityLoad): (host: Host) => boolean {
  const healthy = new Set(sets.flatMap(({ healthyHosts }, index) => (panic[index] ? [] : healthyHosts)));
  return (host) => healthy.has(host);
}

function sameLoad(one: PriorityLoad, other: PriorityLoad): boolean {
  const { length } = one.panic;
  if (length !== other.panic.length) return false;
  for (let i = 0; i < length; i++) {
    const same =
      one.healthy[i] === other.healthy[i] &&
      one.degraded[i] === other.degraded[i] &&
      one.panic[i] === other.panic[i];
    if (!same) return false;
  }
  return true;
}
