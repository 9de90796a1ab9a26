import {
  ANY_GRPC_RETRY,
  GrpcRetryOn,
  type HeaderPredicate,
  type Host,
  type HostSet,
  parseGrpcRetryOn,
  parseRetryOn,
  type PriorityOf,
  type PriorityShares,
  type RequestHeaders,
  type ResourceBudget,
  type ResponseHeaders,
  type RetryHostPredicate,
  RetryOn,
  type RetryPolicy,
  type RetryPriority,
  type RoutingPriority,
  type StreamResetReason,
  type Timer,
  wellKnownId,
} from '@dragoman/core';
import { ExponentialBackOff, jitteredFrom, readResetInterval } from './back-off.ts';
import type { Charged } from './charging.ts';
import type { RouterConfig } from './config.ts';
import { readWhole } from './timeouts.ts';

const ID_RETRY_ON = wellKnownId('x-envoy-retry-on');
const ID_RETRY_GRPC_ON = wellKnownId('x-envoy-retry-grpc-on');
const ID_MAX_RETRIES = wellKnownId('x-envoy-max-retries');
const ID_STATUS_CODES = wellKnownId('x-envoy-retriable-status-codes');
const ID_HEADER_NAMES = wellKnownId('x-envoy-retriable-header-names');
const ID_RATE_LIMITED = wellKnownId('x-envoy-ratelimited');
const ID_GRPC_STATUS = wellKnownId('grpc-status');

/** gRPC statuses by number. */
const GRPC_BITS: Readonly<Record<string, number>> = {
  '1': GrpcRetryOn.cancelled,
  '4': GrpcRetryOn['deadline-exceeded'],
  '8': GrpcRetryOn['resource-exhausted'],
  '13': GrpcRetryOn.internal,
  '14': GrpcRetryOn.unavailable,
};

const TOO_EARLY = 425;
const CONFLICT = 409;
const FULL = { numerator: 100, denominator: 100 } as const;

/** What becomes of a try that went wrong, or did not. */
export type RetryVerdict = 'no' | 'yes' | 'overflow' | 'limit-exceeded';

/** Whether, and how soon, a retry is called for. */
type Wish = 'no' | 'with-back-off' | 'at-once';

const NO_RETRIES: RetryPolicy = {
  on: 0,
  maxRetries: 1,
  perTryTimeoutMs: 0,
  perTryIdleTimeoutMs: 0,
  retriableStatusCodes: [],
  retriableHeaders: [],
  retriableRequestHeaders: [],
  baseIntervalMs: undefined,
  maxIntervalMs: undefined,
  resetHeaders: [],
  maxResetIntervalMs: 300_000,
  hostPredicates: [],
  createPriority: undefined,
  hostSelectionAttempts: 1,
};

/** What the retries of one request need of the rest of it. */
export interface RetryOwner extends Charged {
  /** The time for the next try has come. */
  onRetryDue(): void;
}

/** The retries of one request: its route's policy, and what its headers ask for besides. Exists only where one of them asks. */
export class RetryState {
  private readonly config: RouterConfig;
  private readonly owner: RetryOwner;
  private readonly policy: RetryPolicy;
  private readonly budget: ResourceBudget;
  private readonly routePriority: RoutingPriority;
  private on: number;
  private remaining: number;
  private statusCodes: readonly number[];
  private headers: readonly HeaderPredicate[];
  private readonly predicates: readonly RetryHostPredicate[];
  private readonly priority: RetryPriority | undefined;
  private backOff: ExponentialBackOff | undefined = undefined;
  private timer: Timer | undefined = undefined;
  /** A retry was granted; its place in the budget is kept until it is known what became of it. */
  private granted = false;

  /** Undefined when nothing asks for retries. Headers are read, and stay. */
  static of(
    policy: RetryPolicy | undefined,
    headers: RequestHeaders,
    config: RouterConfig,
    owner: RetryOwner,
    priority: RoutingPriority,
  ): RetryState | undefined {
    if (
      (policy === undefined || policy.on === 0) &&
      !headers.hasKnown(ID_RETRY_ON) &&
      !headers.hasKnown(ID_RETRY_GRPC_ON)
    )
      return undefined;
    return new RetryState(policy ?? NO_RETRIES, headers, config, owner, priority);
  }

  private constructor(
    policy: RetryPolicy,
    headers: RequestHeaders,
    config: RouterConfig,
    owner: RetryOwner,
    priority: RoutingPriority,
  ) {
    this.config = config;
    this.owner = owner;
    this.policy = policy;
    this.budget = owner.clusterInfo.resources(priority).retries;
    this.routePriority = priority;
    this.on = policy.on;
    this.remaining = policy.maxRetries;
    this.statusCodes = policy.retriableStatusCodes;
    this.headers = policy.retriableHeaders;
    this.predicates = policy.hostPredicates.map((create) => create());
    this.priority = policy.createPriority?.();
    this.merge(headers);
  }

  private merge(headers: RequestHeaders): void {
    const { policy } = this;
    const retryOn = headers.getKnown(ID_RETRY_ON);
    if (retryOn !== undefined) this.on |= parseRetryOn(retryOn).on;
    const grpcOn = headers.getKnown(ID_RETRY_GRPC_ON);
    if (grpcOn !== undefined) this.on |= parseGrpcRetryOn(grpcOn).on;
    if (policy.retriableRequestHeaders.length > 0 && !anyHolds(policy.retriableRequestHeaders, headers))
      this.on = 0;
    const maxRetries = readWhole(headers.getKnown(ID_MAX_RETRIES));
    if (this.on !== 0 && maxRetries !== undefined) this.remaining = maxRetries;
    const codes = headers.getKnown(ID_STATUS_CODES);
    if (codes !== undefined)
      this.statusCodes = [...this.statusCodes, ...codes.split(',').map(readCode)].filter(Number.isFinite);
    const names = headers.getKnown(ID_HEADER_NAMES);
    if (names !== undefined) this.headers = [...this.headers, ...names.split(',').flatMap(presence)];
  }

  /** Whether anything at all is retried: only then is the body kept. */
  get enabled(): boolean {
    return this.on !== 0;
  }

  // --- Verdicts ----------------------------------------------------------------------------------------------------------

  onHeaders(response: ResponseHeaders, request: RequestHeaders): RetryVerdict {
    const wish = this.wishForHeaders(response, request);
    const after = wish === 'with-back-off' ? this.resetInterval(response) : undefined;
    return this.decide(wish, after);
  }

  /** Whether an answer would be retried, had it not been already. */
  wouldRetryHeaders(response: ResponseHeaders, request: RequestHeaders): boolean {
    return this.wishForHeaders(response, request) !== 'no';
  }

  /** @param requestStarted some try has sent something upstream */
  onReset(reason: StreamResetReason, requestStarted: boolean): RetryVerdict {
    return this.decide(this.wishForReset(reason, requestStarted) ? 'with-back-off' : 'no', undefined);
  }

  /** A try took too long, and goes on: the next one needs no condition of the policy, only room. */
  onHedgedTimeout(): RetryVerdict {
    return this.decide('with-back-off', undefined);
  }

  private logOverflow(): void {
    const { used, max } = this.budget;
    const priority = this.routePriority.toUpperCase();
    this.config.logger.debug(
      `did not retry (UO): ${used} of ${max} retries of cluster ${this.owner.clusterInfo.name} are under way; circuit_breakers.thresholds[${priority}] limits them by max_retries or retry_budget`,
    );
  }

  private decide(wish: Wish, afterMs: number | undefined): RetryVerdict {
    const { clusterInfo, virtualCluster, routeStats } = this.owner;
    const { stats } = clusterInfo;
    if (this.granted && wish === 'no') {
      stats.upstreamRqRetrySuccess.inc();
      virtualCluster?.rqRetrySuccess.inc();
      routeStats?.rqRetrySuccess.inc();
    }
    this.giveBack();
    if (wish === 'no') return 'no';
    if (this.remaining === 0) {
      stats.upstreamRqRetryLimitExceeded.inc();
      virtualCluster?.rqRetryLimitExceeded.inc();
      routeStats?.rqRetryLimitExceeded.inc();
      return 'limit-exceeded';
    }
    this.remaining--;
    if (!this.budget.canTake()) {
      stats.upstreamRqRetryOverflow.inc();
      virtualCluster?.rqRetryOverflow.inc();
      routeStats?.rqRetryOverflow.inc();
      if (this.config.logger.enabled('debug')) this.logOverflow();
      return 'overflow';
    }
    if (!this.config.runtime.featureEnabled('upstream.use_retry', FULL, this.config.random.next()))
      return 'no';
    this.budget.take();
    this.granted = true;
    stats.upstreamRqRetry.inc();
    virtualCluster?.rqRetry.inc();
    routeStats?.rqRetry.inc();
    this.arm(wish, afterMs);
    return 'yes';
  }

  private wishForHeaders(response: ResponseHeaders, request: RequestHeaders): Wish {
    const { on } = this;
    const { status } = response;
    if (response.hasKnown(ID_RATE_LIMITED))
      return (on & RetryOn['envoy-ratelimited']) !== 0 ? 'with-back-off' : 'no';
    if ((on & RetryOn['5xx']) !== 0 && status >= 500 && status < 600) return 'with-back-off';
    if ((on & RetryOn['gateway-error']) !== 0 && status >= 502 && status <= 504) return 'with-back-off';
    if ((on & RetryOn['retriable-4xx']) !== 0 && status === CONFLICT) return 'with-back-off';
    if ((on & RetryOn['retriable-status-codes']) !== 0 && this.statusCodes.includes(status)) {
      if (status !== TOO_EARLY) return 'with-back-off';
      // What the caller itself sent too early is for the caller to send again.
      if (!request.has('early-data')) return 'at-once';
    }
    if ((on & RetryOn['retriable-headers']) !== 0 && anyHolds(this.headers, response)) return 'with-back-off';
    if ((on & ANY_GRPC_RETRY) !== 0) {
      const grpcStatus = response.getKnown(ID_GRPC_STATUS);
      if (grpcStatus !== undefined && (on & (GRPC_BITS[grpcStatus] ?? 0)) !== 0) return 'with-back-off';
    }
    return 'no';
  }

  private wishForReset(reason: StreamResetReason, requestStarted: boolean): boolean {
    const { on } = this;
    if (reason === 'overflow') return false;
    if (isConnectFailure(reason) && (on & RetryOn['connect-failure']) !== 0) return true;
    if ((on & RetryOn['reset-before-request']) !== 0 && !requestStarted) return true;
    // A reset comes to the caller as a 503.
    if ((on & (RetryOn.reset | RetryOn['5xx'] | RetryOn['gateway-error'])) !== 0) return true;
    return (on & RetryOn['refused-stream']) !== 0 && reason === 'max-requests';
  }

  // --- Back-off ----------------------------------------------------------------------------------------------------------

  /** Milliseconds which the upstream asks for; undefined when it does not, or asks for too much. */
  private resetInterval(response: ResponseHeaders): number | undefined {
    const { resetHeaders, maxResetIntervalMs } = this.policy;
    for (let i = 0; i < resetHeaders.length; i++) {
      const ms = readResetInterval(response, resetHeaders[i], this.config.clock);
      if (ms !== undefined && ms <= maxResetIntervalMs) return ms > 1 ? ms : undefined;
    }
    return undefined;
  }

  private arm(wish: Wish, afterMs: number | undefined): void {
    const { config } = this;
    const { stats } = this.owner.clusterInfo;
    let delayMs = 0;
    if (wish === 'with-back-off' && afterMs !== undefined) {
      delayMs = jitteredFrom(afterMs, config.random);
      stats.upstreamRqRetryBackoffRatelimited.inc();
    } else if (wish === 'with-back-off') {
      this.backOff ??= this.createBackOff();
      delayMs = this.backOff.next(config.random);
      stats.upstreamRqRetryBackoffExponential.inc();
    }
    this.timer ??= config.clock.timer(() => this.owner.onRetryDue());
    this.timer.enable(delayMs);
  }

  private createBackOff(): ExponentialBackOff {
    const base =
      this.policy.baseIntervalMs ??
      Math.max(1, this.config.runtime.getInteger('upstream.base_retry_backoff_ms', 25));
    return new ExponentialBackOff(base, this.policy.maxIntervalMs ?? base * 10);
  }

  // --- Hosts -------------------------------------------------------------------------------------------------------------

  onHostAttempted(host: Host): void {
    for (let i = 0; i < this.predicates.length; i++) this.predicates[i].onHostAttempted(host);
    this.priority?.onHostAttempted(host);
  }

  /** Whether a retry chooses its host in another way than a first try. */
  get choosesHosts(): boolean {
    return this.predicates.length > 0 || this.priority !== undefined;
  }

  shouldSkip(host: Host): boolean {
    for (let i = 0; i < this.predicates.length; i++) if (this.predicates[i].shouldSkip(host)) return true;
    return false;
  }

  get hostSelectionAttempts(): number {
    return this.policy.hostSelectionAttempts;
  }

  priorityShares(
    sets: readonly HostSet[],
    original: PriorityShares,
    priorityOf?: PriorityOf,
  ): PriorityShares {
    return this.priority === undefined ? original : this.priority.shares(sets, original, priorityOf);
  }

  // --- End ---------------------------------------------------------------------------------------------------------------

  /** No further retry: what waits is called off, and the budget has its place back. */
  close(): void {
    this.giveBack();
  }

  private giveBack(): void {
    this.timer?.disable();
    if (!this.granted) return;
    this.granted = false;
    this.budget.give();
  }
}

function isConnectFailure(reason: StreamResetReason): boolean {
  return reason === 'connection-failure' || reason === 'connection-timeout';
}

function anyHolds(
  predicates: readonly HeaderPredicate[],
  headers: RequestHeaders | ResponseHeaders,
): boolean {
  for (let i = 0; i < predicates.length; i++) if (predicates[i](headers)) return true;
  return false;
}

/** NaN for what is no number. */
function readCode(text: string): number {
  return readWhole(text.trim()) ?? Number.NaN;
}

/** A condition that a header is there; none for an empty name. */
function presence(text: string): readonly HeaderPredicate[] {
  const name = text.trim().toLowerCase();
  return name === '' ? [] : [(headers) => headers.has(name)];
}
