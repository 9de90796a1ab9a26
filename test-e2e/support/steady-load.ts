import { createServer } from 'node:http';
import { setImmediate as immediate, setTimeout as delay } from 'node:timers/promises';
import { type RawConnection, type RawTarget, rawClient } from '@dragoman/testing';

export interface SteadyLoadOptions {
  readonly target: RawTarget;
  /** Clients that make a connection for every request. */
  readonly fresh: number;
  /** Clients that keep theirs until they are told `connection: close`, or it is closed between two requests. */
  readonly keptAlive: number;
  /** Requests of each client in a second, at most. */
  readonly rate: number;
}

/** Requests that go on until they are stopped. Nothing is tried again: what is not answered with 200 is a failure. */
export class SteadyLoad {
  /** What went wrong, a text for each request. */
  readonly failures: string[] = [];
  /** Requests that were answered. */
  answered = 0;
  /** Connections that were opened. */
  connections = 0;
  /** Answers that said `connection: close` to a client that would have stayed. */
  toldToClose = 0;
  private readonly options: SteadyLoadOptions;
  private readonly clients: Promise<void>[];
  private running = true;

  constructor(options: SteadyLoadOptions) {
    this.options = options;
    this.clients = [
      ...Array.from({ length: options.fresh }, () => this.repeat(() => this.freshRequest())),
      ...Array.from({ length: options.keptAlive }, () => this.keepAlive()),
    ];
  }

  /** Lets every request end. */
  async stop(): Promise<void> {
    this.running = false;
    await Promise.all(this.clients);
  }

  private async repeat(request: () => Promise<void>): Promise<void> {
    while (this.running) {
      const pace = delay(1000 / this.options.rate);
      await request().catch((error: unknown) => this.failures.push(String(error)));
      await pace;
    }
  }

  private async freshRequest(): Promise<void> {
    await using client = await this.connect();
    await this.exchange(client);
  }

  private async keepAlive(): Promise<void> {
    let client: RawConnection | undefined;
    await this.repeat(async () => {
      // A close that has arrived between two requests is no failure; after a pause it may be there and not read yet.
      await immediate();
      if (client === undefined || client.peerEnded) {
        client?.destroy();
        client = await this.connect();
      }
      const current = client;
      client = undefined;
      const close = await this.exchange(current);
      if (close) {
        this.toldToClose++;
        current.destroy();
      } else client = current;
    });
    client?.destroy();
  }

  private async connect(): Promise<RawConnection> {
    const client = await rawClient(this.options.target);
    this.connections++;
    return client;
  }

  /** @returns whether the answer says that the connection ends */
  private async exchange(client: RawConnection): Promise<boolean> {
    client.socket.write('GET / HTTP/1.1\r\nhost: load\r\n\r\n');
    const { status, header } = await client.readResponse();
    if (status !== 200) throw new Error(`answered with ${status}`);
    this.answered++;
    return header('connection') === 'close';
  }
}

/** An upstream that only counts, for loads of any length. */
export class CountingUpstream implements AsyncDisposable {
  requests = 0;
  readonly port: number;
  private readonly server: ReturnType<typeof createServer>;

  private constructor(server: ReturnType<typeof createServer>) {
    this.server = server;
    this.port = (server.address() as { port: number }).port;
    server.on('request', (_, response) => {
      this.requests++;
      response.end('ok');
    });
  }

  static async start(): Promise<CountingUpstream> {
    // Longer than a test: the proxy keeps its connections.
    const server = createServer({ keepAliveTimeout: 600_000 });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new CountingUpstream(server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
