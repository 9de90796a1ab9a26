import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Extension } from '@dragoman/core';
import { createProxy, type Proxy as RunningProxy, type ServerFlags } from '@dragoman/server';
import {
  eventually,
  type RawConnection,
  type RawResponse,
  RecordingLoggers,
  rawClient,
  trackLeaks,
} from '@dragoman/testing';
import { bootstrap, cluster, type HttpListener, httpListener, type LogLine, type Message } from './config.ts';
import { EXTENSIONS } from './extensions.ts';

/** An upstream of `@dragoman/testing`. */
export interface Peer {
  readonly port: number;
  stop(): Promise<void>;
}

export interface ProxySetup extends HttpListener {
  /** Hosts of cluster `upstream`, by port or as upstreams, which {@link withProxy} stops. */
  readonly upstream?: number | Peer | readonly (number | Peer)[];
  /** Fields of cluster `upstream`. */
  readonly upstreamFields?: Message;
  /** Clusters besides `upstream`. */
  readonly clusters?: readonly Message[];
  /** Listeners besides the first; a function is told where the access log is. */
  readonly listeners?: readonly Message[] | ((logPath: string) => readonly Message[]);
  /** Fields of the bootstrap. */
  readonly bootstrap?: Message;
  readonly extensions?: readonly Extension[];
  readonly flags?: Partial<ServerFlags>;
}

/** Gauges that count what is in flight; a proxy at rest has them at 0. Idle upstream connections are kept on purpose. */
const IN_FLIGHT =
  /(_rq_active|_rq_pending_active|downstream_cx_active|_bytes_buffered|_cx_http[12]_active|streams_active|_cx_ssl_active)$/;
const KEPT_ALIVE = /(upstream_cx_active|upstream_cx_http[12]_active)$/;

/** A proxy in this process, with its access log in a file of its own. */
export class TestProxy implements AsyncDisposable {
  readonly proxy: RunningProxy;
  readonly loggers: RecordingLoggers;
  readonly logPath: string;
  private readonly folder: string;

  private constructor(proxy: RunningProxy, loggers: RecordingLoggers, folder: string) {
    this.proxy = proxy;
    this.loggers = loggers;
    this.folder = folder;
    this.logPath = join(folder, 'access.log');
  }

  static async start(setup: ProxySetup): Promise<TestProxy> {
    const folder = mkdtempSync(join(tmpdir(), 'dragoman-e2e-'));
    const loggers = new RecordingLoggers();
    const logPath = join(folder, 'access.log');
    const { listeners = [] } = setup;
    const ports = hosts(setup).map((host) => (typeof host === 'number' ? host : host.port));
    const config = bootstrap(
      [
        httpListener({ logPath, ...setup }),
        ...(typeof listeners === 'function' ? listeners(logPath) : listeners),
      ],
      [cluster('upstream', ports, setup.upstreamFields), ...(setup.clusters ?? [])],
      setup.bootstrap,
    );
    try {
      const proxy = await createProxy({
        bootstrap: JSON.stringify(config),
        extensions: [...EXTENSIONS, ...(setup.extensions ?? [])],
        log: { logger: (name) => loggers.logger(name), loggers: () => [], setLevel() {} },
        flags: { fileFlushIntervalMs: 2, ...setup.flags },
      });
      return new TestProxy(proxy, loggers, folder);
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  get port(): number {
    return this.proxy.address('http').port;
  }

  portOf(listener: string): number {
    return this.proxy.address(listener).port;
  }

  get adminPort(): number {
    return this.proxy.adminAddress?.port ?? 0;
  }

  connect(): Promise<RawConnection> {
    return rawClient({ port: this.port });
  }

  /** One request on a connection of its own, which the answer may leave open. */
  async send(...pieces: readonly (string | Buffer)[]): Promise<RawResponse> {
    await using client = await this.connect();
    await client.write(...pieces);
    return await client.readResponse();
  }

  /** A GET of `path` and its response. */
  get(path = '/', headers = ''): Promise<RawResponse> {
    return this.send(`GET ${path} HTTP/1.1\r\nhost: test\r\n${headers}\r\n`);
  }

  /** A counter or gauge, by its complete name. @throws Error when there is none */
  stat(name: string): number {
    const { counters, gauges } = this.proxy.stats;
    const found = counters.get(name) ?? gauges.get(name);
    if (found === undefined) throw new Error(`there is no stat ${name}`);
    return found.value;
  }

  /** Counters of `http.test.`, `cluster.upstream.` and so on that match, with their values. */
  used(pattern: RegExp): Record<string, number> {
    const entries = [...this.proxy.stats.counters, ...this.proxy.stats.gauges];
    return Object.fromEntries(
      entries
        .filter(([name, stat]) => pattern.test(name) && stat.value !== 0)
        .map(([name, stat]) => [name, stat.value]),
    );
  }

  /** The access log, once it has `count` lines. */
  log(count = 1): Promise<LogLine[]> {
    return eventually(() => {
      const lines = this.rawLog();
      if (lines.length < count) throw new Error(`${lines.length} of ${count} log lines`);
      if (lines.length > count)
        throw new Error(`${lines.length} log lines instead of ${count}: ${lines.join('\n')}`);
      return lines.map((line) => JSON.parse(line) as LogLine);
    });
  }

  rawLog(): string[] {
    return readFileSync(this.logPath, 'latin1').split('\n').slice(0, -1);
  }

  /** Waits until nothing is in flight: gauges of requests, downstream connections and buffers are 0. */
  async expectIdle(): Promise<void> {
    await eventually(() => {
      const busy = this.used(IN_FLIGHT);
      const left = Object.keys(busy).filter((name) => !KEPT_ALIVE.test(name));
      if (left.length > 0) throw new Error(`in flight: ${JSON.stringify(busy)}`);
    });
  }

  /** Ends the proxy. @throws Error when a gauge says that something is still there */
  async close(): Promise<void> {
    await this.proxy.close();
    const left = this.used(IN_FLIGHT);
    if (Object.keys(left).length > 0) throw new Error(`left behind: ${JSON.stringify(left)}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/**
 * Runs `body` with a proxy, and looks afterwards: nothing in flight, and, once the proxy is closed and its upstreams are stopped,
 * no gauge above 0 and no socket, timer or server left.
 */
export async function withProxy(setup: ProxySetup, body: (proxy: TestProxy) => Promise<void>): Promise<void> {
  const leaks = trackLeaks();
  {
    await using proxy = await TestProxy.start(setup);
    await body(proxy);
    await proxy.expectIdle();
    await proxy.close();
    for (const host of hosts(setup)) if (typeof host !== 'number') await host.stop();
  }
  await leaks.expectNone();
}

function hosts({ upstream = [] }: ProxySetup): readonly (number | Peer)[] {
  return typeof upstream === 'number' || 'port' in upstream ? [upstream] : upstream;
}
