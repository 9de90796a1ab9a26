import { HealthFlag, type HealthCheckResult, type HealthCheckSession, type Timer } from '@dragoman/core';
import type { HealthCheckEvents } from './event-log.ts';
import type { HealthStats } from './health-stats.ts';
import type { HealthSettings } from './health-settings.ts';

/** Whether a check changed what is known of a host. `pending`: it may, with the next ones. */
export type Transition = 'changed' | 'pending' | 'none';

/** What the checks of one cluster share. */
export interface HostCheckOwner {
  readonly settings: HealthSettings;
  readonly stats: HealthStats;
  /** Undefined where nobody logs them. */
  readonly events: HealthCheckEvents | undefined;
  timer(callback: () => void): Timer;
  /** Milliseconds until the next check. */
  nextIn(healthy: boolean, transition: Transition): number;
  /** How long the first check waits. */
  firstIn(): number;
  onChange(check: HostCheck): void;
  /** It has passed a check, and counts as healthy. */
  onHealthy(check: HostCheck): void;
  onFirstResult(check: HostCheck): void;
}

/** How a check failed; names are those of `envoy.data.core.v3.HealthCheckFailureType`. */
export type FailureType = 'ACTIVE' | 'PASSIVE' | 'NETWORK' | 'NETWORK_TIMEOUT';

/** The state of one host's checks (Envoy: active health check session). */
export class HostCheck {
  /** Bits of {@link HealthFlag} that checks decide. */
  flags: number;
  private readonly owner: HostCheckOwner;
  private readonly session: HealthCheckSession;
  private readonly interval: Timer;
  private readonly timeout: Timer;
  private first = true;
  private successes = 0;
  private failures = 0;
  private closed = false;

  /** @param flags to begin with */
  constructor(owner: HostCheckOwner, flags: number, session: HealthCheckSession) {
    this.owner = owner;
    this.flags = flags;
    this.session = session;
    this.interval = owner.timer(() => this.begin());
    this.timeout = owner.timer(() => this.onTimeout());
    owner.stats.count(HealthFlag.failed_active_hc, flags);
  }

  /** False until the first result. */
  get checked(): boolean {
    return !this.first;
  }

  start(): void {
    if (this.closed) return;
    const wait = this.owner.firstIn();
    if (wait === 0) this.begin();
    else this.interval.enable(wait);
  }

  /** The host is gone. */
  close(): void {
    this.closed = true;
    this.interval.disable();
    this.timeout.disable();
    this.owner.stats.count(this.flags, HealthFlag.failed_active_hc);
    this.session.close();
  }

  /** A worker saw `x-envoy-immediate-health-check-fail` in a response. */
  failPassively(): void {
    this.flags |= HealthFlag.excluded_via_immediate_hc_fail;
    this.fail('PASSIVE', false);
  }

  private begin(): void {
    const { stats, settings } = this.owner;
    stats.attempt.inc();
    // First the timer: the result may come before the call returns.
    this.timeout.enable(settings.timeoutMs);
    this.session.check((result) => this.onResult(result));
  }

  private onTimeout(): void {
    this.session.cancel();
    this.next(false, this.fail('NETWORK_TIMEOUT', false));
  }

  private onResult(result: HealthCheckResult): void {
    if (this.closed || !this.timeout.enabled) return;
    this.timeout.disable();
    if (result.ok) {
      this.next(true, this.succeed(result.degraded === true));
      return;
    }
    if (result.immediate === true) this.flags |= HealthFlag.excluded_via_immediate_hc_fail;
    this.next(false, this.fail(result.kind === 'active' ? 'ACTIVE' : 'NETWORK', result.retriable === true));
  }

  private next(healthy: boolean, transition: Transition): void {
    if (!this.closed) this.interval.enable(this.owner.nextIn(healthy, transition));
  }

  private succeed(degraded: boolean): Transition {
    const { events, stats, settings } = this.owner;
    const before = this.flags;
    let transition: Transition = 'none';
    this.failures = 0;
    if (this.has(HealthFlag.failed_active_hc)) {
      // The first result counts at once, so that a start is fast.
      if (this.first || ++this.successes === settings.healthyThreshold) {
        this.flags &= ~(
          HealthFlag.failed_active_hc |
          HealthFlag.active_hc_timeout |
          HealthFlag.excluded_via_immediate_hc_fail
        );
        this.successes = 0;
        transition = 'changed';
        events?.addHealthy(this, this.first);
      } else transition = 'pending';
    }
    if (transition !== 'changed' && settings.alwaysLogSuccess) events?.successful(this);
    transition = this.clearPending(transition);
    if (degraded !== this.has(HealthFlag.degraded_active_hc)) {
      this.flags ^= HealthFlag.degraded_active_hc;
      if (degraded) events?.degraded(this);
      else events?.noLongerDegraded(this);
      if (transition === 'none') transition = 'changed';
    }
    stats.success.inc();
    this.conclude(before);
    if (!this.has(HealthFlag.failed_active_hc)) this.owner.onHealthy(this);
    return transition;
  }

  private fail(type: FailureType, retriable: boolean): Transition {
    const { events, stats, settings } = this.owner;
    const before = this.flags;
    const network = type === 'NETWORK' || type === 'NETWORK_TIMEOUT';
    let transition: Transition = 'none';
    this.successes = 0;
    if (!this.has(HealthFlag.failed_active_hc)) {
      if ((!network && !retriable) || ++this.failures === settings.unhealthyThreshold) {
        this.flags |= HealthFlag.failed_active_hc;
        this.failures = 0;
        transition = 'changed';
        events?.ejectUnhealthy(this, type);
      } else transition = 'pending';
    }
    if (type === 'NETWORK_TIMEOUT' && this.has(HealthFlag.failed_active_hc))
      this.flags |= HealthFlag.active_hc_timeout;
    else this.flags &= ~HealthFlag.active_hc_timeout;
    transition = this.clearPending(transition);
    if (this.first || settings.alwaysLogFailures) events?.failure(this, type, this.first);
    stats.failure.inc();
    if (network) stats.networkFailure.inc();
    else if (type === 'PASSIVE') stats.passiveFailure.inc();
    this.conclude(before);
    return transition;
  }

  private clearPending(transition: Transition): Transition {
    if (!this.has(HealthFlag.pending_active_hc)) return transition;
    this.flags &= ~HealthFlag.pending_active_hc;
    return 'changed';
  }

  private conclude(before: number): void {
    const { owner, first, flags } = this;
    this.first = false;
    if (flags !== before) {
      owner.stats.count(before, flags);
      owner.onChange(this);
    }
    if (first) owner.onFirstResult(this);
  }

  private has(flag: number): boolean {
    return (this.flags & flag) !== 0;
  }
}
