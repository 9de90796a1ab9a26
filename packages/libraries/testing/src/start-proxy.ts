import type { LogLevel } from '@dragoman/core';
import type { ProxyOptions, Proxy as ServedProxy, ServerLoggers } from '@dragoman/server';
import type { JsonObject } from './bootstraps.ts';
import { exchange, type RawTarget, rawClient } from './raw-client.ts';
import type { RawConnection } from './raw-connection.ts';
import type { RawResponse } from './raw-response.ts';
import { RecordingLoggers } from './test-context.ts';
import { eventually } from './wait.ts';

/** What a proxy in a test is started with: the options of `createProxy` but its bootstrap. */
export type StartProxyOptions = Omit<ProxyOptions, 'bootstrap' | 'log'> & { readonly log?: ServerLoggers };

/** Keeps the lines of a proxy's own log. */
export class RecordingServerLog extends RecordingLoggers implements ServerLoggers {
  private readonly levels = new Map<string, LogLevel>();
  private readonly names = new Set<string>();

  override logger(component: string): ReturnType<RecordingLoggers['logger']> {
    this.names.add(component);
    return super.logger(component);
  }

  loggers(): readonly { readonly name: string; readonly level: LogLevel }[] {
    return [...this.names].sort().map((name) => ({ name, level: this.levels.get(name) ?? 'trace' }));
  }

  /** Levels are noted and shown; every line is kept all the same. */
  setLevel(name: string | undefined, level: LogLevel): void {
    for (const one of name === undefined ? this.names : [name]) this.levels.set(one, level);
  }

  /** Lines that contain `text`. */
  find(text: string): string[] {
    return this.lines.filter((line) => line.includes(text));
  }
}

/**
 * Starts a proxy inside this process.
 *
 *     await using upstream = await HttpUpstream.start(text('hello'));
 *     await using proxy = await startProxy(httpBootstrap({ clusters: { web: upstream.port } }), { extensions });
 *     const response = await proxy.get('/');
 *
 * @param bootstrap YAML or JSON text, a typed message, a loaded config, or an object in proto3 JSON (see `httpBootstrap`)
 * @param options `extensions` is what the bootstrap may name; `log` is recorded by default
 * @throws ConfigError of `createProxy`
 */
export async function startProxy(
  bootstrap: ProxyOptions['bootstrap'] | JsonObject,
  options: StartProxyOptions,
): Promise<TestProxy> {
  // Loaded here, so that tests which start no proxy do not pay for it.
  const { createProxy } = await import('@dragoman/server');
  const log = new RecordingServerLog();
  const proxy = await createProxy({
    log,
    ...options,
    bootstrap: isPlain(bootstrap) ? JSON.stringify(bootstrap) : bootstrap,
  });
  return new TestProxy(proxy, log);
}

/** A typed message knows its type and a loaded config holds one; everything else is JSON. */
function isPlain(bootstrap: ProxyOptions['bootstrap'] | JsonObject): bootstrap is JsonObject {
  return typeof bootstrap !== 'string' && !('$typeName' in bootstrap) && !('message' in bootstrap);
}

/** A proxy in a test's hands. */
export class TestProxy implements AsyncDisposable {
  readonly proxy: ServedProxy;
  /** Empty when the test gave a log of its own. */
  readonly log: RecordingServerLog;

  /** Made by {@link startProxy}. */
  constructor(proxy: ServedProxy, log: RecordingServerLog) {
    this.proxy = proxy;
    this.log = log;
  }

  /** Of the first listener. */
  get port(): number {
    return this.proxy.address().port;
  }

  portOf(listenerName: string): number {
    return this.proxy.address(listenerName).port;
  }

  /** Opens a connection to a listener (the first by default). */
  connect(target: RawTarget = { port: this.port }): Promise<RawConnection> {
    return rawClient(target);
  }

  /**
   * Sends one request on a connection of its own and reads the response.
   * @param lines further header lines; a Host that is not among them is `test`
   */
  async send(method: string, path: string, lines: readonly string[] = [], body = ''): Promise<RawResponse> {
    await using client = await this.connect();
    await client.write(requestText(method, path, lines, body));
    return await client.readResponse(method === 'HEAD');
  }

  get(path: string, ...lines: readonly string[]): Promise<RawResponse> {
    return this.send('GET', path, lines);
  }

  /** The value of a counter or gauge. @throws Error when there is none of this name */
  stat(name: string): number {
    const { stats } = this.proxy;
    const found = stats.counters.get(name) ?? stats.gauges.get(name);
    if (found === undefined) throw new Error(`this proxy has no counter or gauge ${name}`);
    return found.value;
  }

  /** Waits until a counter or gauge has a value. */
  async untilStat(name: string, value: number): Promise<void> {
    await eventually(() => {
      const now = this.stat(name);
      if (now !== value) throw new Error(`${name} is ${now}, not ${value}`);
    });
  }

  /** Asks the admin interface. @throws Error when the bootstrap has none */
  async admin(path: string, method = 'GET', body = ''): Promise<RawResponse> {
    const address = this.proxy.adminAddress;
    if (address === undefined) throw new Error('this proxy has no admin interface');
    await using client = await rawClient(
      address.family === 'pipe' ? { path: address.path.replace(/^@/, '\0') } : { port: address.port },
    );
    await client.write(requestText(method, path, ['connection: close'], body));
    return await client.readResponse(method === 'HEAD');
  }

  /** Writes bytes as they are, on a connection of their own, and reads until it is closed. */
  exchange(...pieces: readonly (string | Buffer)[]): Promise<string> {
    return exchange({ port: this.port }, ...pieces);
  }

  close(): Promise<void> {
    return this.proxy.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** A request as text: `GET /x HTTP/1.1` with Host, the given lines and, for a body, its length. */
export function requestText(method: string, path: string, lines: readonly string[] = [], body = ''): string {
  const all = [...lines];
  if (!all.some((line) => /^host:/i.test(line))) all.unshift('host: test');
  if (body !== '' && !all.some((line) => /^(content-length|transfer-encoding):/i.test(line)))
    all.push(`content-length: ${Buffer.byteLength(body, 'latin1')}`);
  return `${[`${method} ${path} HTTP/1.1`, ...all].join('\r\n')}\r\n\r\n${body}`;
}
