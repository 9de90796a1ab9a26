import {
  type EndpointData,
  type HostListPolicy,
  type HostListUpdate,
  type Locality,
  type LocalityEndpoints,
  sameDrops,
  sameEndpoint,
} from '@dragoman/core';
import { identityOf } from '../hosts/identity.ts';
import { sameLocality } from '../hosts/local-zone.ts';
import { MetadataTable, writeColumns } from './host-list-columns.ts';
import { AMEND, FRESH, flatEndpoints, KEEP, type WireGroup, type WireList } from './host-list-message.ts';

const NOTHING: HostListUpdate = { localities: [] };

/** Every key, whoever adds one; undefined where there is none, which JSON leaves out. */
type Wanted<T> = { [key in keyof Required<T>]: T[key] };

function samePolicy(one: HostListPolicy, other: HostListPolicy): boolean {
  return (
    one.overprovisioningFactor === other.overprovisioningFactor &&
    one.weightedPriorityHealth === other.weightedPriorityHealth &&
    sameDrops(one, other)
  );
}

/** A list that needs no other to be read. */
export function writeFullList(list: HostListUpdate): string {
  return new DeltaWriter(NOTHING, list).toText();
}

/** What makes `after` of `before`, in `after`'s order; undefined when they are equal. */
export function writeDelta(before: HostListUpdate, after: HostListUpdate): string | undefined {
  const writer = new DeltaWriter(before, after);
  return writer.empty ? undefined : writer.toText();
}

/**
 * Walks through the new list with a cursor in the old one: most of the time the next new endpoint is the next old one. Where it is not, the endpoint's
 * identity says where to go on.
 */
class DeltaWriter {
  private readonly before: HostListUpdate;
  private readonly after: HostListUpdate;
  private readonly old: OldEndpoints;
  /** Index of each old group's first endpoint. */
  private readonly starts: number[] = [];
  private readonly groups: (WireGroup | number)[] = [];
  private readonly fresh: EndpointData[] = [];
  private readonly amended: EndpointData[] = [];
  private readonly bases: EndpointData[] = [];
  private groupOfLocality: Map<string, number> | undefined;
  private cursor = 0;

  constructor(before: HostListUpdate, after: HostListUpdate) {
    this.before = before;
    this.after = after;
    this.old = new OldEndpoints(flatEndpoints(before));
    let start = 0;
    for (const group of before.localities) {
      this.starts.push(start);
      start += group.endpoints.length;
    }
    after.localities.forEach((group, index) => {
      this.groups.push(this.describe(group, index));
    });
  }

  /** Whether nothing differs. */
  get empty(): boolean {
    return (
      samePolicy(this.before, this.after) &&
      this.before.localities.length === this.groups.length &&
      this.groups.every((group, index) => group === index)
    );
  }

  toText(): string {
    const table = new MetadataTable();
    const { overprovisioningFactor, weightedPriorityHealth, dropOverload } = this.after;
    const list: Omit<WireList, 'metadata'> = {
      policy: {
        overprovisioningFactor,
        weightedPriorityHealth,
        dropOverload,
      } satisfies Wanted<HostListPolicy>,
      groups: this.groups,
      fresh: writeColumns(this.fresh, table),
      amended: writeColumns(this.amended, table, this.bases),
    };
    return `{"metadata":${table.toText()},${JSON.stringify(list).slice(1)}`;
  }

  private describe(group: LocalityEndpoints, index: number): WireGroup | number {
    const { locality, weight, priority, endpoints } = group;
    const like = this.findGroup(group, index);
    if (like === undefined) return { locality, weight, priority, endpoints: this.runsOf(endpoints) };
    const before = this.before.localities[like];
    this.cursor = this.starts[like];
    const runs = before.endpoints === endpoints ? like : this.runsOf(endpoints);
    const same = runs === like || this.isWholeGroup(runs, like);
    if (same && before.weight === weight && before.priority === priority) return like;
    return { locality: like, weight, priority, endpoints: same ? like : runs };
  }

  /** An old group of the same locality, the one at the same place before others. */
  private findGroup({ locality }: LocalityEndpoints, index: number): number | undefined {
    const { localities } = this.before;
    if (index < localities.length && sameLocality(localities[index].locality, locality)) return index;
    if (this.groupOfLocality === undefined) {
      this.groupOfLocality = new Map();
      for (const [place, group] of localities.entries())
        this.groupOfLocality.set(localityKey(group.locality), place);
    }
    return this.groupOfLocality.get(localityKey(locality));
  }

  private isWholeGroup(runs: readonly number[] | number, group: number): boolean {
    const { length } = this.before.localities[group].endpoints;
    if (typeof runs === 'number') return runs === group;
    if (length === 0) return runs.length === 0;
    return runs.length === 3 && runs[0] === KEEP && runs[1] === this.starts[group] && runs[2] === length;
  }

  private runsOf(endpoints: readonly EndpointData[]): number[] {
    const runs: number[] = [];
    for (const endpoint of endpoints) {
      const from = this.old.locate(endpoint, this.cursor);
      if (from === undefined) {
        this.fresh.push(endpoint);
        extend(runs, FRESH, 0);
        continue;
      }
      this.cursor = from + 1;
      const base = this.old.endpoints[from];
      if (sameEndpoint(base, endpoint)) {
        extend(runs, KEEP, from);
        continue;
      }
      this.amended.push(endpoint);
      this.bases.push(base);
      extend(runs, AMEND, from);
    }
    return runs;
  }
}

/** Adds one endpoint: to the last run where it goes on with that. */
function extend(runs: number[], kind: number, from: number): void {
  const last = runs.length - 3;
  const goesOn =
    last >= 0 && runs[last] === kind && (kind === FRESH || runs[last + 1] + runs[last + 2] === from);
  if (goesOn) runs[last + 2]++;
  else runs.push(kind, from, 1);
}

/** The endpoints of the old list, found by identity. */
class OldEndpoints {
  readonly endpoints: readonly EndpointData[];
  /** The first of each identity that was not given out, and for each the next of the same identity. Made when first needed. */
  private heads: Map<string, number> | undefined;
  private followers = new Int32Array(0);

  constructor(endpoints: readonly EndpointData[]) {
    this.endpoints = endpoints;
  }

  /** The one at `expected` when it is the same host, else one from elsewhere. Any answer is right, a near one makes a short message. */
  locate(endpoint: EndpointData, expected: number): number | undefined {
    const identity = identityOf(endpoint);
    if (expected < this.endpoints.length && identityOf(this.endpoints[expected]) === identity)
      return expected;
    const heads = (this.heads ??= this.index());
    const found = heads.get(identity);
    if (found === undefined) return undefined;
    const next = this.followers[found];
    // Of many listings of one address each is taken once, but for the last: no search through them all.
    if (next !== 0) heads.set(identity, next);
    return found;
  }

  private index(): Map<string, number> {
    const heads = new Map<string, number>();
    this.followers = new Int32Array(this.endpoints.length);
    for (let index = this.endpoints.length - 1; index >= 0; index--) {
      const identity = identityOf(this.endpoints[index]);
      // 0 is never a follower: it comes first.
      this.followers[index] = heads.get(identity) ?? 0;
      heads.set(identity, index);
    }
    return heads;
  }
}

function localityKey({ region, zone, subZone }: Locality): string {
  return JSON.stringify([region, zone, subZone]);
}
