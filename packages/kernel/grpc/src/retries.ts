import {
  ANY_GRPC_RETRY,
  type ClusterInfo,
  GrpcRetryOn,
  type Host,
  type HostSet,
  type LoadBalancerContext,
  type PriorityOf,
  type PriorityShares,
  type ResourceBudget,
  type ResponseHeaders,
  type RetryHostPredicate,
  RetryOn,
  type RetryPolicy,
  type RetryPriority,
  type StreamResetReason,
  type Timer,
  wellKnownId,
} from '@dragoman/core';
import { GrpcStatus } from '@dragoman/grpc-frames';
import { BackOff } from './back-off.ts';
import type { ClientCore } from './client-core.ts';

const ID_GRPC_STATUS = wellKnownId('grpc-status');
const ID_RATE_LIMITED = wellKnownId('x-envoy-ratelimited');
const CONFLICT = 409;
const ALWAYS = { numerator: 100, denominator: 100 } as const;

const GRPC_BITS: Readonly<Record<string, number>> = {
  [GrpcStatus.CANCELLED]: GrpcRetryOn.cancelled,
  [GrpcStatus.DEADLINE_EXCEEDED]: GrpcRetryOn['deadline-exceeded'],
  [GrpcStatus.RESOURCE_EXHAUSTED]: GrpcRetryOn['resource-exhausted'],
  [GrpcStatus.INTERNAL]: GrpcRetryOn.internal,
  [GrpcStatus.UNAVAILABLE]: GrpcRetryOn.unavailable,
};

/** The retries of one call, by its policy, as a router has them. */
export class Retries {
  private readonly core: ClientCore;
  private readonly info: ClusterInfo;
  private readonly policy: RetryPolicy;
  private readonly budget: ResourceBudget;
  private readonly predicates: readonly RetryHostPredicate[];
  private readonly priority: RetryPriority | undefined;
  private remaining: number;
  private backOff: BackOff | undefined = undefined;
  private timer: Timer | undefined = undefined;
  private onDue: (() => void) | undefined;
  /** A try was granted: its place in the budget is kept until it is known what became of it. */
  private granted = false;

  /** @param onDue the time for the next try has come */
  constructor(core: ClientCore, info: ClusterInfo, policy: RetryPolicy, onDue: () => void) {
    this.core = core;
    this.info = info;
    this.policy = policy;
    this.budget = info.resources('default').retries;
    this.predicates = policy.hostPredicates.map((create) => create());
    this.priority = policy.createPriority?.();
    this.remaining = policy.maxRetries;
    this.onDue = onDue;
  }

  /** Whether an answer is dropped for another try. */
  retriesAnswer(headers: ResponseHeaders): boolean {
    return this.decide(this.wantsAnother(headers));
  }

  /** Whether a try that was reset is followed by another. @param started some try has sent something */
  retriesReset(reason: StreamResetReason, started: boolean): boolean {
    return this.decide(this.wantsAfterReset(reason, started));
  }

  private decide(wanted: boolean): boolean {
    const { stats } = this.info;
    if (this.granted && !wanted) stats.upstreamRqRetrySuccess.inc();
    this.giveBack();
    if (!wanted) return false;
    if (this.remaining === 0) {
      stats.upstreamRqRetryLimitExceeded.inc();
      return false;
    }
    this.remaining--;
    if (!this.budget.canTake()) {
      stats.upstreamRqRetryOverflow.inc();
      return false;
    }
    const { runtime, random, clock } = this.core;
    if (!runtime.featureEnabled('upstream.use_retry', ALWAYS, random.next())) return false;
    this.budget.take();
    this.granted = true;
    stats.upstreamRqRetry.inc();
    stats.upstreamRqRetryBackoffExponential.inc();
    this.backOff ??= this.createBackOff();
    this.timer ??= clock.timer(() => this.onDue?.());
    this.timer.enable(this.backOff.next(random));
    return true;
  }

  private wantsAnother(headers: ResponseHeaders): boolean {
    const { on } = this.policy;
    const { status } = headers;
    if (headers.hasKnown(ID_RATE_LIMITED)) return (on & RetryOn['envoy-ratelimited']) !== 0;
    if ((on & RetryOn['5xx']) !== 0 && status >= 500 && status < 600) return true;
    if ((on & RetryOn['gateway-error']) !== 0 && status >= 502 && status <= 504) return true;
    if ((on & RetryOn['retriable-4xx']) !== 0 && status === CONFLICT) return true;
    if ((on & ANY_GRPC_RETRY) === 0) return false;
    const grpcStatus = headers.getKnown(ID_GRPC_STATUS);
    return grpcStatus !== undefined && (on & (GRPC_BITS[grpcStatus] ?? 0)) !== 0;
  }

  private wantsAfterReset(reason: StreamResetReason, started: boolean): boolean {
    const { on } = this.policy;
    if (reason === 'overflow') return false;
    // A reset is a 503 to whoever waits for the answer.
    if ((on & (RetryOn.reset | RetryOn['5xx'] | RetryOn['gateway-error'])) !== 0) return true;
    if ((on & RetryOn['reset-before-request']) !== 0 && !started) return true;
    if (reason === 'connection-failure' || reason === 'connection-timeout')
      return (on & RetryOn['connect-failure']) !== 0;
    return reason === 'max-requests' && (on & RetryOn['refused-stream']) !== 0;
  }

  private createBackOff(): BackOff {
    const { baseIntervalMs, maxIntervalMs } = this.policy;
    const baseMs =
      baseIntervalMs ?? Math.max(1, this.core.runtime.getInteger('upstream.base_retry_backoff_ms', 25));
    return new BackOff({ baseMs, maxMs: maxIntervalMs ?? baseMs * 10 });
  }

  onHostAttempted(host: Host): void {
    for (const predicate of this.predicates) predicate.onHostAttempted(host);
    this.priority?.onHostAttempted(host);
  }

  /** What a retry's host is chosen by: as the first try's, within what the policy allows. */
  choice(first: LoadBalancerContext): LoadBalancerContext {
    const { predicates, priority, policy } = this;
    if (predicates.length === 0 && priority === undefined) return first;
    return {
      hash: first.hash,
      requestHeaders: first.requestHeaders,
      info: first.info,
      metadataMatch: first.metadataMatch,
      hostSelectionAttempts: policy.hostSelectionAttempts,
      shouldSkip: (host) => predicates.some((predicate) => predicate.shouldSkip(host)),
      priorityShares: (
        sets: readonly HostSet[],
        original: PriorityShares,
        priorityOf?: PriorityOf,
      ): PriorityShares => (priority === undefined ? original : priority.shares(sets, original, priorityOf)),
    };
  }

  /** No further try. */
  close(): void {
    this.giveBack();
    this.onDue = undefined;
  }

  private giveBack(): void {
    this.timer?.disable();
    if (!this.granted) return;
    this.granted = false;
    this.budget.give();
  }
}
