import type { Clock, DrainDecision, RandomSource } from '@dragoman/core';

export type DrainStrategy = 'gradual' | 'immediate';

/** A drain of one listener. */
export interface ListenerDrainStart {
  /** Over which connections are given up, ms. */
  readonly timeMs: number;
  /** Connections between two requests are ended, too. Default false. */
  readonly closeIdle?: boolean;
}

/** A drain of the whole server. */
export interface DrainStart extends ListenerDrainStart {
  /** Only listeners whose `traffic_direction` is INBOUND. Default false. */
  readonly inboundOnly?: boolean;
}

/** What of a listener decides when it is drained with the server. */
export interface DrainedListener {
  /** `traffic_direction: INBOUND`. */
  readonly inbound: boolean;
  /** `drain_type: MODIFY_ONLY`: a failed health check does not drain it. */
  readonly modifyOnly: boolean;
}

/** Drains one listener: with the server, or alone when it is removed or replaced. */
export interface ListenerDrain extends DrainDecision {
  /** Begins a drain of this listener alone. One under way goes on, unless this one ends sooner. */
  start(start: ListenerDrainStart): void;
}

/** Envoy's: idle connections go early in the window, so that what comes of that has the rest of it. */
const IDLE_SHARE = 1 / 4;

/** One drain of some listeners. */
class DrainPeriod {
  active = false;
  closesIdle = false;
  private readonly clock: Clock;
  private startedAt = 0;
  private endsAt = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /**
   * A second start counts when it ends sooner: a shutdown does not wait for a slow drain that began before it.
   * @returns whether idle connections learn of something new
   */
  start({ timeMs, closeIdle = false }: ListenerDrainStart): boolean {
    const now = this.clock.now();
    const sooner = !this.active || now + timeMs < this.endsAt;
    const first = closeIdle && !this.closesIdle;
    if (!this.active) this.startedAt = now;
    if (sooner) this.endsAt = now + timeMs;
    this.active = true;
    this.closesIdle ||= closeIdle;
    return this.closesIdle && (sooner || first);
  }

  /** How much of it has passed: 0 … 1. */
  get progress(): number {
    const now = this.clock.now();
    return now >= this.endsAt ? 1 : (now - this.startedAt) / (this.endsAt - this.startedAt);
  }

  get leftMs(): number {
    return Math.max(0, this.endsAt - this.clock.now());
  }
}

interface Waiting {
  readonly decision: Decision;
  readonly callback: (delayMs: number) => void;
}

/** What the listeners of a worker have in common. */
class SharedState {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly immediate: boolean;
  readonly all: DrainPeriod;
  readonly inbound: DrainPeriod;
  /** Callbacks of every listener, in the order in which they came. */
  readonly waiting = new Set<Waiting>();
  healthCheckFailed = false;

  constructor(clock: Clock, random: RandomSource, strategy: DrainStrategy) {
    this.clock = clock;
    this.random = random;
    this.immediate = strategy === 'immediate';
    this.all = new DrainPeriod(clock);
    this.inbound = new DrainPeriod(clock);
  }

  start(period: DrainPeriod, start: ListenerDrainStart): void {
    if (!period.start(start)) return;
    const concerned = [...this.waiting].filter(({ decision }) => decision.periods.includes(period));
    const spreadMs = this.immediate ? 0 : period.leftMs * IDLE_SHARE;
    concerned.forEach((waiting, i) => {
      // One that was told before may have taken it back.
      if (this.waiting.has(waiting)) waiting.callback(Math.floor((i / concerned.length) * spreadMs));
    });
  }
}

/** What the drains that concern a listener add up to. */
class Decision implements ListenerDrain {
  readonly periods: readonly DrainPeriod[];
  private readonly shared: SharedState;
  private readonly own: DrainPeriod;
  private readonly modifyOnly: boolean;

  constructor(shared: SharedState, { inbound, modifyOnly }: DrainedListener) {
    this.shared = shared;
    this.own = new DrainPeriod(shared.clock);
    this.periods = inbound ? [this.own, shared.all, shared.inbound] : [this.own, shared.all];
    this.modifyOnly = modifyOnly;
  }

  get draining(): boolean {
    return this.periods.some(({ active }) => active);
  }

  get healthCheckFailed(): boolean {
    return this.shared.healthCheckFailed;
  }

  drainClose(): boolean {
    const { shared } = this;
    if (shared.healthCheckFailed && !this.modifyOnly) return true;
    let progress = 0;
    for (const period of this.periods) {
      if (!period.active) continue;
      if (shared.immediate) return true;
      progress = Math.max(progress, period.progress);
    }
    return progress >= 1 || (progress > 0 && shared.random.random() < progress);
  }

  onDrain(callback: (delayMs: number) => void): () => void {
    const { waiting } = this.shared;
    const entry: Waiting = { decision: this, callback };
    waiting.add(entry);
    const leftMs = this.idleLeftMs();
    if (leftMs !== undefined) callback(Math.floor(this.shared.random.random() * leftMs));
    return () => waiting.delete(entry);
  }

  start(start: ListenerDrainStart): void {
    this.shared.start(this.own, start);
  }

  /** Until idle connections have to be gone; undefined when no drain under way closes them. */
  private idleLeftMs(): number | undefined {
    let leftMs: number | undefined;
    for (const period of this.periods) {
      if (period.closesIdle) leftMs = Math.min(leftMs ?? Number.POSITIVE_INFINITY, period.leftMs);
    }
    return leftMs !== undefined && this.shared.immediate ? 0 : leftMs;
  }
}

/**
 * Whether the connections of a worker are to be given up. While draining gradually, the chance that a response closes
 * its connection rises from 0 to 1 over the drain time (Envoy: `--drain-strategy`), and idle connections are told to go
 * one after another over its first quarter, so that clients do not all come back at once.
 *
 * As a {@link DrainDecision} of its own it stands for what belongs to no listener.
 */
export class DrainManager implements DrainDecision {
  private readonly shared: SharedState;
  private readonly server: DrainDecision;

  constructor(clock: Clock, random: RandomSource, strategy: DrainStrategy) {
    this.shared = new SharedState(clock, random, strategy);
    this.server = this.of({ inbound: false, modifyOnly: false });
  }

  /** All listeners are being drained. */
  get draining(): boolean {
    return this.shared.all.active;
  }

  get healthCheckFailed(): boolean {
    return this.shared.healthCheckFailed;
  }

  drainClose(): boolean {
    return this.server.drainClose();
  }

  onDrain(callback: (delayMs: number) => void): () => void {
    return this.server.onDrain(callback);
  }

  /** The decision for the connections of one listener. Nothing here refers to it while it has no callbacks. */
  of(listener: DrainedListener): ListenerDrain {
    return new Decision(this.shared, listener);
  }

  /** Begins. A drain under way goes on, unless this one ends sooner. */
  start({ inboundOnly = false, ...start }: DrainStart): void {
    const { shared } = this;
    shared.start(inboundOnly ? shared.inbound : shared.all, start);
  }

  /** `/healthcheck/fail`: every response ends its connection (Envoy drains likewise), until it is taken back. */
  failHealthCheck(failed: boolean): void {
    this.shared.healthCheckFailed = failed;
  }
}
