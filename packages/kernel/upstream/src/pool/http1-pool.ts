import type {
  Cancellable,
  HttpPoolCallbacks,
  PoolFailureReason,
  ResponseDecoder,
  TransportOptions,
} from '@dragoman/core';
import type { UpstreamHost } from '../hosts/host.ts';
import { mayConnect } from './connection-accounting.ts';
import { Http1Client, type Http1Owner } from './http1-client.ts';
import { PoolBase } from './pool-base.ts';
import type { PoolContext } from './pool-options.ts';

/**
 * The HTTP/1.1 connections to one host for one priority. A request takes the connection that became idle last (the others
 * may then time out); without one it waits, and there are as many connections on their way as requests wait, as far
 * as the circuit breaker lets.
 */
export class Http1Pool extends PoolBase<Http1Client> implements Http1Owner {
  /** A stack: the last one in is the first one out. */
  private readonly idle: Http1Client[] = [];

  constructor(host: UpstreamHost, context: PoolContext, transport: TransportOptions) {
    super(host, context, transport);
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

  // --- Http1Owner --------------------------------------------------------------------------------------------------

  onIdle(client: Http1Client): void {
    while (client.isIdle) {
      const request = this.pending.shift();
      if (request === undefined) break;
      if (this.admit(request)) {
        client.start(request.decoder, request.callbacks);
        return;
      }
    }
    if (!client.isIdle) return;
    if (this.isDraining) {
      client.closeNow('');
      return;
    }
    this.idle.push(client);
    client.startIdleTimeout();
  }

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

  onClosed(client: Http1Client): void {
    this.clients.delete(client);
    this.removeIdle(client);
  }

  // --- PoolBase ----------------------------------------------------------------------------------------------------

  protected override connectForPending(): void {
    while (this.connecting < this.pending.size) {
      if (!mayConnect(this.context, this.clients.size === 0)) return;
      this.connect();
    }
  }

  protected override drainClients(): void {
    const { idle } = this;
    while (idle.length > 0) (idle.pop() as Http1Client).closeNow('');
  }

  private connect(): void {
    const client = new Http1Client(this);
    this.clients.add(client);
    this.connecting++;
    client.connect();
  }
}
