/**
 * A process of its own: upstreams on every address of 127.0.0.0/8, and clients that send at a steady rate, whatever is answered. It says
 * {@link Said} and does what it is {@link Told}, over the channel of `fork`.
 */
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';

export interface Told {
  readonly port: number;
  /** Requests a second; 0: as many as there can be. */
  readonly rate: number;
  readonly ms: number;
  /** Requests are for these by turns: `x-cluster`. */
  readonly clusters: readonly string[];
}

export interface LoadResult {
  readonly requests: number;
  /** Texts of the first few. */
  readonly failures: readonly string[];
  /** Sent again, since the proxy had closed a connection that rested when the request was on its way: HTTP/1.1 knows no better. */
  readonly resent: number;
  /** Milliseconds, from the moment that a request was due. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export type Said = { readonly upstreamPort: number } | LoadResult;

const CONNECTIONS = 32;
const MAX_FAILURES = 20;
/** What is under way at the end gets so long. */
const PATIENCE_MS = 5000;

interface Request {
  readonly due: number;
  readonly cluster: string;
}

class Load {
  private readonly told: Told;
  /** The one that was used last is used first. */
  private readonly idle: Socket[] = [];
  private readonly underWay = new Map<Socket, Request>();
  private readonly waiting: Request[] = [];
  private readonly latencies: number[] = [];
  private readonly failures: string[] = [];
  /** Those that have had an answer. */
  private readonly used = new Set<Socket>();
  private resent = 0;
  private connections = 0;
  private sent = 0;
  private open = 0;

  constructor(told: Told) {
    this.told = told;
  }

  async run(): Promise<LoadResult> {
    const { rate, ms, clusters } = this.told;
    const start = performance.now();
    for (let gone = 0; gone < ms; ) {
      const now = performance.now();
      gone = Math.min(ms, now - start);
      const due = rate === 0 ? this.sent + CONNECTIONS - this.open : Math.floor((gone * rate) / 1000);
      for (; this.sent < due; this.sent++)
        this.send({ due: now, cluster: clusters[this.sent % clusters.length] as string });
      await new Promise((resolve) => (rate === 0 ? setImmediate(resolve) : setTimeout(resolve, 1)));
    }
    const end = performance.now() + PATIENCE_MS;
    while (this.open > 0 && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 5));
    if (this.open > 0) this.fail(`${this.open} requests were never answered`);
    for (const socket of this.idle) socket.destroy();
    const sorted = this.latencies.sort((a, b) => a - b);
    const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
    return {
      requests: sorted.length,
      failures: this.failures,
      resent: this.resent,
      p50: at(0.5),
      p99: at(0.99),
      max: at(1),
    };
  }

  private send(request: Request): void {
    this.open++;
    const socket = this.idle.pop();
    if (socket !== undefined) this.write(socket, request);
    else if (this.connections < CONNECTIONS) this.connect(request);
    else this.waiting.push(request);
  }

  private write(socket: Socket, request: Request): void {
    this.underWay.set(socket, request);
    socket.write(`GET / HTTP/1.1\r\nhost: fleet\r\nx-cluster: ${request.cluster}\r\n\r\n`);
  }

  private connect(first: Request): void {
    this.connections++;
    const socket = connect({ port: this.told.port, host: '127.0.0.1', noDelay: true });
    let text = '';
    socket.on('connect', () => this.write(socket, first));
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      const head = text.indexOf('\r\n\r\n');
      if (head === -1) return;
      const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
      if (text.length < head + 4 + length) return;
      const answer = text;
      text = '';
      this.answered(socket, answer);
    });
    socket.on('error', (error) => {
      if (!this.underWay.has(socket)) this.settle(`no connection: ${error.message}`);
    });
    socket.on('close', () => {
      this.connections--;
      const index = this.idle.indexOf(socket);
      if (index !== -1) this.idle.splice(index, 1);
      const request = this.underWay.get(socket);
      this.underWay.delete(socket);
      const reused = this.used.delete(socket);
      if (request !== undefined && reused && text === '') this.again(request);
      else if (request !== undefined) this.settle(`closed without an answer: ${request.cluster} ${text}`);
      this.next();
    });
  }

  private answered(socket: Socket, answer: string): void {
    const request = this.underWay.get(socket);
    if (request === undefined) return;
    this.underWay.delete(socket);
    this.used.add(socket);
    this.latencies.push(performance.now() - request.due);
    this.settle(
      answer.startsWith('HTTP/1.1 200') ? undefined : `${request.cluster}: ${answer.slice(0, 300)}`,
    );
    if (/\r\nconnection: close\r\n/i.test(answer)) socket.end();
    else this.idle.push(socket);
    this.next();
  }

  private again(request: Request): void {
    this.resent++;
    this.open--;
    this.send(request);
  }

  private settle(failure: string | undefined): void {
    this.open--;
    if (failure !== undefined) this.fail(failure);
  }

  private fail(failure: string): void {
    if (this.failures.length < MAX_FAILURES) this.failures.push(failure);
  }

  private next(): void {
    const request = this.waiting.shift();
    if (request === undefined) return;
    this.open--;
    this.send(request);
  }
}

const say = (said: Said): void => void process.send?.(said);
process.on('message', (told: Told) => void new Load(told).run().then(say));
process.on('disconnect', () => process.exit(0));
const upstream = createServer({ keepAliveTimeout: 0 }, (_request, response) => {
  response.writeHead(200, { 'content-length': '2' }).end('ok');
});
upstream.listen(0, () => say({ upstreamPort: (upstream.address() as AddressInfo).port }));
