import type { Locality } from '@dragoman/core';
import type { ClusterLoad, LocalityLoad, MetricLoad, RequestCounts } from '@dragoman/upstream';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Numbers of a locality, or of one endpoint of it. */
export interface Totals extends Mutable<RequestCounts> {
  readonly metrics: Map<string, { answers: number; total: number }>;
}

export interface LocalityTotals extends Totals {
  readonly locality: Locality;
  readonly priority: number;
  /** By address. */
  readonly endpoints: Map<string, Totals>;
}

/** What one report says of a cluster. */
export interface ClusterTotals {
  readonly dropped: number;
  readonly overloads: ReadonlyMap<string, number>;
  readonly localities: readonly LocalityTotals[];
}

interface Entry {
  dropped: number;
  readonly overloads: Map<string, number>;
  readonly localities: Map<string, LocalityTotals>;
  /** By thread: what it has under way, as it last said. */
  readonly latest: Map<string, readonly LocalityLoad[]>;
}

/**
 * What threads have told since the last report. Nothing is lost while nobody takes reports: it goes into the next one.
 */
export class LoadBook {
  private readonly entries = new Map<string, Entry>();

  /** From now on there are these clusters. Those that were there before keep what they have. */
  keep(names: ReadonlySet<string>): void {
    for (const name of this.entries.keys()) if (!names.has(name)) this.entries.delete(name);
    for (const name of names)
      if (!this.entries.has(name))
        this.entries.set(name, {
          dropped: 0,
          overloads: new Map(),
          localities: new Map(),
          latest: new Map(),
        });
  }

  /**
   * @param asked whose loads the thread was asked for
   * @param fresh those of them whose past does not count
   */
  take(
    from: string,
    loads: readonly ClusterLoad[],
    asked: readonly string[],
    fresh: ReadonlySet<string>,
  ): void {
    for (const name of asked) this.entries.get(name)?.latest.delete(from);
    for (const load of loads) {
      const entry = this.entries.get(load.name);
      if (entry === undefined) continue;
      entry.latest.set(from, load.localities);
      if (!fresh.has(load.name)) add(entry, load);
    }
  }

  /** What a report is to say of a cluster. It begins anew. */
  claim(name: string): ClusterTotals {
    const entry = this.entries.get(name);
    if (entry === undefined) return { dropped: 0, overloads: new Map(), localities: [] };
    const { latest } = entry;
    this.entries.set(name, { dropped: 0, overloads: new Map(), localities: new Map(), latest });
    for (const loads of latest.values()) for (const load of loads) addActive(entry, load);
    return {
      dropped: entry.dropped,
      overloads: entry.overloads,
      localities: [...entry.localities.values()],
    };
  }
}

function add(entry: Entry, { dropped, overloads, localities }: ClusterLoad): void {
  entry.dropped += dropped;
  for (const { category, count } of overloads)
    entry.overloads.set(category, (entry.overloads.get(category) ?? 0) + count);
  for (const load of localities) {
    const totals = localityOf(entry, load);
    addCounts(totals, load);
    for (const endpoint of load.endpoints) addCounts(endpointOf(totals, endpoint.address), endpoint);
  }
}

function addCounts(
  totals: Totals,
  { issued, success, error, metrics }: RequestCounts & { readonly metrics: readonly MetricLoad[] },
): void {
  totals.issued += issued;
  totals.success += success;
  totals.error += error;
  for (const { name, answers, total } of metrics) {
    const metric = totals.metrics.get(name);
    if (metric === undefined) totals.metrics.set(name, { answers, total });
    else {
      metric.answers += answers;
      metric.total += total;
    }
  }
}

/** Where nothing is under way there need not be an entry. */
function addActive(entry: Entry, load: LocalityLoad): void {
  if (load.active === 0) return;
  const totals = localityOf(entry, load);
  totals.active += load.active;
  for (const { address, active } of load.endpoints)
    if (active > 0) endpointOf(totals, address).active += active;
}

function localityOf({ localities }: Entry, { locality, priority }: LocalityLoad): LocalityTotals {
  const key = JSON.stringify([priority, locality.region, locality.zone, locality.subZone]);
  let totals = localities.get(key);
  if (totals === undefined) {
    totals = { locality, priority, endpoints: new Map(), ...zero() };
    localities.set(key, totals);
  }
  return totals;
}

function endpointOf({ endpoints }: LocalityTotals, address: string): Totals {
  let totals = endpoints.get(address);
  if (totals === undefined) {
    totals = zero();
    endpoints.set(address, totals);
  }
  return totals;
}

function zero(): Totals {
  return { issued: 0, success: 0, error: 0, active: 0, metrics: new Map() };
}
