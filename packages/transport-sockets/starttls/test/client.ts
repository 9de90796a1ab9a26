import { Duplex } from 'node:stream';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import { RawConnection, within } from '@dragoman/testing';
import { authority } from './fake-tls.ts';

/** A client of the dialogue. */
export class Client {
  readonly raw: RawConnection;
  readonly socket: Socket;

  constructor(socket: Socket) {
    socket.on('error', () => {});
    this.socket = socket;
    this.raw = new RawConnection(socket);
  }

  static to(port: number): Client {
    return new Client(connect({ port, host: '127.0.0.1', allowHalfOpen: true }));
  }

  line(): Promise<string> {
    return this.raw.readUntil('\n');
  }

  async ask(text: string): Promise<string> {
    await this.raw.write(text);
    return await this.line();
  }

  /** The same connection inside TLS. */
  async secured(options: { readonly slow?: boolean; readonly ca?: string } = {}): Promise<Client> {
    const { slow = false, ca = authority } = options;
    this.socket.removeAllListeners('data');
    const socket = slow ? byteByByte(this.socket) : this.socket;
    const tls = tlsConnect({ socket, ca, servername: 'a.test' });
    await within(once(tls, 'secureConnect'), 'the handshake');
    return new Client(tls);
  }
}

/** Writes one byte after the other. */
function byteByByte(socket: Socket): Duplex {
  const slow = new Duplex({
    read: () => {},
    write(chunk: Buffer, _, done) {
      let at = 0;
      const next = (error?: Error | null): void => {
        if (error || at === chunk.length) done(error);
        else socket.write(chunk.subarray(at, ++at), (failed) => setImmediate(next, failed));
      };
      next();
    },
  });
  socket.on('data', (data) => slow.push(data));
  socket.on('end', () => slow.push(null));
  return slow;
}
