import type { Cancellable, HttpPoolCallbacks, ResponseDecoder } from '@dragoman/core';
import { Http1Client, type Http1Owner } from './http1-client.ts';
import { IdleList } from './idle-list.ts';
import { PoolBase } from './pool-base.ts';

/**
 * The HTTP/1.1 connections to one host for one priority. A request takes the connection that became idle last (the others
 * may then time out); without one it waits, and there are as many connections on their way as requests wait, as far
 * as the circuit breaker lets.
 */
export class Http1Pool extends PoolBase<Http1Client> implements Http1Owner {
  private readonly idle = new IdleList();

  /** Idle, busy and connecting connections, and requests that wait. */
  get counts(): { idle: number; connections: number; connecting: number; pending: number } {
    return {
      idle: this.idle.size,
      connections: this.clients.size,
      connecting: this.connecting,
      pending: this.pending.size,
    };
  }

  newStream(decoder: ResponseDecoder, callbacks: HttpPoolCallbacks): Cancellable | undefined {
    const { idle, ahead } = this;
    if (idle.size === 0) return this.wait(decoder, callbacks);
    // The hot path: no closure, promise or object is made between here and the codec.
    if (!this.context.resources.requests.canTake()) {
      this.refuse(callbacks, 'requests');
      return undefined;
    }
    const client = idle.pop() as Http1Client;
    if (ahead !== undefined) this.countCapacity();
    client.start(decoder, callbacks);
    if (ahead !== undefined) this.connectAhead(ahead);
    return undefined;
  }

  // --- Http1Owner --------------------------------------------------------------------------------------------------

  onIdle(client: Http1Client): void {
    this.serveIdle(client, this.idle);
  }

  removeIdle(client: Http1Client): void {
    this.idle.remove(client);
    this.countCapacity();
  }

  onClosed(client: Http1Client): void {
    this.clients.delete(client);
    this.removeIdle(client);
  }

  // --- PoolBase ----------------------------------------------------------------------------------------------------

  protected override createClient(): Http1Client {
    return new Http1Client(this);
  }

  protected override get connectingCapacity(): number {
    return this.connecting;
  }

  protected override get readyCapacity(): number {
    return this.idle.size;
  }

  protected override get starved(): boolean {
    return false;
  }

  protected override drainClients(): void {
    this.idle.closeAll();
  }
}
