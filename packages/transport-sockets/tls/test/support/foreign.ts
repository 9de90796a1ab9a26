import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { type ConnectionOptions, connect as tlsConnect, type TLSSocket } from 'node:tls';
import { encodeRecords } from '@dragoman/client-hello';
import { eventually, within } from '@dragoman/testing';
import { onCleanUp } from './scene.ts';

/** A plain client that remembers what it got. */
export class RawClient {
  readonly socket: Socket;
  received: Buffer = Buffer.alloc(0);
  closed = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (data: Buffer) => {
      this.received = Buffer.concat([this.received, data]);
    });
    socket.on('error', () => {});
    socket.on('end', () => socket.end());
    socket.on('close', () => {
      this.closed = true;
    });
    onCleanUp(() => socket.destroy());
  }

  static async connect(port: number): Promise<RawClient> {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const client = new RawClient(socket);
    await within(once(socket, 'connect'), 'the connection');
    return client;
  }

  /** Piece by piece, each in a segment of its own. */
  async sendInPieces(bytes: Buffer, size: number): Promise<void> {
    this.socket.setNoDelay(true);
    for (let at = 0; at < bytes.length && !this.closed; at += size) {
      this.socket.write(bytes.subarray(at, at + size));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  untilClosed(): Promise<void> {
    return eventually(() => {
      if (!this.closed) throw new Error('still open');
    });
  }
}

/** A plain server. `serve` gets each connection. */
export async function rawServer(serve: (socket: Socket) => void): Promise<number> {
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    onCleanUp(() => socket.destroy());
    serve(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onCleanUp(() => server.close());
  return (server.address() as { port: number }).port;
}

/** Node's own TLS client. */
export async function nodeClient(
  port: number,
  options: ConnectionOptions,
  prepare: (socket: TLSSocket) => void = () => {},
): Promise<TLSSocket> {
  const socket = tlsConnect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
  prepare(socket);
  onCleanUp(() => socket.destroy());
  await within(once(socket, 'secureConnect'), 'the handshake');
  socket.on('error', () => {});
  return socket;
}

/** Why Node's own TLS client did not get through. */
export async function nodeClientError(port: number, options: ConnectionOptions): Promise<string> {
  const socket = tlsConnect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
  onCleanUp(() => socket.destroy());
  const [error] = (await within(once(socket, 'error'), 'an error')) as [NodeJS.ErrnoException];
  return error.code ?? error.message;
}

/** A socket below a TLS client that sends its ClientHello in records of a few bytes, a few at a time. */
export function inRecordsOf(size: number, pieces: number, port: number): Duplex {
  const plain = connect({ port, host: '127.0.0.1', noDelay: true });
  onCleanUp(() => plain.destroy());
  let first = true;
  const duplex = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      const bytes = first ? encodeRecords(chunk.subarray(5), size) : chunk;
      const step = first ? pieces : bytes.length;
      first = false;
      void (async () => {
        for (let at = 0; at < bytes.length; at += step) {
          plain.write(bytes.subarray(at, at + step));
          await new Promise((resolve) => setImmediate(resolve));
        }
        done();
      })();
    },
    final(done) {
      plain.end(done);
    },
  });
  plain.on('data', (data) => duplex.push(data));
  plain.on('end', () => duplex.push(null));
  plain.on('error', (error) => duplex.destroy(error));
  return duplex;
}
