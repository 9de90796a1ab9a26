import { eventually, type RawConnection, type RawResponse, rawClient } from '@dragoman/testing';
import { bootstrap, cluster, httpListener, type Message } from './config.ts';
import type { Sidecar } from './sidecar.ts';

export const GET = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';

/** A request on a connection that stays, and its response. */
export async function ask(client: RawConnection): Promise<RawResponse> {
  await client.write(GET);
  return await client.readResponse();
}

/**
 * Whether the response on a new connection ends it; undefined when nobody accepts, and when the kernel resets the
 * connection because the socket in whose queue it waited is closed.
 */
export async function closes(port: number): Promise<boolean | undefined> {
  const client = await rawClient({ port }).catch(() => undefined);
  if (client === undefined) return undefined;
  await using connection = client;
  const response = await ask(connection).catch((error: Error) => {
    if (/\(read ECONNRESET\) before a response; unread: ""$/.test(error.message)) return undefined;
    throw error;
  });
  return response === undefined ? undefined : response.header('connection') === 'close';
}

/** Waits until nobody accepts. */
export const refused = (port: number): Promise<unknown> =>
  eventually(async () => (await closes(port)) === undefined);

/** Counters and gauges, as the admin interface has them; -1: there is none. */
export async function stats(sidecar: Sidecar, ...names: string[]): Promise<number[]> {
  const { body } = await sidecar.admin('/stats');
  return names.map((name) => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(body.toString())?.[1] ?? -1));
}

/** As `/server_info` has it. */
export async function serverState(sidecar: Sidecar): Promise<string> {
  return JSON.parse((await sidecar.admin('/server_info')).body.toString()).state;
}

/** HTTP listeners (one, when none are given) before one upstream. */
export const drainConfig = (upstream: number, listeners: readonly Message[] = [httpListener({})]): Message =>
  bootstrap(listeners, [cluster('upstream', [upstream])]);
