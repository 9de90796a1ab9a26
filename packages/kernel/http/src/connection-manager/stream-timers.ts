import type { Clock, Timer } from '@dragoman/core';

/** The stream whose timers these are. */
export interface TimedStream {
  onStreamIdle(): void;
  onRequestTimeout(): void;
  onMaxDuration(): void;
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

  constructor(clock: Clock) {
    this.idle = clock.timer(() => this.stream?.onStreamIdle());
    this.request = clock.timer(() => this.stream?.onRequestTimeout());
    this.maxDuration = clock.timer(() => this.stream?.onMaxDuration());
  }

  disable(): void {
    this.stream = undefined;
    this.idle.disable();
    this.request.disable();
    this.maxDuration.disable();
  }
}
