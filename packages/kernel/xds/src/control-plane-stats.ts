import type { Counter, Gauge, StatsScope, TextReadout } from '@dragoman/core';

interface Handles {
  readonly connectedState: Gauge;
  readonly rateLimitEnforced: Counter;
  readonly pendingRequests: Gauge;
  readonly identifier: TextReadout;
  users: number;
}

/**
 * `control_plane.*` of one stream: at the root for the aggregated one of the bootstrap, else under each subscriber's own scope, as
 * every subscription of Envoy has a stream of its own then.
 */
export class ControlPlaneStats {
  private readonly scopes = new Map<string, Handles>();
  private connectedState = 0;
  private pendingRequests = 0;
  private identifier = '';

  attach(owner: StatsScope): void {
    const scope = owner.scope('control_plane');
    const known = this.scopes.get(scope.prefix);
    if (known !== undefined) {
      known.users++;
      return;
    }
    const handles: Handles = {
      connectedState: scope.gauge('connected_state', 'never-import'),
      rateLimitEnforced: scope.counter('rate_limit_enforced'),
      pendingRequests: scope.gauge('pending_requests', 'never-import'),
      identifier: scope.textReadout('identifier'),
      users: 1,
    };
    handles.connectedState.set(this.connectedState);
    handles.pendingRequests.set(this.pendingRequests);
    if (this.identifier !== '') handles.identifier.set(this.identifier);
    this.scopes.set(scope.prefix, handles);
  }

  detach(owner: StatsScope): void {
    const { prefix } = owner.scope('control_plane');
    const handles = this.scopes.get(prefix);
    if (handles === undefined || --handles.users > 0) return;
    handles.connectedState.set(0);
    handles.pendingRequests.set(0);
    this.scopes.delete(prefix);
  }

  /** 0: no stream; 1: one to the first service of the config; 2: to the second. */
  setConnected(state: number): void {
    if (state === this.connectedState) return;
    this.connectedState = state;
    for (const { connectedState } of this.scopes.values()) connectedState.set(state);
  }

  setPendingRequests(count: number): void {
    if (count === this.pendingRequests) return;
    this.pendingRequests = count;
    for (const { pendingRequests } of this.scopes.values()) pendingRequests.set(count);
  }

  setIdentifier(identifier: string): void {
    if (identifier === this.identifier) return;
    this.identifier = identifier;
    for (const handles of this.scopes.values()) handles.identifier.set(identifier);
  }

  countRateLimited(): void {
    for (const { rateLimitEnforced } of this.scopes.values()) rateLimitEnforced.inc();
  }
}
