import { createServer, type Server } from 'node:net';
import { RawConnection } from './raw-connection.ts';
import { within } from './wait.ts';

/** What a raw upstream does on one connection. An error it throws is reported by {@link RawUpstream.stop}. */
export type RawScript = (connection: RawConnection, index: number) => void | Promise<void>;

/** Where an upstream listens. Port 0 (the default) lets the system choose. */
export type ListenOptions = { readonly host?: string; readonly port?: number } | { readonly path: string };

/**
 * A TCP server that follows a script, byte by byte.
 *
 *     await using upstream = await RawUpstream.start(async (connection) => {
 *       await connection.readUntil('\r\n\r\n');
 *       await connection.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf');
 *       connection.reset();
 *     });
 */
export class RawUpstream {
  /** 0 on a Unix socket. */
  readonly port: number;
  /** Every connection accepted so far. */
  readonly connections: RawConnection[] = [];
  private readonly server: Server;
  private readonly scripts: Promise<void>[] = [];
  private readonly failures: unknown[] = [];
  private watchers: { count: number; resolve: (connection: RawConnection) => void }[] = [];

  private constructor(server: Server, script: RawScript) {
    this.server = server;
    const address = server.address();
    this.port = typeof address === 'object' && address !== null ? address.port : 0;
    server.on('connection', (socket) => {
      const connection = new RawConnection(socket);
      const index = this.connections.push(connection) - 1;
      this.watchers = this.watchers.filter(({ count, resolve }) => {
        if (this.connections.length < count) return true;
        resolve(this.connections[count - 1]);
        return false;
      });
      this.scripts.push(this.perform(script, connection, index));
    });
  }

  static async start(script: RawScript, where: ListenOptions = {}): Promise<RawUpstream> {
    const server = createServer({ allowHalfOpen: true });
    await listen(server, where);
    return new RawUpstream(server, script);
  }

  /** The `count`-th connection (from 1), once it is there. */
  connection(count = 1): Promise<RawConnection> {
    const found = this.connections[count - 1];
    if (found !== undefined) return Promise.resolve(found);
    const arrived = new Promise<RawConnection>((resolve) => this.watchers.push({ count, resolve }));
    return within(arrived, `connection ${count} to the upstream`);
  }

  /** Stops listening, ends what is open. @throws what a script threw */
  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    const failures = [...this.failures];
    for (const connection of this.connections) connection.destroy();
    await Promise.all([closed, ...this.connections.map((connection) => connection.closed)]);
    // Scripts that were waiting for bytes end with an error now: that is no news.
    await Promise.all(this.scripts);
    if (failures.length > 0) throw failures[0];
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  private async perform(script: RawScript, connection: RawConnection, index: number): Promise<void> {
    try {
      await script(connection, index);
    } catch (error) {
      this.failures.push(error);
    }
  }
}

/** Accepts every connection, reads what comes and never answers. */
export function silentUpstream(where?: ListenOptions): Promise<RawUpstream> {
  return RawUpstream.start(async (connection) => {
    await connection.closed;
  }, where);
}

/** @internal Settles once `server` listens. */
export function listen(server: Server, where: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const options = 'path' in where ? where : { host: where.host ?? '127.0.0.1', port: where.port ?? 0 };
    server.listen(options, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
