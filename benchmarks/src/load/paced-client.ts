/**
 * Sends small GETs at a steady rate, whether those before were answered or not: `node paced-client.ts PORT CONNECTIONS RATE SECONDS`.
 * Prints a {@link PacedResult}. A client that waits for an answer before it asks again, as wrk does, asks little while a proxy
 * stands still, and percentiles of what it saw hide the stop.
 */
import { connect, type Socket } from 'node:net';

export interface PacedResult {
  readonly requests: number;
  readonly errors: number;
  /** Milliseconds, from the moment that a request was due. */
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** By nearest rank; `sorted` ascending, not empty. 0 ≤ share ≤ 1. */
export function percentile(sorted: Float64Array, share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}

const REQUEST = 'GET /small HTTP/1.1\r\nhost: bench.test\r\n\r\n';
const BODY = 'Hello, world!';

class Load {
  private readonly latencies: Float64Array;
  private readonly idle: Socket[] = [];
  /** When requests were due that found no connection free. */
  private readonly late: number[] = [];
  private readonly dueAt = new Map<Socket, number>();
  private answered = 0;
  private errors = 0;

  constructor(requests: number) {
    this.latencies = new Float64Array(requests);
  }

  open(port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true }, resolve);
      let text = '';
      socket.on('data', (chunk) => {
        text += chunk.toString('latin1');
        if (!text.endsWith(BODY)) return;
        if (!text.startsWith('HTTP/1.1 200')) this.errors++;
        text = '';
        this.onAnswer(socket);
      });
      socket.on('error', (error) => reject(error));
      socket.on('close', () => {
        if (this.dueAt.delete(socket)) this.errors++;
        const index = this.idle.indexOf(socket);
        if (index >= 0) this.idle.splice(index, 1);
      });
      this.idle.push(socket);
    });
  }

  send(due: number): void {
    const socket = this.idle.pop();
    if (socket === undefined) {
      this.late.push(due);
      return;
    }
    this.dueAt.set(socket, due);
    socket.write(REQUEST);
  }

  private onAnswer(socket: Socket): void {
    const due = this.dueAt.get(socket);
    if (due === undefined) return;
    this.dueAt.delete(socket);
    this.latencies[this.answered++] = performance.now() - due;
    this.idle.push(socket);
    const next = this.late.shift();
    if (next !== undefined) this.send(next);
  }

  result(): PacedResult {
    const sorted = this.latencies.subarray(0, this.answered).sort();
    return {
      requests: this.answered,
      errors: this.errors + this.dueAt.size + this.late.length,
      p50: percentile(sorted, 0.5),
      p99: percentile(sorted, 0.99),
      p999: percentile(sorted, 0.999),
      max: percentile(sorted, 1),
    };
  }
}

async function main(port: number, connections: number, rate: number, seconds: number): Promise<void> {
  const total = rate * seconds;
  const load = new Load(total);
  await Promise.all(Array.from({ length: connections }, () => load.open(port)));
  const start = performance.now();
  let sent = 0;
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      // Due now, not when this client should have woken up: its own delays are not the proxy's.
      const now = performance.now();
      const due = Math.min(total, Math.floor(((now - start) * rate) / 1000));
      for (; sent < due; sent++) load.send(now);
      if (sent < total) return;
      clearInterval(timer);
      // What is under way gets a second.
      setTimeout(resolve, 1000);
    }, 1);
  });
  process.stdout.write(JSON.stringify(load.result()), () => process.exit(0));
}

if (import.meta.main) await main(...(process.argv.slice(2).map(Number) as [number, number, number, number]));
