import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { FrameConnection, eventually, Http2Code, rawClient } from '@dragoman/testing';
import { bootstrap, cluster, httpListener, type Message, prefixRoute } from './config.ts';
import { CODE_NAMES } from './http2-cases.ts';
import { Sidecar } from './sidecar.ts';
import { residentMib } from './transfer.ts';

const LARGE = 4 * 1024 * 1024;
/** What Linux counts processor time in. */
const TICK_MS = 10;

/** How an attack went. */
export interface Outcome {
  /** `GOAWAY …`, `closed` (without one that was read), or `alive`. */
  readonly end: string;
  /** Requests of somebody else that were served meanwhile. */
  readonly served: number;
  /** The longest that one of them took, ms. */
  readonly slowestMs: number;
  /** Resident memory that was added while it went on, at the highest, MiB. */
  readonly grownMib: number;
  /** Processor time of the sidecar, ms. */
  readonly cpuMs: number;
}

/** A sidecar with one worker, an upstream behind it, and somebody who is served while it is attacked. */
export class Siege implements AsyncDisposable {
  readonly sidecar: Sidecar;
  readonly port: number;
  private readonly upstream: Server;

  private constructor(sidecar: Sidecar, port: number, upstream: Server) {
    this.sidecar = sidecar;
    this.port = port;
    this.upstream = upstream;
  }

  static async start(manager: Message = {}): Promise<Siege> {
    const upstream = createServer((message, response) => {
      response.on('error', () => {});
      message.on('error', () => {});
      if (message.url?.startsWith('/hang') === true) return;
      message.resume();
      if (message.url?.startsWith('/large') === true) response.end(Buffer.alloc(LARGE, 'x'));
      else response.end('ok');
    });
    await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
    const config = bootstrap(
      [
        httpListener({
          routes: [prefixRoute('/', 'upstream', { timeout: '0s' })],
          manager: { delayed_close_timeout: '0.2s', ...manager },
        }),
      ],
      [cluster('upstream', [(upstream.address() as AddressInfo).port])],
    );
    const sidecar = await Sidecar.serve(config, ['--concurrency', '1']);
    return new Siege(sidecar, await sidecar.port(), upstream);
  }

  async connect(): Promise<FrameConnection> {
    const client = await FrameConnection.connect({ port: this.port });
    client.begin();
    await client.settled();
    return client;
  }

  /** Runs an attack on a connection of its own, and watches. */
  async watch(attack: (client: FrameConnection) => Promise<unknown>): Promise<Outcome> {
    await using client = await this.connect();
    const { pid } = this.sidecar;
    const memory = residentMib(pid);
    const cpu = cpuMs(pid);
    let highest = memory;
    let served = 0;
    let slowestMs = 0;
    let over = false;
    const bystander = (async () => {
      await using other = await rawClient({ port: this.port });
      while (!over) {
        const before = performance.now();
        await other.write('GET /quick HTTP/1.1\r\nhost: a\r\n\r\n');
        const { status } = await other.readResponse();
        if (status !== 200) throw new Error(`somebody else was answered with ${status}`);
        served++;
        slowestMs = Math.max(slowestMs, performance.now() - before);
        highest = Math.max(highest, residentMib(pid));
      }
    })();
    try {
      await attack(client);
      // What is on its way is read, and its answer comes back.
      await client.settled().catch(() => false);
    } finally {
      over = true;
      await bystander;
    }
    return {
      end: endOf(client),
      served,
      slowestMs,
      grownMib: highest - memory,
      cpuMs: cpuMs(pid) - cpu,
    };
  }

  /** A counter or gauge; 0 where there is none. */
  async stat(name: string): Promise<number> {
    const { body } = await this.sidecar.admin(`/stats?filter=^${name.replaceAll('.', '\\.')}$`);
    return Number(/: (\d+)/.exec(body.toString())?.[1] ?? 0);
  }

  /** Nothing is in flight any more. */
  async expectIdle(): Promise<void> {
    await eventually(async () => {
      const filter = '(rq_active|cx_active|cx_http2_active|streams_active)$';
      const { body } = await this.sidecar.admin(`/stats?filter=${filter}`);
      const busy = body
        .toString()
        .split('\n')
        .filter((line) => /: [1-9]/.test(line) && !/admin|upstream_cx|listener/.test(line));
      if (busy.length > 0) throw new Error(busy.join(', '));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sidecar[Symbol.asyncDispose]();
    this.upstream.closeAllConnections();
    await new Promise((resolve) => this.upstream.close(resolve));
  }
}

function endOf(client: FrameConnection): string {
  if (client.goaway !== undefined && client.goaway.code !== Http2Code.noError)
    return `GOAWAY ${CODE_NAMES[client.goaway.code]}`;
  return client.ended ? 'closed' : 'alive';
}

/** Processor time that a process has used. */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}
