import type {
  Cancellable,
  HttpPool,
  HttpPoolCallbacks,
  PoolFailureReason,
  ResponseDecoder,
  StreamResetReason,
  TransportOptions,
} from '@dragoman/core';
import { isHealthy, type UpstreamHost } from '../hosts/host.ts';
import { ConnectAhead, MOST_AT_ONCE, type PredictiveConnect } from './connect-ahead.ts';
import { connectionsOverflow } from './connection-accounting.ts';
import type { Http1Client } from './http1-client.ts';
import type { Http2Client } from './http2-client.ts';
import type { IdleList } from './idle-list.ts';
import { type Breaker, SHED_TEXT } from './overflow-texts.ts';
import { type PendingOwner, PendingQueue, PendingRequest } from './pending-queue.ts';
import type { PoolContext } from './pool-options.ts';
import type { ReadyList } from './ready-list.ts';

/** A connection of a pool, as far as all pools know it. */
export interface PoolClient {
  connect(): void;
  closeIfConnecting(): void;
  closeNow(details: string): void;
}

/** What pools of every protocol do: requests that wait for a connection, and the end of the pool. */
export abstract class PoolBase<Client extends PoolClient> implements HttpPool, PendingOwner {
  readonly host: UpstreamHost;
  readonly context: PoolContext;
  /** What its connections ask of their transport. */
  readonly transport: TransportOptions;
  /** Undefined: no connection is opened that no request waits for. With a ratio of 1 it only counts. */
  readonly ahead: ConnectAhead | undefined;
  private readonly predictive: PredictiveConnect | undefined;
  onUnused: (() => void) | undefined = undefined;
  protected readonly clients = new Set<Client>();
  protected readonly pending = new PendingQueue();
  /** Connections on their way. */
  protected connecting = 0;
  protected isDraining = false;
  private onDrained: (() => void) | undefined = undefined;
  /** What of {@link PredictiveConnect.capacity} is this pool's. */
  private countedCapacity = 0;

  constructor(host: UpstreamHost, context: PoolContext, transport: TransportOptions) {
    this.host = host;
    this.context = context;
    this.transport = transport;
    const { preconnectRatio, predictive } = context;
    const counts = preconnectRatio !== undefined || predictive !== undefined;
    this.predictive = predictive;
    this.ahead = counts ? new ConnectAhead(preconnectRatio ?? 1) : undefined;
  }

  abstract newStream(decoder: ResponseDecoder, callbacks: HttpPoolCallbacks): Cancellable | undefined;

  /** A connection that has not begun to connect. */
  protected abstract createClient(): Client;

  /** Streams that the connections on their way can be expected to take. */
  protected abstract get connectingCapacity(): number;

  /** Streams that the connections which are up could take beside those under way. */
  protected abstract get readyCapacity(): number;

  /** The peer would take nothing on another connection either. */
  protected abstract get starved(): boolean;

  /** Lets go what carries nothing. What still carries something ends with it. */
  protected abstract drainClients(): void;

  /** True once the host was removed: connections end with their requests. */
  get draining(): boolean {
    return this.isDraining;
  }

  get unused(): boolean {
    return this.clients.size === 0 && this.pending.size === 0;
  }

  /** Lets idle connections go at once, and the others when their requests end. New requests are still served. */
  drain(onDrained: () => void): void {
    this.isDraining = true;
    this.onDrained = onDrained;
    this.drainClients();
    if (this.pending.size === 0) for (const client of [...this.clients]) client.closeIfConnecting();
    this.reportIfUnused();
  }

  /** Ends every connection now; requests under way are reset, those that wait fail. */
  closeAll(): void {
    this.isDraining = true;
    this.failPending('local-connection-failure', 'pool closed');
    for (const client of [...this.clients]) client.closeNow('pool closed');
  }

  // --- Called by its clients ---------------------------------------------------------------------------------------

  onConnected(): void {
    this.connecting--;
  }

  onConnectFailure(client: Client, reason: PoolFailureReason, details: string): void {
    this.forgetConnecting(client);
    // A host that cannot be reached would keep every request waiting: all of them fail, so that they can be tried elsewhere.
    this.failPending(reason, details);
  }

  /** Only HTTP/2: the connection was there, and ended before it could be used. */
  onNeverUp(client: Client & Http2Client, reason: StreamResetReason, details: string): void {
    this.forgetConnecting(client);
    this.losePending(client, reason, details);
  }

  /** A connection is gone and its resources are back: those who wait may need another. */
  afterClose(): void {
    this.connectForPending();
    this.letGoOfUnserved();
    this.reportIfUnused();
  }

  onCancel(request: PendingRequest): void {
    // Taken out already by what fails all of them, one of which gives up another: that one is told nothing more.
    if (request.queued) {
      this.pending.remove(request);
      this.countUnqueued();
    }
    this.context.stats.upstreamRqCancelled.inc();
    // The connection that was to serve it is kept for the next one, unless there will be none.
    if (!this.isDraining || this.pending.size > 0) return;
    for (const client of [...this.clients]) client.closeIfConnecting();
  }

  private forgetConnecting(client: Client): void {
    this.connecting--;
    this.clients.delete(client);
    this.countCapacity();
  }

  /** After each change of what its connections could take. */
  protected countCapacity(): void {
    const { predictive } = this;
    if (predictive === undefined) return;
    const capacity = this.connectingCapacity + this.readyCapacity;
    predictive.capacity += capacity - this.countedCapacity;
    this.countedCapacity = capacity;
  }

  // --- Connecting --------------------------------------------------------------------------------------------------

  /** Opens what those who wait need, as far as the circuit breaker lets. */
  protected connectForPending(): void {
    if (this.pending.size === 0) return;
    if (this.ahead !== undefined) this.connectAhead(this.ahead);
    else while (this.lacksForPending && this.open());
  }

  /** Opens what those who wait and those who may come need. For the moment at which a stream has come. */
  protected connectAhead(ahead: ConnectAhead): void {
    // A host that is not healthy is spared, and nobody comes to a pool that ends.
    const forPending = this.isDraining || !isHealthy(this.host.healthFlags);
    for (let opened = 0; opened < MOST_AT_ONCE; opened++) {
      const wanted = forPending
        ? this.lacksForPending
        : ahead.wants(this.pending.size, this.connectingCapacity + this.readyCapacity);
      if (!wanted || !this.open()) return;
    }
  }

  /** Opens a connection for a stream that is likely to come next. Unlike for one that has come, never above `max_connections`. */
  preconnect(): boolean {
    const { ahead, predictive } = this;
    if (predictive === undefined || ahead === undefined) return false;
    const capacity = this.connectingCapacity + this.readyCapacity;
    return (
      predictive.wantedBy(this.pending.size, ahead.active, capacity) && this.mayPreconnect() && this.open()
    );
  }

  private mayPreconnect(): boolean {
    const full = connectionsOverflow(this.context, this.host);
    if (full === undefined) return true;
    this.context.overflow.held(full);
    return false;
  }

  private get lacksForPending(): boolean {
    return this.connectingCapacity < this.pending.size;
  }

  /** One more. @returns whether another may follow */
  private open(): boolean {
    if (this.starved || this.context.newConnection?.shouldShed() === true) return false;
    const full = connectionsOverflow(this.context, this.host);
    // The first is always allowed: else its requests would wait for nothing.
    if (full !== undefined && this.clients.size > 0) {
      this.context.overflow.held(full);
      return false;
    }
    const client = this.createClient();
    this.clients.add(client);
    this.connecting++;
    this.countCapacity();
    client.connect();
    return full === undefined;
  }

  // --- Waiting -----------------------------------------------------------------------------------------------------

  protected wait(decoder: ResponseDecoder, callbacks: HttpPoolCallbacks): Cancellable | undefined {
    const { stats, resources } = this.context;
    if (!resources.pendingRequests.canTake()) {
      this.refuse(callbacks, 'pendingRequests');
      return undefined;
    }
    const request = new PendingRequest(this, decoder, callbacks);
    this.pending.push(request);
    resources.pendingRequests.take();
    if (this.predictive !== undefined) this.predictive.pending++;
    stats.upstreamRqPendingTotal.inc();
    stats.upstreamRqPendingActive.inc();
    this.connectForPending();
    this.letGoOfUnserved();
    return request.isWaiting ? request : undefined;
  }

  /** An overloaded proxy has opened no connection for those who wait, and there is none that could take them. */
  private letGoOfUnserved(): void {
    if (this.context.newConnection === undefined || this.clients.size > 0) return;
    for (const request of this.takePending()) {
      if (!request.isWaiting) continue;
      request.settle();
      this.context.stats.upstreamRqPendingOverflow.inc();
      request.callbacks.onPoolFailure('overflow', SHED_TEXT, undefined);
    }
  }

  /** Carries who waits, ends with the pool, or joins `idle`. */
  protected serveIdle(client: Http1Client, idle: IdleList): void {
    while (client.isIdle) {
      const request = this.pending.shift();
      if (request === undefined) break;
      if (this.admit(request)) {
        this.countCapacity();
        client.start(request.decoder, request.callbacks);
        return;
      }
    }
    if (!client.isIdle) return;
    if (this.isDraining) {
      client.closeNow('');
      return;
    }
    idle.push(client);
    this.countCapacity();
    client.startIdleTimeout();
  }

  /** Carries those who wait, as far as the connection has room. */
  protected serveStreams(client: Http2Client, ready: ReadyList): void {
    while (client.capacity > 0) {
      const request = this.pending.shift();
      if (request === undefined) break;
      if (this.admit(request)) client.start(request.decoder, request.callbacks);
    }
    ready.update(client);
    this.countCapacity();
  }

  /** Whether one that was taken out of the queue may go on; it is told when not. */
  private admit(request: PendingRequest): boolean {
    request.settle();
    this.countUnqueued();
    if (this.context.resources.requests.canTake()) return true;
    this.refuse(request.callbacks, 'requests');
    return false;
  }

  private countUnqueued(): void {
    this.context.resources.pendingRequests.give();
    if (this.predictive !== undefined) this.predictive.pending--;
    this.context.stats.upstreamRqPendingActive.dec();
  }

  protected refuse(callbacks: HttpPoolCallbacks, breaker: Breaker): void {
    const { overflow, stats } = this.context;
    stats.upstreamRqPendingOverflow.inc();
    // No host has anything to do with it (%UPSTREAM_HOST% stays empty), as in Envoy.
    callbacks.onPoolFailure('overflow', overflow.refused(breaker), undefined);
  }

  private failPending(reason: PoolFailureReason, details: string): void {
    for (const request of this.takePending()) {
      // One may cancel another that failed with it.
      if (!request.isWaiting) continue;
      request.settle();
      this.context.stats.upstreamRqPendingFailureEject.inc();
      request.callbacks.onPoolFailure(reason, details, this.host);
    }
  }

  /** Those that wait have lost their connection just before they could be sent on it. */
  private losePending(client: Http2Client, reason: StreamResetReason, details: string): void {
    for (const request of this.takePending()) {
      if (!request.isWaiting) continue;
      request.settle();
      client.startLost(request.decoder, request.callbacks, reason, details);
    }
  }

  /** All that wait. Those that come while these are told (retries) are not among them. */
  private takePending(): PendingRequest[] {
    const taken: PendingRequest[] = [];
    for (let request = this.pending.shift(); request !== undefined; request = this.pending.shift()) {
      this.countUnqueued();
      taken.push(request);
    }
    return taken;
  }

  private reportIfUnused(): void {
    if (!this.unused) return;
    if (!this.isDraining) {
      this.onUnused?.();
      return;
    }
    const { onDrained } = this;
    this.onDrained = undefined;
    onDrained?.();
  }
}
