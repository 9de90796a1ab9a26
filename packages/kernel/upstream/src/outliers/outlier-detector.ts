import type { HostEvent, HostListUpdate, MainContext, StatsScope, Timer } from '@dragoman/core';
import { identityOf } from '../hosts/identity.ts';
import { OUTCOME, Outcomes } from './outcomes.ts';
import type { OutlierLog, RateFigures } from './outlier-log.ts';
import type { OutlierSettings } from './outlier-settings.ts';
import { type EjectionType, OutlierStats } from './outlier-stats.ts';
import { WatchedHost } from './watched-host.ts';

export interface OutlierDetectorOptions {
  readonly settings: OutlierSettings;
  readonly context: MainContext;
  /** `cluster.<name>` */
  readonly clusterScope: StatsScope;
  /** Undefined: nobody logs ejections. */
  readonly log: OutlierLog | undefined;
  /** A host was ejected, or came back. */
  onChange(): void;
}

const CONSECUTIVE: Partial<Record<HostEvent, readonly [type: EjectionType, place: number]>> = {
  'consecutive-5xx': ['CONSECUTIVE_5XX', OUTCOME.consecutive5xx],
  'consecutive-gateway-failure': ['CONSECUTIVE_GATEWAY_FAILURE', OUTCOME.consecutiveGatewayFailure],
  'consecutive-local-origin-failure': [
    'CONSECUTIVE_LOCAL_ORIGIN_FAILURE',
    OUTCOME.consecutiveLocalOriginFailure,
  ],
};

/** Keys below `outlier_detection.` by which runtime says how often a kind of ejection is carried out. */
const ENFORCING: Record<EjectionType, readonly [key: string, setting: keyof OutlierSettings]> = {
  CONSECUTIVE_5XX: ['enforcing_consecutive_5xx', 'enforcingConsecutive5xx'],
  CONSECUTIVE_GATEWAY_FAILURE: [
    'enforcing_consecutive_gateway_failure',
    'enforcingConsecutiveGatewayFailure',
  ],
  CONSECUTIVE_LOCAL_ORIGIN_FAILURE: [
    'enforcing_consecutive_local_origin_failure',
    'enforcingConsecutiveLocalOriginFailure',
  ],
  SUCCESS_RATE: ['enforcing_success_rate', 'enforcingSuccessRate'],
  SUCCESS_RATE_LOCAL_ORIGIN: ['enforcing_local_origin_success_rate', 'enforcingLocalOriginSuccessRate'],
  FAILURE_PERCENTAGE: ['enforcing_failure_percentage', 'enforcingFailurePercentage'],
  FAILURE_PERCENTAGE_LOCAL_ORIGIN: [
    'enforcing_failure_percentage_local_origin',
    'enforcingFailurePercentageLocalOrigin',
  ],
};

const NO_FIGURES: RateFigures = { average: -1, threshold: -1 };

/** Takes hosts out for a while whose answers are worse than the others' (Envoy: outlier detection). Decides on main, for all workers. */
export class OutlierDetector {
  readonly outcomes = new Outcomes();
  private readonly options: OutlierDetectorOptions;
  private readonly stats: OutlierStats;
  private readonly timer: Timer;
  private readonly hosts = new Map<string, WatchedHost>();
  private ejectedCount = 0;

  constructor(options: OutlierDetectorOptions) {
    this.options = options;
    this.stats = new OutlierStats(options.clusterScope.scope('outlier_detection'));
    this.timer = options.context.clock.timer(() => this.onInterval());
    this.arm();
  }

  /** Takes the hosts that there are from now on. */
  update({ localities }: HostListUpdate): void {
    const seen = new Set<string>();
    const now = this.options.context.clock.now();
    for (const { endpoints } of localities)
      for (const endpoint of endpoints) {
        const { address } = endpoint;
        const identity = identityOf(endpoint);
        seen.add(identity);
        if (!this.hosts.has(identity))
          this.hosts.set(identity, new WatchedHost(identity, address, this.outcomes.allocate(now)));
      }
    for (const [identity, host] of this.hosts) {
      if (seen.has(identity)) continue;
      if (host.ejected) this.countEjected(-1);
      if (host.row !== undefined) this.outcomes.release(host.row, now);
      this.hosts.delete(identity);
    }
  }

  flagsOf(identity: string): number {
    return this.hosts.get(identity)?.flags ?? 0;
  }

  rowOf(identity: string): number | undefined {
    return this.hosts.get(identity)?.row;
  }

  /** A worker saw the last of a row of errors. */
  onEvent(identity: string, event: HostEvent): void {
    const host = this.hosts.get(identity);
    const consecutive = CONSECUTIVE[event];
    if (host === undefined || consecutive === undefined || host.ejected) return;
    const [type, place] = consecutive;
    this.stats.detected[type].inc();
    this.eject(host, type, NO_FIGURES);
    if (type === 'CONSECUTIVE_5XX') this.stats.consecutive5xx.inc();
    if (host.row !== undefined) this.outcomes.reset(host.row, place);
  }

  /** An active health check succeeded: that is word enough, unless the config says otherwise. */
  onHealthy(identity: string): void {
    const host = this.hosts.get(identity);
    if (host?.ejected === true && this.options.settings.successfulHealthCheckUnejects) this.bringBack(host);
  }

  stop(): void {
    this.timer.disable();
    this.countEjected(-this.ejectedCount);
  }

  private eject(host: WatchedHost, type: EjectionType, figures: RateFigures): void {
    const { stats } = this;
    const { settings, context, log } = this.options;
    const most = Math.min(100, this.setting('max_ejection_percent', settings.maxEjectionPercent));
    const percent = (100 * (this.ejectedCount + 1)) / this.hosts.size;
    if (percent > most && !(settings.alwaysEjectOneHost && this.ejectedCount === 0)) {
      stats.overflow.inc();
      return;
    }
    if (type === 'CONSECUTIVE_5XX' || type === 'SUCCESS_RATE') stats.total.inc();
    if (!this.enforces(type)) {
      log?.eject(host, type, false, figures);
      return;
    }
    stats.enforcedTotal.inc();
    stats.enforced[type].inc();
    host.ejected = true;
    host.ejections++;
    host.ejectedAt = context.clock.now();
    const jitter = this.setting('max_ejection_time_jitter_ms', settings.maxEjectionTimeJitterMs);
    host.jitterMs = context.random.next() % (Math.floor(jitter) + 1);
    const { base, max } = this.times();
    if (host.backOff * base < max + base) host.backOff++;
    this.countEjected(1);
    this.options.onChange();
    log?.eject(host, type, true, figures);
  }

  private bringBack(host: WatchedHost): void {
    host.ejected = false;
    host.returnedAt = this.options.context.clock.now();
    if (host.row !== undefined)
      for (const [, place] of Object.values(CONSECUTIVE)) this.outcomes.reset(host.row, place);
    this.countEjected(-1);
    this.options.onChange();
    this.options.log?.return(host);
  }

  private onInterval(): void {
    const { context } = this.options;
    const now = context.clock.now();
    const { base, max } = this.times();
    for (const host of this.hosts.values()) {
      if (!host.ejected || host.ejectedAt === undefined) continue;
      if (Math.min(base * host.backOff, max) + host.jitterMs <= now - host.ejectedAt) this.bringBack(host);
    }
    this.judge(false);
    this.judge(true);
    for (const host of this.hosts.values()) {
      const rested = host.returnedAt !== undefined && now - host.returnedAt >= this.intervalMs();
      if (!host.ejected && rested && host.backOff > 0) host.backOff--;
    }
    this.arm();
  }

  /** Compares the hosts' success rates since the last time. @param local of errors on the way to them, not of theirs */
  private judge(local: boolean): void {
    const { settings } = this.options;
    const minHosts = this.setting('success_rate_minimum_hosts', settings.successRateMinimumHosts);
    const volume = this.setting('success_rate_request_volume', settings.successRateRequestVolume);
    const failMinHosts = this.setting(
      'failure_percentage_minimum_hosts',
      settings.failurePercentageMinimumHosts,
    );
    const failVolume = this.setting(
      'failure_percentage_request_volume',
      settings.failurePercentageRequestVolume,
    );
    const rates = this.takeRates(local, Math.min(volume, failVolume));
    if (this.hosts.size < minHosts && this.hosts.size < failMinHosts) return;
    const compared = rates.filter(({ total }) => total >= volume);
    if (compared.length > 0 && compared.length >= minHosts) this.ejectBelowAverage(compared, local);
    const failing = rates.filter(({ total }) => total >= failVolume);
    if (failing.length === 0 || failing.length < failMinHosts) return;
    const threshold = this.setting('failure_percentage_threshold', settings.failurePercentageThreshold);
    const type = local ? 'FAILURE_PERCENTAGE_LOCAL_ORIGIN' : 'FAILURE_PERCENTAGE';
    for (const { host, rate } of failing) {
      if (host.ejected || 100 - rate < threshold) continue;
      this.stats.detected[type].inc();
      this.eject(host, type, NO_FIGURES);
    }
  }

  private ejectBelowAverage(hosts: readonly HostRate[], local: boolean): void {
    const factor = this.setting('success_rate_stdev_factor', this.options.settings.successRateStdevFactor);
    const average = hosts.reduce((sum, { rate }) => sum + rate, 0) / hosts.length;
    const variance = hosts.reduce((sum, { rate }) => sum + (rate - average) ** 2, 0) / hosts.length;
    const threshold = average - (factor / 1000) * Math.sqrt(variance);
    const type = local ? 'SUCCESS_RATE_LOCAL_ORIGIN' : 'SUCCESS_RATE';
    for (const { host, rate } of hosts) {
      if (rate >= threshold) continue;
      this.stats.successRate.inc();
      this.stats.detected[type].inc();
      this.eject(host, type, { average, threshold });
    }
  }

  /** Of hosts that are in. The counts begin anew, those of ejected hosts too. */
  private takeRates(local: boolean, shownFrom: number): HostRate[] {
    const rates: HostRate[] = [];
    const [totalAt, successAt] = local
      ? [OUTCOME.localTotal, OUTCOME.localSuccess]
      : [OUTCOME.externalTotal, OUTCOME.externalSuccess];
    for (const host of this.hosts.values()) {
      if (host.row === undefined) continue;
      const total = this.outcomes.take(host.row, totalAt);
      const success = this.outcomes.take(host.row, successAt);
      const rate = total === 0 ? -1 : Math.min(100, (100 * success) / total);
      const shown = total >= shownFrom && !host.ejected ? rate : -1;
      if (local) host.localSuccessRate = shown;
      else host.successRate = shown;
      if (!host.ejected && total > 0) rates.push({ host, total, rate });
    }
    return rates;
  }

  private countEjected(change: number): void {
    this.ejectedCount += change;
    this.stats.active.add(change);
  }

  private enforces(type: EjectionType): boolean {
    const { context, settings } = this.options;
    const [key, setting] = ENFORCING[type];
    const percent = settings[setting] as number;
    return context.runtime.featureEnabled(
      `outlier_detection.${key}`,
      { numerator: percent, denominator: 100 },
      context.random.next(),
    );
  }

  private times(): { readonly base: number; readonly max: number } {
    const { settings } = this.options;
    return {
      base: this.setting('base_ejection_time_ms', settings.baseEjectionTimeMs),
      max: this.setting('max_ejection_time_ms', settings.maxEjectionTimeMs),
    };
  }

  private intervalMs(): number {
    return this.setting('interval_ms', this.options.settings.intervalMs);
  }

  private arm(): void {
    this.timer.enable(Math.max(1, this.intervalMs()));
  }

  private setting(key: string, value: number): number {
    return this.options.context.runtime.getInteger(`outlier_detection.${key}`, value);
  }
}

/** Percent of a host's requests that went well, of how many. */
interface HostRate {
  readonly host: WatchedHost;
  readonly total: number;
  readonly rate: number;
}
