import { type AddressInfo, createServer } from 'node:net';
import { type Bootstrap, type Cluster, type Listener, loadConfig } from '@dragoman/api';
import type { ServerFlags, ThreadsOption } from '@dragoman/server';
import {
  exchange,
  httpManager,
  type JsonObject,
  rawClient,
  startProxy,
  type TestProxy,
} from '@dragoman/testing';
import { EXTENSIONS } from './extensions.ts';

/** Ways to run the same test: with everything on one thread, and with two worker threads. */
export const THREADS: readonly (readonly [name: string, threads: ThreadsOption])[] = [
  ['on one thread', 'inline'],
  ['on two worker threads', { extensions: new URL('./thread-extensions.ts', import.meta.url) }],
];

export type DynamicOptions = Partial<Omit<Parameters<typeof startProxy>[1], 'flags'>> & {
  readonly flags?: Partial<ServerFlags>;
};

/** A proxy whose listeners and clusters a test changes. */
export function start(bootstrap: JsonObject, options: DynamicOptions = {}): Promise<TestProxy> {
  return startProxy(bootstrap, {
    extensions: EXTENSIONS,
    ...options,
    flags: { concurrency: 2, ...options.flags },
  });
}

function messageOf(resources: JsonObject): NonNullable<Bootstrap['staticResources']> {
  const { message } = loadConfig({ text: JSON.stringify({ static_resources: resources }) });
  return (message as Bootstrap).staticResources as NonNullable<Bootstrap['staticResources']>;
}

/** A listener as a typed message. */
export function listenerOf(listener: JsonObject): Listener {
  return messageOf({ listeners: [listener] }).listeners[0] as Listener;
}

/** A cluster as a typed message. */
export function clusterOf(cluster: JsonObject): Cluster {
  return messageOf({ clusters: [cluster] }).clusters[0] as Cluster;
}

/** Whether somebody accepts there. */
export async function accepts(port: number): Promise<boolean> {
  try {
    await using _client = await rawClient({ port });
    return true;
  } catch {
    return false;
  }
}

/** A filter chain that answers every HTTP request with a text. */
export function answers(text: string): JsonObject {
  const direct = { status: 200, body: { inline_string: text } };
  return { filters: [httpManager({ routes: [{ match: { prefix: '/' }, direct_response: direct }] })] };
}

/** What clients saw that came one after another, each with a connection of its own. */
export interface Visits {
  /** What was answered, and how often. */
  readonly texts: ReadonlyMap<string, number>;
  /** Refused, reset, or closed without an answer. */
  readonly failures: readonly string[];
}

/** Clients who come until `work` is done: each asks on a connection of its own and reads to its end. */
export async function visit(port: number, work: Promise<unknown>, clients = 4): Promise<Visits> {
  const texts = new Map<string, number>();
  const failures: string[] = [];
  let done = false;
  const stop = () => {
    done = true;
  };
  work.then(stop, stop);
  const client = async (): Promise<void> => {
    while (!done) {
      try {
        const text = await exchange({ port });
        if (text === '') failures.push('closed without an answer');
        else texts.set(text, (texts.get(text) ?? 0) + 1);
      } catch (error) {
        failures.push(String(error));
      }
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  await work;
  return { texts, failures };
}

/** A port that nobody has. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
