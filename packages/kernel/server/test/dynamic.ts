import { type Bootstrap, type Cluster, type Listener, loadConfig } from '@dragoman/api';
import type { ServerFlags, ThreadsOption } from '@dragoman/server';
import { type JsonObject, rawClient, startProxy, type TestProxy } from '@dragoman/testing';
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
