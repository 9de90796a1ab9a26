import type { Host, HostPicker } from '@dragoman/core';
import { EdfScheduler } from './edf-scheduler.ts';

/** Hosts of equal weight: one after the other. */
export class CursorPicker implements HostPicker {
  private readonly hosts: readonly Host[];
  private cursor: number;

  /** @param start any whole number of 0 or more: where the first pick is */
  constructor(hosts: readonly Host[], start: number) {
    this.hosts = hosts;
    this.cursor = start % hosts.length;
  }

  /** Where a successor over other hosts goes on. */
  get position(): number {
    return this.cursor;
  }

  pick(): Host | undefined {
    const { hosts, cursor } = this;
    this.cursor = cursor + 1 === hosts.length ? 0 : cursor + 1;
    return hosts[cursor];
  }
}

/** Hosts of different weights: earliest deadline first. */
export class WeightedPicker implements HostPicker {
  private readonly hosts: readonly Host[];
  private readonly scheduler: EdfScheduler;

  /** @param skip picks to pass over at the start, so that many proxies do not begin with the same host */
  constructor(hosts: readonly Host[], skip: number) {
    this.hosts = hosts;
    this.scheduler = new EdfScheduler(hosts.map((host) => Math.max(1, host.weight)));
    for (let i = 0; i < skip; i++) this.scheduler.next();
  }

  pick(): Host | undefined {
    return this.hosts[this.scheduler.next()];
  }
}
