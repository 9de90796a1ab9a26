import type { HostSet, LocalInfo, Locality } from '@dragoman/core';

/** Where this proxy is, and its fellows: the hosts of its own cluster (`cluster_manager.local_cluster_name`). */
export class LocalZone {
  readonly locality: Locality;
  /** Another number whenever {@link set} has changed. */
  version = 0;
  private own: HostSet | undefined = undefined;

  constructor({ region = '', zone, subZone = '' }: LocalInfo) {
    this.locality = { region, zone, subZone };
  }

  /** The first priority of the proxy's own cluster; undefined while that is not known, which leaves zones out of account. */
  get set(): HostSet | undefined {
    return this.own;
  }

  update(sets: readonly HostSet[] | undefined): void {
    this.own = sets?.[0];
    this.version++;
  }
}

export function sameLocality(one: Locality, other: Locality): boolean {
  return (
    one === other || (one.region === other.region && one.zone === other.zone && one.subZone === other.subZone)
  );
}
