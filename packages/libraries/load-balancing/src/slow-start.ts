import { durationMs, type SlowStartConfig } from '@dragoman/api';
import type { Clock, Host, Runtime } from '@dragoman/core';
import { runtimeNumber } from './runtime-number.ts';

/** Percent of a host's weight that it has at least (Envoy: `min_weight_percent`). */
const DEFAULT_MIN_WEIGHT_PERCENT = 10;

/**
 * Lets the weight of a new host rise over a window, counted from its {@link Host.healthySince} (Envoy: slow start mode):
 * weight × max(min_weight_percent, (age / window) ^ (1 / aggression)).
 */
export class SlowStart {
  private readonly windowMs: number;
  private readonly minFactor: number;
  private readonly aggression: () => number;
  private readonly clock: Clock;

  private constructor(config: SlowStartConfig, windowMs: number, clock: Clock, runtime: Runtime) {
    this.windowMs = windowMs;
    this.minFactor = (config.minWeightPercent?.value ?? DEFAULT_MIN_WEIGHT_PERCENT) / 100;
    this.aggression = runtimeNumber(config.aggression, 1, runtime);
    this.clock = clock;
  }

  /** Undefined where there is none: no config, or a window of 0. */
  static of(config: SlowStartConfig | undefined, clock: Clock, runtime: Runtime): SlowStart | undefined {
    const windowMs = durationMs(config?.slowStartWindow) ?? 0;
    return config === undefined || windowMs <= 0
      ? undefined
      : new SlowStart(config, windowMs, clock, runtime);
  }

  /** Whether one of them is in its window. */
  concerns(hosts: readonly Host[]): boolean {
    const now = this.clock.now();
    return hosts.some((host) => now - host.healthySince < this.windowMs);
  }

  /** `weight` as `host` has it at this time. */
  scaled(weight: number, host: Host): number {
    const age = this.clock.now() - host.healthySince;
    if (age >= this.windowMs) return weight;
    const elapsed = Math.max(age, 1) / this.windowMs;
    const aggression = this.aggression();
    // Of a runtime value that makes no sense nothing is made (as Envoy does).
    const factor = aggression > 0 && aggression !== 1 ? elapsed ** (1 / aggression) : elapsed;
    return weight * Math.max(factor, this.minFactor);
  }
}
