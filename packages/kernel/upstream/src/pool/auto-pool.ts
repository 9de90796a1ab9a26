import type { Cancellable, HttpPoolCallbacks, ResponseDecoder } from '@dragoman/core';
import { AutoClient, type AutoOwner } from './auto-client.ts';
import { Http1Client, type Http1Owner } from './http1-client.ts';
import { Http2Client, type Http2Owner } from './http2-client.ts';
import { IdleList } from './idle-list.ts';
import { PoolBase } from './pool-base.ts';
import { ReadyList } from './ready-list.ts';

type AnyClient = AutoClient | Http1Client | Http2Client;

/**
 * The connections to one host whose protocol is chosen by ALPN (`auto_config`): HTTP/2 where the peer takes `h2`, else HTTP/1.1. As many are
 * on their way as requests wait, until the host is known to speak HTTP/2.
 */
export class AutoPool extends PoolBase<AnyClient> implements AutoOwner, Http1Owner, Http2Owner {
  private readonly ready = new ReadyList();
  private readonly idle = new IdleList();
  /** Requests at a time that a connection can be expected to take: what the last one did. */
  private expected = 1;

  newStream(decoder: ResponseDecoder, callbacks: HttpPoolCallbacks): Cancellable | undefined {
    const client = this.ready.next ?? this.idle.next;
    if (client === undefined) return this.wait(decoder, callbacks);
    if (!this.context.resources.requests.canTake()) {
      this.refuse(callbacks, 'requests');
      return undefined;
    }
    if (client instanceof Http1Client) {
      this.idle.pop();
      this.countCapacity();
    }
    client.start(decoder, callbacks);
    if (this.ahead !== undefined) this.connectAhead(this.ahead);
    return undefined;
  }

  // --- AutoOwner ---------------------------------------------------------------------------------------------------

  onNegotiated(connecting: AutoClient, protocol: string): void {
    const { clients } = this;
    clients.delete(connecting);
    const client = protocol === 'h2' ? new Http2Client(this) : new Http1Client(this);
    clients.add(client);
    client.adopt(connecting.connection, connecting.openedAt);
    // It may take fewer requests than was expected.
    this.connectForPending();
  }

  // --- Http1Owner --------------------------------------------------------------------------------------------------

  override onConnected(): void {
    super.onConnected();
    this.expected = 1;
  }

  onIdle(client: Http1Client): void {
    this.serveIdle(client, this.idle);
  }

  removeIdle(client: Http1Client): void {
    this.idle.remove(client);
    this.countCapacity();
  }

  onClosed(client: Http1Client | Http2Client): void {
    this.clients.delete(client);
    if (client instanceof Http1Client) this.removeIdle(client);
    else {
      this.ready.remove(client);
      this.countCapacity();
    }
  }

  // --- Http2Owner --------------------------------------------------------------------------------------------------

  onUp(client: Http2Client, limit: number): void {
    this.connecting--;
    this.expected = Math.max(1, limit);
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

  // --- PoolBase ----------------------------------------------------------------------------------------------------

  protected override createClient(): AutoClient {
    return new AutoClient(this);
  }

  protected override get connectingCapacity(): number {
    return this.connecting * this.expected;
  }

  protected override get readyCapacity(): number {
    return this.ready.capacity + this.idle.size;
  }

  protected override get starved(): boolean {
    for (const client of this.clients) if (client instanceof Http2Client && client.starved) return true;
    return false;
  }

  protected override drainClients(): void {
    this.idle.closeAll();
    for (const client of [...this.clients])
      if (client instanceof Http2Client && !client.isConnecting) client.drain();
  }
}
