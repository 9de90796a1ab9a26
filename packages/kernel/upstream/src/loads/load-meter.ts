import type { Counter, Locality } from '@dragoman/core';
import type { UpstreamHost } from '../hosts/host.ts';
import type { ClusterLoad, EndpointLoad, LocalityLoad, MetricLoad } from './cluster-load.ts';
import { Tally } from './tally.ts';

/** Hosts that have left and are still to be told of. More than that in one interval, and the first are forgotten. */
const MAX_DEPARTED = 1000;

/**
 * What load reports are told of a cluster on this thread. It outlives the cluster's config: whoever replaces a cluster takes it over.
 *
 * Nothing is counted here that hosts do not count anyway; reading costs one look at each host.
 */
export class LoadMeter {
  /** Requests turned away for the cluster's sake. */
  readonly dropped = new Tally('upstream_rq_dropped');
  private readonly overloads = new Map<string, Tally>();
  private category = '';
  /** Hosts that are gone and have something to tell, or requests under way. Envoy forgets them. */
  private readonly departed = new Set<UpstreamHost>();
  private metering = false;

  /** Of {@link dropped}, those of one category; those of the one before are not counted any more. */
  overload(category: string): Counter {
    this.category = category;
    let tally = this.overloads.get(category);
    if (tally === undefined) {
      tally = new Tally('upstream_rq_drop_overload');
      this.overloads.set(category, tally);
    }
    return tally;
  }

  /** A host is in no list any more. */
  leave(host: UpstreamHost): void {
    if (!this.metering || host.counted === undefined) return;
    if (this.departed.size >= MAX_DEPARTED) {
      const [oldest] = this.departed;
      this.departed.delete(oldest as UpstreamHost);
    }
    this.departed.add(host);
  }

  /**
   * What has happened since the last time. From now on hosts that leave are kept until they have told.
   * @param hosts of the cluster now
   * @param perEndpoint with the numbers of each
   */
  latch(name: string, hosts: Iterable<UpstreamHost>, perEndpoint: boolean): ClusterLoad {
    this.metering = true;
    const sums = new LocalitySums(perEndpoint);
    for (const host of hosts) sums.add(host);
    for (const host of this.departed) {
      sums.add(host);
      if (host.activeRequests === 0) this.departed.delete(host);
    }
    const overloads: { category: string; count: number }[] = [];
    for (const [category, tally] of this.overloads) {
      const count = tally.take();
      if (count > 0) overloads.push({ category, count });
      if (category !== this.category) this.overloads.delete(category);
    }
    return { name, dropped: this.dropped.take(), overloads, localities: sums.localities };
  }

  /** Nobody wants to know any more. */
  stop(): void {
    this.metering = false;
    this.departed.clear();
  }
}

interface Sum {
  readonly locality: Locality;
  readonly priority: number;
  issued: number;
  success: number;
  error: number;
  active: number;
  readonly metrics: Map<string, { answers: number; total: number }>;
  readonly endpoints: EndpointLoad[];
}

class LocalitySums {
  private readonly perEndpoint: boolean;
  private readonly byKey = new Map<string, Sum>();
  private last: Sum | undefined = undefined;
  private lastLocality: Locality | undefined = undefined;

  constructor(perEndpoint: boolean) {
    this.perEndpoint = perEndpoint;
  }

  get localities(): readonly LocalityLoad[] {
    return Array.from(this.byKey.values(), ({ metrics, ...sum }) => ({
      ...sum,
      metrics: Array.from(metrics, ([name, metric]) => ({ name, ...metric })),
    }));
  }

  add(host: UpstreamHost): void {
    const { counted } = host;
    if (counted === undefined) return;
    const marks = (host.reported ??= { issued: 0, success: 0, error: 0 });
    const counts = {
      issued: counted.rqTotal.value() - marks.issued,
      success: counted.rqSuccess.value() - marks.success,
      error: counted.rqError.value() - marks.error,
      active: counted.rqActive.value(),
    };
    marks.issued += counts.issued;
    marks.success += counts.success;
    marks.error += counts.error;
    const metrics = host.metrics?.latch() ?? NONE;
    if (counts.issued + counts.success + counts.error + counts.active === 0 && metrics.length === 0) return;
    const sum = this.sumOf(host);
    sum.issued += counts.issued;
    sum.success += counts.success;
    sum.error += counts.error;
    sum.active += counts.active;
    for (const { name, answers, total } of metrics) {
      const metric = sum.metrics.get(name);
      if (metric === undefined) sum.metrics.set(name, { answers, total });
      else {
        metric.answers += answers;
        metric.total += total;
      }
    }
    if (this.perEndpoint) sum.endpoints.push({ address: host.address.text, ...counts, metrics });
  }

  private sumOf({ locality, priority }: UpstreamHost): Sum {
    const { last, lastLocality } = this;
    if (last !== undefined && lastLocality === locality && last.priority === priority) return last;
    const { region, zone, subZone } = locality;
    const key = JSON.stringify([priority, region, zone, subZone]);
    let sum = this.byKey.get(key);
    if (sum === undefined) {
      sum = {
        locality: { region, zone, subZone },
        priority,
        issued: 0,
        success: 0,
        error: 0,
        active: 0,
        metrics: new Map(),
        endpoints: [],
      };
      this.byKey.set(key, sum);
    }
    this.last = sum;
    this.lastLocality = locality;
    return sum;
  }
}

const NONE: readonly MetricLoad[] = [];
