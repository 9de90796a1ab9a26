import type { Host, LoadBalancerContextForCluster } from '@dragoman/core';
import type { Settings } from './config.ts';
import { reportWeight } from './report-weight.ts';

/** What a host has reported. Times are those of the clock. */
interface HostLoad {
  /** By its latest report. */
  weight: number;
  /** When its reports began; infinite: they have yet to begin (again). */
  since: number;
  latest: number;
}

/** The loads that hosts report, and the weights that come of them (Envoy: `OrcaWeightManager`). */
export class HostLoads {
  private readonly settings: Settings;
  private readonly context: LoadBalancerContextForCluster;
  private readonly loads = new WeakMap<Host, HostLoad>();

  constructor(settings: Settings, context: LoadBalancerContextForCluster) {
    this.settings = settings;
    this.context = context;
  }

  /** Takes their reports from now on. */
  listen(hosts: readonly Host[]): void {
    for (const host of hosts) if (!this.loads.has(host)) this.listenTo(host);
  }

  /**
   * Gives `hosts`, those of a priority, the weights that they have now; one without a weight of its own the median of the others, 1 when there are
   * none.
   *
   * @returns whether a weight has changed
   */
  apply(hosts: readonly Host[]): boolean {
    const now = this.context.clock.now();
    const own: number[] = [];
    const without: Host[] = [];
    let changed = false;
    for (const host of hosts) {
      const weight = this.weightOf(host, now);
      if (weight === undefined) {
        without.push(host);
        continue;
      }
      own.push(weight);
      changed = assign(host, weight) || changed;
    }
    if (without.length === 0) return changed;
    const fallback = median(own);
    for (const host of without) changed = assign(host, fallback) || changed;
    return changed;
  }

  private listenTo(host: Host): void {
    const { settings, context } = this;
    const load: HostLoad = {
      weight: 1,
      since: Number.POSITIVE_INFINITY,
      latest: Number.NEGATIVE_INFINITY,
    };
    this.loads.set(host, load);
    host.onLoadReport = (report) => {
      const weight = reportWeight(report, settings, context.runtime);
      if (weight === undefined) return;
      load.weight = weight;
      load.latest = context.clock.now();
      if (load.since === Number.POSITIVE_INFINITY) load.since = load.latest;
    };
  }

  /** Undefined while its reports are too new, and when they are too old: then they begin anew. */
  private weightOf(host: Host, now: number): number | undefined {
    const load = this.loads.get(host);
    if (load === undefined || now - this.settings.blackoutMs < load.since) return undefined;
    if (load.latest >= now - this.settings.expirationMs) return load.weight;
    load.since = Number.POSITIVE_INFINITY;
    return undefined;
  }
}

function assign(host: Host, weight: number): boolean {
  if (host.weight === weight) return false;
  host.weight = weight;
  return true;
}

/** Of an even number the mean of the two in the middle, whole. 1 of none. */
function median(weights: readonly number[]): number {
  if (weights.length === 0) return 1;
  const sorted = Float64Array.from(weights).sort();
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : Math.floor((sorted[middle - 1] + sorted[middle]) / 2);
}
