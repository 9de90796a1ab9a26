import type { Clock, HttpFilter, HttpStream, LocalReply, RequestHeaders } from '@dragoman/core';
import type { GradientController } from './gradient-controller.ts';

/** What all streams of a filter share. */
export interface Shared {
  readonly controller: GradientController;
  readonly clock: Clock;
  readonly refusal: LocalReply;
  enabled(): boolean;
}

export class AdaptiveConcurrencyFilter implements HttpFilter {
  private readonly shared: Shared;
  private readonly stream: HttpStream;
  private forwardedAt: number | undefined = undefined;

  constructor(shared: Shared, stream: HttpStream) {
    this.shared = shared;
    this.stream = stream;
  }

  onRequestHeaders(_headers: RequestHeaders): void {
    const { controller, clock, refusal, enabled } = this.shared;
    // Health checks are answered faster than requests: they would make the minRTT too small.
    if (!enabled() || this.stream.info.healthCheck) return;
    if (controller.tryForward()) this.forwardedAt = clock.now();
    else this.stream.reply(refusal);
  }

  onComplete(): void {
    if (this.forwardedAt === undefined) return;
    const { controller } = this.shared;
    if (this.stream.info.responseComplete) controller.record(this.forwardedAt);
    else controller.cancel();
  }
}
