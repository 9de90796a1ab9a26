import type {
  Cancellable,
  HttpPool,
  HttpPoolCallbacks,
  PoolFailureReason,
  ResponseDecoder,
} from '@dragoman/core';
import type { UpstreamHost } from '../hosts/host.ts';
import { mayConnect } from './connection-accounting.ts';
import { Http1Client } from './http1-client.ts';
import { type PendingOwner, PendingQueue, PendingRequest } from './pending-queue.ts';
import type { PoolContext } from './pool-options.ts';

/**
 * The HTTP/1.1 connections to one host for one priority. A request takes the connection that became idle last (the others
 * may then time out); without one it waits, and there are as many connections on their way as requests wait, as far
 * as the circuit breaker lets.
 */
export class Http1Pool implements HttpPool, PendingOwner {
  readonly host: UpstreamHost;
  readonly context: PoolContext;
  /** A stack: the last one in is the first one out. */
  private readonly idle: Http1Client[] = [];
  private readonly clients = new Set<Http1Client>();
  private readonly pending = new PendingQueue();
  private connecting = 0;
  private isDraining = false;
  private onDrained: (() => void) | undefined = undefined;

  constructor(host: UpstreamHost, context: PoolContext) {
    this.host = host;
    this.context = context;
  }

  /** True once the host was removed: connections end with their request. */
  get draining(): boolean {
    return this.isDraining;
  }

  get unused(): boolean {
    return this.clients.size === 0 && this.pending.size === 0;
  }

  /** Idle, busy and connecting connections, and requests that wait. */
  get counts(): { idle: number; connections: number; connecting: number; pending: number } {
    return {
      idle: this.idle.length,
      connections: this.clients.size,
      connecting: this.connecting,
      pending: this.pending.size,
    };
  }

  newStream(decoder: ResponseDecoder, callbacks: HttpPoolCallbacks): Cancellable | undefined {
    const { idle } = this;
    if (idle.length === 0) return this.wait(decoder, callbacks);
    // The hot path: no closure, promise or object is made between here and the codec.
    if (!this.context.resources.requests.canTake()) {
      this.refuse(callbacks);
      return undefined;
    }
    (idle.pop() as Http1Client).start(decoder, callbacks);
    return undefined;
  }

  /** Lets idle connections go at once, and the others when their request ends. New requests are still served. */
  drain(onDrained: () => void): void {
    this.isDraining = true;
    this.onDrained = onDrained;
    this.closeIdle();
    if (this.pending.size === 0) for (const client of [...this.clients]) client.closeIfConnecting();
    this.reportIfDrained();
  }

  /** Ends every connection now; requests under way are reset, those that wait fail. */
  closeAll(): void {
    this.isDraining = true;
    this.failPending('local-connection-failure', 'pool closed');
    for (const client of [...this.clients]) client.closeNow('pool closed');
  }

  // --- Called by its clients ---------------------------------------------------------------------------------------

  /** A connection can take a request. */
  onIdle(client: Http1Client): void {
    while (client.isIdle) {
      const request = this.pending.shift();
      if (request === undefined) break;
      this.unqueue(request);
      if (this.context.resources.requests.canTake()) {
        client.start(request.decoder, request.callbacks);
        return;
      }
      this.refuse(request.callbacks);
    }
    if (!client.isIdle) return;
    if (this.isDraining) {
      client.closeNow('');
      return;
    }
    this.idle.push(client);
    client.startIdleTimeout();
  }

  onConnected(): void {
    this.connecting--;
  }

  /** An idle connection is no longer to be had. */
  removeIdle(client: Http1Client): void {
    const index = this.idle.indexOf(client);
    if (index >= 0) this.idle.splice(index, 1);
  }

  onConnectFailure(client: Http1Client, reason: PoolFailureReason, details: string): void {
    this.connecting--;
    this.clients.delete(client);
    // A host that cannot be reached would keep every request waiting: all of them fail, so that they can be tried elsewhere.
    this.failPending(reason, details);
  }

  /** A connection that was up is gone. */
  onClosed(client: Http1Client): void {
    this.clients.delete(client);
    this.removeIdle(client);
  }

  /** A connection is gone and its resources are back: those who wait may need another. */
  afterClose(): void {
    this.connectForPending();
    this.reportIfDrained();
  }

  private connectForPending(): void {
    while (this.connecting < this.pending.size) {
      if (!mayConnect(this.context, this.clients.size === 0)) return;
      this.connect();
    }
  }

  onCancel(request: PendingRequest): void {
    this.pending.remove(request);
    this.countUnqueued();
    this.context.stats.upstreamRqCancelled.inc();
    // The connection that was to serve it is kept for the next one, unless there will be none.
    if (!this.isDraining || this.pending.size > 0) return;
    for (const client of [...this.clients]) client.closeIfConnecting();
  }

  // --- Waiting -----------------------------------------------------------------------------------------------------

  private wait(decoder: ResponseDecoder, callbacks: HttpPoolCallbacks): Cancellable | undefined {
    const { stats, resources } = this.context;
    if (!resources.pendingRequests.canTake()) {
      this.refuse(callbacks);
      return undefined;
    }
    const request = new PendingRequest(this, decoder, callbacks);
    this.pending.push(request);
    resources.pendingRequests.take();
    stats.upstreamRqPendingTotal.inc();
    stats.upstreamRqPendingActive.inc();
    this.connectForPending();
    return request.isWaiting ? request : undefined;
  }

  private unqueue(request: PendingRequest): void {
    request.settle();
    this.countUnqueued();
  }

  private countUnqueued(): void {
    this.context.resources.pendingRequests.give();
    this.context.stats.upstreamRqPendingActive.dec();
  }

  private refuse(callbacks: HttpPoolCallbacks): void {
    this.context.stats.upstreamRqPendingOverflow.inc();
    // No host has anything to do with it (%UPSTREAM_HOST% stays empty), as in Envoy.
    callbacks.onPoolFailure('overflow', '', undefined);
  }

  private failPending(reason: PoolFailureReason, details: string): void {
    // Those that come while these are told (retries) are not failed with them.
    const failed: PendingRequest[] = [];
    for (let request = this.pending.shift(); request !== undefined; request = this.pending.shift()) {
      this.countUnqueued();
      failed.push(request);
    }
    for (const request of failed) {
      // One may cancel another that failed with it.
      if (!request.isWaiting) continue;
      request.settle();
      this.context.stats.upstreamRqPendingFailureEject.inc();
      request.callbacks.onPoolFailure(reason, details, this.host);
    }
  }

  private connect(): void {
    const client = new Http1Client(this);
    this.clients.add(client);
    this.connecting++;
    client.connect();
  }

  private reportIfDrained(): void {
    const { onDrained } = this;
    if (!this.isDraining || onDrained === undefined || !this.unused) return;
    this.onDrained = undefined;
    onDrained();
  }

  private closeIdle(): void {
    const { idle } = this;
    while (idle.length > 0) (idle.pop() as Http1Client).closeNow('');
  }
}
