import { connect, type NetConnectOpts } from 'node:net';
import { RawConnection } from './raw-connection.ts';
import { within } from './wait.ts';

/** Where to connect to. `host` is 127.0.0.1 by default. */
export type RawTarget = { readonly port: number; readonly host?: string } | { readonly path: string };

/**
 * Opens a connection on which a test says every byte.
 *
 *     await using client = await rawClient({ port });
 *     await client.write('GET / HT', 'TP/1.1\r\nhost: a\r\n\r\n');
 *     const response = await client.readResponse();
 *
 * @throws Error of Node (`ECONNREFUSED`, …)
 */
export async function rawClient(target: RawTarget): Promise<RawConnection> {
  // Half-open: the peer's end does not end our side by itself.
  const options = { host: '127.0.0.1', ...target, allowHalfOpen: true } as NetConnectOpts;
  const socket = connect(options);
  const connected = new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  try {
    await within(connected, `connecting to ${JSON.stringify(target)}`);
  } catch (error) {
    socket.destroy();
    throw error;
  }
  return new RawConnection(socket);
}

/** One connection, these pieces, everything that comes back until the peer closes, as latin1 text. */
export async function exchange(target: RawTarget, ...pieces: readonly (string | Buffer)[]): Promise<string> {
  await using client = await rawClient(target);
  await client.write(...pieces);
  return await client.readUntilClose();
}
