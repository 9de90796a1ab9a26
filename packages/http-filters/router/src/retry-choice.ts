import type {
  HashValue,
  Host,
  HostSet,
  LoadBalancerContext,
  MetadataValue,
  PriorityOf,
  PriorityShares,
  RequestHeaders,
  StreamInfo,
} from '@dragoman/core';
import type { RetryState } from './retry-state.ts';

/** How a retry chooses its host: as a first try does, within what the policy's predicates and priority allow. */
export class RetryChoice implements LoadBalancerContext {
  private readonly first: LoadBalancerContext;
  private readonly retry: RetryState;

  constructor(first: LoadBalancerContext, retry: RetryState) {
    this.first = first;
    this.retry = retry;
  }

  get hash(): HashValue | undefined {
    return this.first.hash;
  }

  get requestHeaders(): RequestHeaders | undefined {
    return this.first.requestHeaders;
  }

  get info(): StreamInfo | undefined {
    return this.first.info;
  }

  get metadataMatch(): Readonly<Record<string, MetadataValue>> | undefined {
    return this.first.metadataMatch;
  }

  get hostSelectionAttempts(): number {
    return this.retry.hostSelectionAttempts;
  }

  shouldSkip(host: Host): boolean {
    return this.retry.shouldSkip(host);
  }

  priorityShares(
    sets: readonly HostSet[],
    original: PriorityShares,
    priorityOf?: PriorityOf,
  ): PriorityShares {
    return this.retry.priorityShares(sets, original, priorityOf);
  }
}
