import type {
  HashValue,
  Host,
  HostSet,
  LoadBalancerContext,
  MetadataValue,
  PriorityShares,
  RequestHeaders,
  StreamInfo,
} from '@dragoman/core';

/** What a member is told of a request: all that is known, but that the priority has been chosen. One object, used again and again. */
export class MemberContext implements LoadBalancerContext {
  private base: LoadBalancerContext | undefined = undefined;
  private shares: PriorityShares = { healthy: [], degraded: [] };

  /** For one choice; {@link clear} follows it. */
  set(base: LoadBalancerContext | undefined, shares: PriorityShares): this {
    this.base = base;
    this.shares = shares;
    return this;
  }

  clear(): void {
    this.base = undefined;
  }

  get hash(): HashValue | undefined {
    return this.base?.hash;
  }

  get requestHeaders(): RequestHeaders | undefined {
    return this.base?.requestHeaders;
  }

  get info(): StreamInfo | undefined {
    return this.base?.info;
  }

  get metadataMatch(): Readonly<Record<string, MetadataValue>> | undefined {
    return this.base?.metadataMatch;
  }

  get hostSelectionAttempts(): number | undefined {
    return this.base?.hostSelectionAttempts;
  }

  shouldSkip(host: Host): boolean {
    return this.base?.shouldSkip?.(host) ?? false;
  }

  /** A policy that looks at some of the hosts only may have fewer priorities than its cluster. */
  priorityShares(sets: readonly HostSet[], original: PriorityShares): PriorityShares {
    return sets.length === this.shares.healthy.length ? this.shares : original;
  }
}
