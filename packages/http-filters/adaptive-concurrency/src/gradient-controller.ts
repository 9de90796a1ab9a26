import type { Clock, RandomSource, Timer } from '@dragoman/core';
import { gradientOf, nextLimit } from './gradient.ts';
import type { GradientStats } from './gradient-stats.ts';
import { LatencyHistogram } from './latency-histogram.ts';
import type { Settings } from './settings.ts';

/** So many windows in a row that leave the limit at its minimum make the minRTT doubtful. */
const WINDOWS_AT_MINIMUM = 5;
const MICROS = 1000;

/**
 * Limits how many requests are outstanding (Envoy: `GradientController`). Either it measures the minRTT, with the limit at its
 * minimum, until enough samples have come; or it gathers the samples of a window, and computes a limit at the window's end.
 *
 * Timers run only while they have something to end, and each fires once: nothing is left of a controller whose filter is gone.
 * A window without samples changes nothing, so that no timer is needed for it; where the others end they would without it.
 */
export class GradientController {
  private readonly settings: Settings;
  private readonly clock: Clock;
  private readonly random: RandomSource;
  private readonly stats: GradientStats;
  private readonly samples: LatencyHistogram = new LatencyHistogram();
  private readonly windowTimer: Timer;
  private readonly measureTimer: Timer;
  private outstanding = 0;
  private limit: number;
  /** The limit from before the measurement that is going on; 0: there is none. */
  private limitBefore = 0;
  /** When the measurement began: requests from before are no samples. */
  private measuredFrom = 0;
  /** µs. */
  private minRtt = 0;
  /** The end of a window: others are whole intervals from it. */
  private windowsFrom: number;
  private windowsAtMinimum = 0;

  constructor(settings: Settings, parts: { clock: Clock; random: RandomSource }, stats: GradientStats) {
    this.settings = settings;
    this.clock = parts.clock;
    this.random = parts.random;
    this.stats = stats;
    this.windowTimer = parts.clock.timer(() => this.endWindow());
    this.measureTimer = parts.clock.timer(() => this.measure());
    this.windowsFrom = parts.clock.now();
    this.limit = settings.minConcurrency();
    if (settings.fixedMinRttMs === undefined) {
      this.measure();
    } else {
      this.setMinRtt(settings.fixedMinRttMs * MICROS);
      this.setLimit(this.limit);
    }
  }

  /** True: the request may go on, and ends in {@link record} or {@link cancel}. */
  tryForward(): boolean {
    if (this.outstanding < this.limit) {
      this.outstanding++;
      return true;
    }
    this.stats.blocked.inc();
    return false;
  }

  /** A request was answered. @param forwardedAt of the clock */
  record(forwardedAt: number): void {
    this.outstanding--;
    if (forwardedAt < this.measuredFrom) return;
    const now = this.clock.now();
    this.samples.add(Math.floor((now - forwardedAt) * MICROS));
    if (this.limitBefore === 0) this.openWindow(now);
    else if (this.samples.count >= this.settings.requestCount()) this.endMeasurement(now);
  }

  /** A request ended without an answer, which says nothing of latency. */
  cancel(): void {
    this.outstanding--;
  }

  private measure(): void {
    if (this.limitBefore > 0) return;
    this.stats.measuring.set(1);
    this.limitBefore = this.limit;
    this.setLimit(this.settings.minConcurrency());
    // Latencies under load are not the least ones.
    this.samples.clear();
    this.windowTimer.disable();
    this.measuredFrom = this.clock.now();
  }

  private endMeasurement(now: number): void {
    this.setMinRtt(this.takeSamples());
    this.setLimit(this.limitBefore);
    this.limitBefore = 0;
    this.stats.measuring.set(0);
    this.windowsFrom = now;
    this.measureTimer.enable(this.untilNextMeasurement());
  }

  private untilNextMeasurement(): number {
    const interval = this.settings.minRttIntervalMs();
    const jitter = Math.ceil(interval * this.settings.jitter());
    return jitter === 0 ? interval : interval + (this.random.next() % jitter);
  }

  private openWindow(now: number): void {
    if (this.windowTimer.enabled) return;
    const interval = this.settings.updateIntervalMs();
    this.windowTimer.enable(interval - ((now - this.windowsFrom) % interval));
  }

  private endWindow(): void {
    this.windowsFrom = this.clock.now();
    const { settings, stats } = this;
    const sampleRtt = this.takeSamples();
    stats.sampleRtt.set(Math.floor(sampleRtt / MICROS));
    const gradient = gradientOf(this.minRtt, sampleRtt, settings.buffer());
    stats.gradient.set(Math.floor(gradient * 1000));
    const next = nextLimit(this.limit, gradient, settings.minConcurrency(), settings.maxLimit());
    stats.headroom.set(Math.floor(next.headroom));
    this.setLimit(next.limit);
  }

  /** What the samples amount to, µs; they are gone then. */
  private takeSamples(): number {
    const rtt = Math.floor(this.samples.quantile(this.settings.percentile()));
    this.samples.clear();
    return rtt;
  }

  private setMinRtt(micros: number): void {
    this.minRtt = micros;
    this.stats.minRtt.set(Math.floor(micros / MICROS));
  }

  private setLimit(limit: number): void {
    const min = this.settings.minConcurrency();
    const stays = this.limitBefore === 0 && this.limit === min && limit === min;
    this.limit = limit;
    this.stats.limit.set(limit);
    this.windowsAtMinimum = stays ? this.windowsAtMinimum + 1 : 0;
    // The limit is where a measurement needs it.
    if (this.windowsAtMinimum >= WINDOWS_AT_MINIMUM && this.settings.fixedMinRttMs === undefined)
      this.measureTimer.enable(0);
  }
}
