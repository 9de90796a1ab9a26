import type { ServerFlags } from '../../src/index.ts';
import {
  eventually,
  type HttpBootstrapOptions,
  httpBootstrap,
  type JsonObject,
  type RawConnection,
  requestText,
  type StartProxyOptions,
  startProxy,
  type TestProxy,
} from '@dragoman/testing';
import { COMMAND_FILTER, extensions } from './thread-extensions.ts';

const STRUCT = 'type.googleapis.com/google.protobuf.Struct';
/** An HTTP filter that is configured by its name alone. */
export const namedFilter = (name: string): JsonObject => ({
  name,
  typed_config: { '@type': STRUCT, value: {} },
});

export const THREADS = { extensions: new URL('./thread-extensions.ts', import.meta.url) };

/** A bootstrap whose first HTTP filter carries out the commands of thread-extensions.ts. */
export const threadBootstrap = (options: HttpBootstrapOptions = {}): JsonObject =>
  httpBootstrap({ ...options, httpFilters: [namedFilter(COMMAND_FILTER), ...(options.httpFilters ?? [])] });

/** A proxy on worker threads, two by default. */
export const startOnThreads = (
  bootstrap: JsonObject,
  flags: Partial<ServerFlags> = {},
  options: Partial<StartProxyOptions> = {},
): Promise<TestProxy> =>
  startProxy(bootstrap, {
    extensions,
    threads: THREADS,
    flags: { concurrency: 2, fileFlushIntervalMs: 20, ...flags },
    ...options,
  });

/** A connection that one worker has accepted. */
export class WorkerConnection implements AsyncDisposable {
  readonly worker: number;
  readonly client: RawConnection;

  constructor(worker: number, client: RawConnection) {
    this.worker = worker;
    this.client = client;
  }

  /** Sends a request and reads the response: its body. @throws Error when its status is not 200 */
  async ask(path: string): Promise<string> {
    this.send(path);
    const { status, body } = await this.client.readResponse();
    if (status !== 200) throw new Error(`${path}: ${status} ${body}`);
    return body.toString();
  }

  send(path: string): void {
    this.client.socket.write(requestText('GET', path));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.client[Symbol.asyncDispose]();
  }
}

/** Opens a connection and asks who has accepted it. */
export async function connectToAny(proxy: TestProxy): Promise<WorkerConnection> {
  const client = await proxy.connect();
  await client.write(requestText('GET', '/worker'));
  const { body } = await client.readResponse();
  return new WorkerConnection(Number(body.toString()), client);
}

/** Opens connections until one is with this worker. */
export async function connectTo(proxy: TestProxy, worker: number): Promise<WorkerConnection> {
  for (let attempts = 0; attempts < 200; attempts++) {
    const connection = await connectToAny(proxy);
    if (connection.worker === worker) return connection;
    await connection[Symbol.asyncDispose]();
  }
  throw new Error(`200 connections, none of them with worker ${worker}`);
}

/** A connection with each worker, in their order. */
export async function connectToEach(proxy: TestProxy, workers: number): Promise<WorkerConnection[]> {
  const connections: WorkerConnection[] = [];
  for (let worker = 0; worker < workers; worker++) connections.push(await connectTo(proxy, worker));
  return connections;
}

export async function closeAll(connections: readonly WorkerConnection[]): Promise<void> {
  for (const connection of connections) await connection[Symbol.asyncDispose]();
}

/** Waits for `deaths` workers to have ended, and for as many to have come in their place. */
export async function replaced(proxy: TestProxy, deaths: number, patienceMs = 10_000): Promise<void> {
  await eventually(() => {
    const back = proxy.log.find('is there again').length;
    if (proxy.stat('server.worker_deaths') !== deaths || back !== deaths)
      throw new Error(
        `${proxy.stat('server.worker_deaths')} deaths, ${back} replaced:\n${proxy.log.lines.join('\n')}`,
      );
  }, patienceMs);
}
