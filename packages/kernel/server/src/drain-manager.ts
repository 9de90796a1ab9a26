import type { Clock, DrainDecision, RandomSource } from '@dragoman/core';

export type DrainStrategy = 'gradual' | 'immediate';

export interface DrainStart {
  /** Over which connections are given up, ms. */
  readonly timeMs: number;
  /** Connections between two requests end at once. Default false. */
  readonly closeIdle?: boolean;
  /** Only listeners whose `traffic_direction` is INBOUND. Default false. */
  readonly inboundOnly?: boolean;
}

/** What of a listener decides when it is drained. */
export interface DrainedListener {
  /** `traffic_direction: INBOUND`. */
  readonly inbound: boolean;
  /** `drain_type: MODIFY_ONLY`: a failed health check does not drain it. */
  readonly modifyOnly: boolean;
}

/** One drain of some listeners. */
class DrainPeriod {
  active = false;
  private readonly clock: Clock;
  private startedAt = 0;
  private timeMs = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** A second start counts when it ends sooner: a shutdown does not wait for a slow drain that began before it. */
  start(timeMs: number): void {
    const now = this.clock.now();
    if (this.active && now + timeMs >= this.startedAt + this.timeMs) return;
    this.active = true;
    this.startedAt = now;
    this.timeMs = timeMs;
  }

  /** How much of it has passed: 0 … 1 and more. */
  get progress(): number {
    if (!this.active) return 0;
    return this.timeMs <= 0 ? 1 : (this.clock.now() - this.startedAt) / this.timeMs;
  }
}

/**
 * Whether connections are to be given up. While draining gradually, the chance that a response closes its connection
 * rises from 0 to 1 over the drain time (Envoy: `--drain-strategy`), so that clients do not all come back at once.
 */
export class DrainManager implements DrainDecision {
  private readonly random: RandomSource;
  private readonly strategy: DrainStrategy;
  private readonly callbacks = new Set<() => void>();
  private readonly all: DrainPeriod;
  private readonly inbound: DrainPeriod;
  private healthCheckFailed = false;

  constructor(clock: Clock, random: RandomSource, strategy: DrainStrategy) {
    this.random = random;
    this.strategy = strategy;
    this.all = new DrainPeriod(clock);
    this.inbound = new DrainPeriod(clock);
  }

  /** All listeners are being drained. */
  get draining(): boolean {
    return this.all.active;
  }

  drainClose(): boolean {
    return this.healthCheckFailed || this.closes(this.all);
  }

  onDrain(callback: () => void): () => void {
    this.callbacks.add(callback);
    return () => this.callbacks.delete(callback);
  }

  /** The decision for the connections of one listener. */
  of({ inbound, modifyOnly }: DrainedListener): DrainDecision {
    if (!inbound && !modifyOnly) return this;
    const manager = this;
    return {
      get draining() {
        return manager.all.active || (inbound && manager.inbound.active);
      },
      drainClose: () =>
        (!modifyOnly && manager.healthCheckFailed) ||
        manager.closes(manager.all) ||
        (inbound && manager.closes(manager.inbound)),
      onDrain: (callback) => manager.onDrain(callback),
    };
  }

  /** Begins. A drain under way goes on, unless this one ends sooner. */
  start({ timeMs, closeIdle = false, inboundOnly = false }: DrainStart): void {
    (inboundOnly ? this.inbound : this.all).start(timeMs);
    if (closeIdle) for (const callback of [...this.callbacks]) callback();
  }

  /** `/healthcheck/fail`: every response ends its connection (Envoy drains likewise), until it is taken back. */
  failHealthCheck(failed: boolean): void {
    this.healthCheckFailed = failed;
  }

  private closes(period: DrainPeriod): boolean {
    if (!period.active) return false;
    return this.strategy === 'immediate' || this.random.random() < period.progress;
  }
}
