import type { Clock, DrainDecision, RandomSource } from '@dragoman/core';

export type DrainStrategy = 'gradual' | 'immediate';

/**
 * Whether connections are to be given up. While draining gradually, the chance that a response closes its connection
 * rises from 0 to 1 over the drain time (Envoy: `--drain-strategy`), so that clients do not all come back at once.
 */
export class DrainManager implements DrainDecision {
  draining = false;
  private readonly clock: Clock;
  private readonly random: RandomSource;
  private readonly strategy: DrainStrategy;
  private readonly callbacks = new Set<() => void>();
  private startedAt = 0;
  private drainTimeMs = 0;
  private healthCheckFailed = false;

  constructor(clock: Clock, random: RandomSource, strategy: DrainStrategy) {
    this.clock = clock;
    this.random = random;
    this.strategy = strategy;
  }

  /** For listeners with `drain_type: MODIFY_ONLY`: a failed health check does not drain them. */
  readonly modifyOnly: DrainDecision = this.withoutHealthCheck();

  drainClose(): boolean {
    return this.healthCheckFailed || this.drainCloseByTime();
  }

  private drainCloseByTime(): boolean {
    if (!this.draining) return false;
    if (this.strategy === 'immediate' || this.drainTimeMs <= 0) return true;
    const passed = this.clock.now() - this.startedAt;
    return this.random.random() < passed / this.drainTimeMs;
  }

  onDrain(callback: () => void): () => void {
    this.callbacks.add(callback);
    return () => this.callbacks.delete(callback);
  }

  /**
   * Begins; a second call changes nothing.
   * @param closeIdle connections between two requests end at once
   */
  start(drainTimeMs: number, closeIdle: boolean): void {
    if (!this.draining) {
      this.draining = true;
      this.startedAt = this.clock.now();
      this.drainTimeMs = drainTimeMs;
    }
    if (closeIdle) for (const callback of [...this.callbacks]) callback();
  }

  private withoutHealthCheck(): DrainDecision {
    const manager = this;
    return {
      get draining() {
        return manager.draining;
      },
      drainClose: () => manager.drainCloseByTime(),
      onDrain: (callback) => manager.onDrain(callback),
    };
  }

  /** `/healthcheck/fail`: every response ends its connection (Envoy drains likewise), until it is taken back. */
  failHealthCheck(failed: boolean): void {
    this.healthCheckFailed = failed;
  }
}
