import type { Http2Client } from './http2-client.ts';

/** The connections that can take another stream; the one that became so last is used first, so that others may time out. */
export class ReadyList {
  private readonly clients: Http2Client[] = [];

  /** Undefined when there is none. */
  get next(): Http2Client | undefined {
    return this.clients[this.clients.length - 1];
  }

  get size(): number {
    return this.clients.length;
  }

  /** Streams that they could take, all together. */
  get capacity(): number {
    let capacity = 0;
    for (const client of this.clients) capacity += client.capacity;
    return capacity;
  }

  /** Puts it in or takes it out, as its capacity says. */
  update(client: Http2Client): void {
    const { clients } = this;
    // Nearly always the only one, and in its place.
    const index = clients[clients.length - 1] === client ? clients.length - 1 : clients.indexOf(client);
    if (client.capacity > 0) {
      if (index < 0) clients.push(client);
    } else if (index >= 0) clients.splice(index, 1);
  }

  remove(client: Http2Client): void {
    const index = this.clients.indexOf(client);
    if (index >= 0) this.clients.splice(index, 1);
  }
}
