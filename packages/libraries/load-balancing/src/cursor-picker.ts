import type { Host, HostPicker } from '@dragoman/core';

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
