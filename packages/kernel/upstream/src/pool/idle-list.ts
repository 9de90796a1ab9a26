import type { Http1Client } from './http1-client.ts';

/** The HTTP/1.1 connections without a request. A stack: the last one in is the first one out, so that others may time out. */
export class IdleList {
  private readonly clients: Http1Client[] = [];

  /** Undefined when there is none. */
  get next(): Http1Client | undefined {
    return this.clients[this.clients.length - 1];
  }

  get size(): number {
    return this.clients.length;
  }

  push(client: Http1Client): void {
    this.clients.push(client);
  }

  pop(): Http1Client | undefined {
    return this.clients.pop();
  }

  remove(client: Http1Client): void {
    const index = this.clients.indexOf(client);
    if (index >= 0) this.clients.splice(index, 1);
  }

  closeAll(): void {
    for (let client = this.pop(); client !== undefined; client = this.pop()) client.closeNow('');
  }
}
