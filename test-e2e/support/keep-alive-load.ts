import { connect, type Socket } from 'node:net';
import { within } from '@dragoman/testing';

export interface LoadOptions {
  readonly port: number;
  readonly clients: number;
  /** The longest that a client thinks between a response and its next request, ms; how long is drawn evenly from 0 on. */
  readonly thinkMs: number;
  /** Whether clients whose connection has ended in good order open another one, until {@link KeepAliveLoad.stop}. Default false. */
  readonly reconnect?: boolean;
}

/** How the clients of a load fared. */
export interface LoadReport {
  /** With a complete response of status 200. */
  readonly requests: number;
  /** Any other end of a request that was begun, with its reason. */
  readonly failures: readonly string[];
  /** Connections whose last response said `connection: close`. */
  readonly told: number;
  /** Connections that were closed while nothing was on its way. */
  readonly closedAtRest: number;
}

const REQUEST = 'GET /load HTTP/1.1\r\nhost: load\r\n\r\n';

/**
 * Clients in a closed loop, each on a connection that it keeps. One that is told to close closes and is done; it also is when its connection
 * ends while it thinks. That is what pools of good manners do, so none of their requests may fail when a proxy drains.
 */
export class KeepAliveLoad implements AsyncDisposable {
  private readonly clients: readonly Client[];

  private constructor(clients: readonly Client[]) {
    this.clients = clients;
  }

  /** Resolves when each client has had its first response. */
  static async start(options: LoadOptions): Promise<KeepAliveLoad> {
    const load = new KeepAliveLoad(Array.from({ length: options.clients }, () => new Client(options)));
    await within(Promise.all(load.clients.map(({ warm }) => warm)), 'the first responses');
    return load;
  }

  get requests(): number {
    return this.clients.reduce((sum, { requests }) => sum + requests, 0);
  }

  /** Clients have done nothing wrong until now, and do nothing more. */
  stop(): void {
    for (const client of this.clients) client.stop();
  }

  /** Resolves when each client is done. */
  async report(patienceMs = 10_000): Promise<LoadReport> {
    await within(Promise.all(this.clients.map(({ done }) => done)), 'the end of the load', patienceMs);
    const sum = (count: (client: Client) => number): number =>
      this.clients.reduce((total, client) => total + count(client), 0);
    return {
      requests: this.requests,
      failures: this.clients.flatMap(({ failure }) => (failure === undefined ? [] : [failure])),
      told: sum(({ told }) => told),
      closedAtRest: sum(({ closedAtRest }) => closedAtRest),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
    await Promise.all(this.clients.map(({ done }) => done));
  }
}

class Client {
  requests = 0;
  told = 0;
  closedAtRest = 0;
  failure: string | undefined = undefined;
  private readonly options: LoadOptions;
  private readonly first = Promise.withResolvers<void>();
  private readonly over = Promise.withResolvers<void>();
  private socket: Socket;
  private thinking: NodeJS.Timeout | undefined = undefined;
  private asking = false;
  private received = '';

  constructor(options: LoadOptions) {
    this.options = options;
    this.socket = this.connect();
  }

  /** Settles with the first response, or the end. */
  get warm(): Promise<void> {
    return this.first.promise;
  }

  get done(): Promise<void> {
    return this.over.promise;
  }

  stop(): void {
    clearTimeout(this.thinking);
    this.socket.destroy();
    this.first.resolve();
    this.over.resolve();
  }

  private connect(): Socket {
    const socket = connect({ port: this.options.port, host: '127.0.0.1', noDelay: true });
    socket.setEncoding('latin1');
    socket.on('connect', () => this.ask());
    socket.on('data', (text: string) => this.receive(text));
    socket.on('end', () => {
      if (socket !== this.socket) return;
      if (this.asking) this.fail('closed instead of a response');
      else {
        this.closedAtRest++;
        this.leave();
      }
    });
    socket.on('error', (error) => {
      if (socket === this.socket) this.fail(error.message);
    });
    return socket;
  }

  private ask(): void {
    this.asking = true;
    this.socket.write(REQUEST);
  }

  private receive(text: string): void {
    this.received += text;
    const head = this.received.indexOf('\r\n\r\n');
    if (head < 0) return;
    const length = Number(/^content-length: (\d+)\r$/im.exec(this.received)?.[1]);
    if (this.received.length < head + 4 + length) return;
    const lines = this.received.slice(0, head).toLowerCase();
    this.received = this.received.slice(head + 4 + length);
    this.asking = false;
    if (!lines.startsWith('http/1.1 200 ') || this.received !== '') {
      this.fail(`answered ${lines}`);
      return;
    }
    this.requests++;
    this.first.resolve();
    const { thinkMs } = this.options;
    if (lines.includes('\r\nconnection: close')) {
      this.told++;
      this.leave();
    } else if (thinkMs === 0) this.ask();
    else this.thinking = setTimeout(() => this.ask(), Math.random() * thinkMs);
  }

  private fail(failure: string): void {
    this.failure = failure;
    this.stop();
  }

  /** The connection has ended in good order. */
  private leave(): void {
    clearTimeout(this.thinking);
    if (this.options.reconnect !== true) {
      this.stop();
      return;
    }
    this.socket.destroy();
    this.socket = this.connect();
  }
}
