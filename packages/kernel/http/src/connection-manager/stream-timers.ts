import type { Clock, Timer } from '@dragoman/core';

/** The stream whose timers these are. */
export interface TimedStream {
  onStreamIdle(): void;
  onRequestTimeout(): void;
  onMaxDuration(): void;
  /** It is time for another entry in the access logs. */
  onLogInterval(): void;
}

/**
 * The timers of one stream. They outlive it: an HTTP/1 connection uses the same set for one request after another, so
 * that a request makes no timer.
 */
export class StreamTimers {
  stream: TimedStream | undefined = undefined;
  readonly idle: Timer;
  readonly request: Timer;
  readonly maxDuration: Timer;
  /** Made by the first stream that is logged while it runs. */
  private logInterval: Timer | undefined = undefined;
  private readonly clock: Clock;

  constructor(clock: Clock) {
    this.clock = clock;
    this.idle = clock.timer(() => this.stream?.onStreamIdle());
    this.request = clock.timer(() => this.stream?.onRequestTimeout());
    this.maxDuration = clock.timer(() => this.stream?.onMaxDuration());
  }

  enableLogInterval(ms: number): void {
    this.logInterval ??= this.clock.timer(() => this.stream?.onLogInterval());
    this.logInterval.enable(ms);
  }

  disable(): void {
    this.stream = undefined;
    this.logInterval?.disable();
    this.idle.disable();
    this.request.disable();
    this.maxDuration.disable();
  }
}
