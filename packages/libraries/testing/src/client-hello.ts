import { Duplex } from 'node:stream';
import { connect, type ConnectionOptions } from 'node:tls';

/** The first bytes that Node's TLS client sends with these options: a ClientHello, in one record. */
export function realClientHello(options: ConnectionOptions): Promise<Buffer> {
  return new Promise((resolve) => {
    const socket = new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, done) {
        done();
        resolve(chunk);
        setImmediate(() => socket.destroy());
      },
    });
    connect({ ...options, socket }).on('error', () => {});
  });
}
