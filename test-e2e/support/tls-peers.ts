import { connect as connectPlain, type AddressInfo, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { connect, createServer, type Server, type TLSSocket } from 'node:tls';
import { within } from '@dragoman/testing';

/** TLS without certificates: both sides know a key. The handshake, its names and protocols are those of any other. */
const KEY = Buffer.alloc(16, 7);

/** A TLS server that says who was asked for, and sends back what comes after that. */
export class TlsEcho {
  readonly port: number;
  private readonly server: Server;
  private readonly sockets = new Set<TLSSocket>();

  private constructor(server: Server) {
    this.server = server;
    this.port = (server.address() as AddressInfo).port;
    server.on('secureConnection', (socket) => {
      this.sockets.add(socket);
      socket.once('close', () => this.sockets.delete(socket));
    });
  }

  /** @param name what it answers with, before the server name and the protocol that were agreed on */
  static async start(name: string, protocols: readonly string[] = []): Promise<TlsEcho> {
    const server = createServer(
      { pskCallback: () => KEY, ciphers: 'PSK', ALPNProtocols: [...protocols] },
      (socket) => {
        socket.on('error', () => {});
        const { servername } = socket as TLSSocket & { readonly servername: string | false };
        socket.write(`${name} ${servername || '-'} ${socket.alpnProtocol || '-'}\n`);
        socket.pipe(socket);
      },
    );
    server.on('tlsClientError', () => {});
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new TlsEcho(server);
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

export interface TlsClientOptions {
  readonly port: number;
  /** Undefined: no SNI. */
  readonly serverName?: string | undefined;
  readonly protocols?: readonly string[] | undefined;
  /** Sent before the ClientHello. */
  readonly before?: Buffer | string | undefined;
  /** Whether the ClientHello goes out byte by byte. */
  readonly bytewise?: boolean | undefined;
}

/** What the server says first, and `message`, which it has to send back. */
export async function askOverTls(options: TlsClientOptions, message: string): Promise<string> {
  const plain = connectPlain({ port: options.port, host: '127.0.0.1', noDelay: true });
  plain.on('error', () => {});
  const client = connect({
    socket: new SlowStart(plain, options),
    ciphers: 'PSK',
    pskCallback: () => ({ psk: KEY, identity: 'test' }),
    checkServerIdentity: () => undefined,
    ...(options.serverName === undefined ? {} : { servername: options.serverName }),
    ...(options.protocols === undefined ? {} : { ALPNProtocols: [...options.protocols] }),
  });
  try {
    return await within(
      new Promise<string>((resolve, reject) => {
        let text = '';
        client.on('error', reject);
        client.on('data', (chunk: Buffer) => {
          text += chunk.toString('latin1');
          if (text.includes(message)) resolve(text);
        });
        client.on('close', () => reject(new Error(`closed after ${JSON.stringify(text)}`)));
        client.write(message);
      }),
      'the answer over TLS',
    );
  } finally {
    client.destroy();
    plain.destroy();
  }
}

/** A socket whose first write, the ClientHello, comes after other bytes or in pieces. */
class SlowStart extends Duplex {
  private readonly socket: Socket;
  private readonly options: TlsClientOptions;
  private started = false;

  constructor(socket: Socket, options: TlsClientOptions) {
    super();
    this.socket = socket;
    this.options = options;
    socket.on('data', (chunk: Buffer) => this.push(chunk));
    socket.on('end', () => this.push(null));
    socket.on('close', () => this.destroy());
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    const first = !this.started;
    this.started = true;
    if (!first) this.socket.write(chunk, () => done());
    else void this.begin(chunk).then(done);
  }

  private async begin(hello: Buffer): Promise<void> {
    const { before = '', bytewise = false } = this.options;
    const bytes = Buffer.concat([Buffer.from(before as string, 'latin1'), hello]);
    const step = bytewise ? 1 : bytes.length;
    for (let at = 0; at < bytes.length; at += step) {
      const piece = bytes.subarray(at, at + step);
      await new Promise<void>((resolve) => this.socket.write(piece, () => resolve()));
    }
  }
}
