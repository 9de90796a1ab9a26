import type { Cancellable, HttpPoolCallbacks, ResponseDecoder } from '@dragoman/core';
import { Http2Client, type Http2Owner } from './http2-client.ts';
import { PoolBase } from './pool-base.ts';
import { ReadyList } from './ready-list.ts';

/**
 * The HTTP/2 connections to one host for one priority. All streams go on one connection until it is full; those that wait have as many
 * connections on their way as it takes to carry them.
 */
export class Http2Pool extends PoolBase<Http2Client> implements Http2Owner {
  private readonly ready = new ReadyList();
  /** Streams at a time that a connection of this host can be expected to take. */
  private expected: number = this.upperLimit;

  /** Connections, those among them that take streams or are on their way, streams under way, and requests that wait. */
  get counts(): {
    connections: number;
    ready: number;
    connecting: number;
    streams: number;
    pending: number;
  } {
    let streams = 0;
    for (const client of this.clients) streams += client.activeStreams;
    return {
      connections: this.clients.size,
      ready: this.ready.size,
      connecting: this.connecting,
      streams,
      pending: this.pending.size,
    };
  }

  newStream(decoder: ResponseDecoder, callbacks: HttpPoolCallbacks): Cancellable | undefined {
    const client = this.ready.next;
    if (client === undefined) return this.wait(decoder, callbacks);
    if (!this.context.resources.requests.canTake()) {
      this.refuse(callbacks, 'requests');
      return undefined;
    }
    client.start(decoder, callbacks);
    if (this.ahead !== undefined) this.connectAhead(this.ahead);
    return undefined;
  }

  // --- Http2Owner --------------------------------------------------------------------------------------------------

  onUp(client: Http2Client, limit: number): void {
    this.onConnected();
    this.expected = Math.max(1, Math.min(limit, this.upperLimit));
    this.onCapacity(client);
    if (this.isDraining) client.drain();
    this.connectForPending();
  }

  onCapacity(client: Http2Client): void {
    this.serveStreams(client, this.ready);
  }

  onTaken(client: Http2Client): void {
    this.ready.update(client);
    this.countCapacity();
  }

  onClosed(client: Http2Client): void {
    this.clients.delete(client);
    this.ready.remove(client);
    this.countCapacity();
  }

  // --- PoolBase ----------------------------------------------------------------------------------------------------

  protected override createClient(): Http2Client {
    return new Http2Client(this);
  }

  protected override get connectingCapacity(): number {
    return this.connecting * this.expected;
  }

  protected override get readyCapacity(): number {
    return this.ready.capacity;
  }

  protected override get starved(): boolean {
    for (const client of this.clients) if (client.starved) return true;
    return false;
  }

  protected override drainClients(): void {
    for (const client of [...this.clients]) if (!client.isConnecting) client.drain();
  }

  private get upperLimit(): number {
    const { http, http2 } = this.context;
    const perConnection = http.maxRequestsPerConnection || Number.POSITIVE_INFINITY;
    return Math.min(http2?.options.maxConcurrentStreams ?? 1, perConnection);
  }
}
