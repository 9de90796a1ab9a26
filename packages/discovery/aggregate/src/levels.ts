import type { ClusterManager, HostDescription, HostSet, PriorityShares } from '@dragoman/core';

/** One priority of a member. */
export interface Level {
  readonly clusterName: string;
  /** What the member is told so that it takes healthy hosts of this priority, or degraded ones. */
  readonly healthy: PriorityShares;
  readonly degraded: PriorityShares;
}

/** The priorities of all members, one after the other: a snapshot, replaced whole. */
export class Levels {
  readonly list: readonly Level[];
  /** The same, as hosts; numbered anew. */
  readonly sets: readonly HostSet[];
  /** By member, then by its own priority. */
  private readonly numbers: ReadonlyMap<string, ReadonlyMap<number, number>>;

  /** Priorities without hosts are left out, and so are clusters that are not there. */
  constructor(members: readonly string[], clusters: ClusterManager) {
    const list: Level[] = [];
    const sets: HostSet[] = [];
    const numbers = new Map<string, Map<number, number>>();
    for (const clusterName of members) {
      const own = clusters.get(clusterName)?.hostSets ?? [];
      const ofMember = new Map<number, number>();
      numbers.set(clusterName, ofMember);
      for (const [index, set] of own.entries()) {
        if (set.hosts.length === 0) continue;
        ofMember.set(set.priority, sets.length);
        const all = own.map((_, other) => (other === index ? 100 : 0));
        const none = own.map(() => 0);
        list.push({
          clusterName,
          healthy: { healthy: all, degraded: none },
          degraded: { healthy: none, degraded: all },
        });
        sets.push({ ...set, priority: sets.length });
      }
    }
    this.list = list;
    this.sets = sets;
    this.numbers = numbers;
  }

  /** Undefined for a host whose priority is not there any more. */
  readonly numberOf = ({ clusterName, priority }: HostDescription): number | undefined =>
    this.numbers.get(clusterName)?.get(priority);
}
