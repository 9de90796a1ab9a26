import type { Http2Session } from 'node:http2';
import type { Clock, RandomSource, Timer } from '@dragoman/core';

/** `connection_keepalive`. Times in ms. */
export interface KeepAliveSettings {
  /** Between PINGs; 0: none are sent in regular intervals. */
  readonly intervalMs: number;
  /** How long the answer may take. */
  readonly timeoutMs: number;
  /** Up to this share of the interval is added, in percent. Default 15. */
  readonly intervalJitterPercent: number;
  /** A connection that has rested for this long is asked before it takes a new stream; 0: never. */
  readonly idleIntervalMs: number;
}

/** Envoy's reason for a connection whose peer does not answer a PING. */
export const PING_TIMEOUT = 'http2_ping_timeout';

/** Asks the peer of one session whether it is still there. */
export class KeepAlive {
  private readonly session: Http2Session;
  private readonly settings: KeepAliveSettings;
  private readonly random: RandomSource;
  private readonly interval: Timer;
  private readonly timeout: Timer;

  /** @param onTimeout the peer is gone: close the connection with {@link PING_TIMEOUT} */
  constructor(
    session: Http2Session,
    settings: KeepAliveSettings,
    clock: Clock,
    random: RandomSource,
    onTimeout: () => void,
  ) {
    this.session = session;
    this.settings = settings;
    this.random = random;
    this.interval = clock.timer(() => this.ask());
    this.timeout = clock.timer(onTimeout);
    this.schedule();
  }

  /** A stream is about to use the connection, which has rested for `idleMs`. */
  onNewStream(idleMs: number): void {
    const { idleIntervalMs } = this.settings;
    if (idleIntervalMs > 0 && idleMs >= idleIntervalMs) this.ask();
  }

  stop(): void {
    this.interval.disable();
    this.timeout.disable();
  }

  private schedule(): void {
    const { intervalMs, intervalJitterPercent } = this.settings;
    if (intervalMs <= 0) return;
    const jitterMs = (intervalMs * intervalJitterPercent * this.random.random()) / 100;
    this.interval.enable(Math.round(intervalMs + jitterMs));
  }

  private ask(): void {
    if (this.session.destroyed || this.timeout.enabled) return;
    this.timeout.enable(this.settings.timeoutMs);
    const sent = this.session.ping((error) => {
      if (error !== null) return;
      this.timeout.disable();
      this.schedule();
    });
    // Node has as many PINGs under way as it allows: one of them will be answered, or time out.
    if (!sent && !this.session.destroyed) this.schedule();
  }
}
