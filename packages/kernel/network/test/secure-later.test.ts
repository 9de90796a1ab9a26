import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { connect as tlsConnect, createSecureContext, TLSSocket } from 'node:tls';
import {
  Address,
  type Connection,
  type ConnectionCloseKind,
  silentLogger,
  systemClock,
  type UpstreamTransportSocket,
} from '@dragoman/core';
import { eventually, TestAuthority, within } from '@dragoman/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { Dispatcher, ReadBuffers, SocketConnector } from '../src/index.ts';

const LIMIT = 64 * 1024;
const root = TestAuthority.root();
const certificate = root.issue({ san: [{ dns: 'a.test' }] });

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const starttls: UpstreamTransportSocket = {
  name: 'starttls',
  secure: false,
  wrapLater(socket, _info, _options, events) {
    const tls = tlsConnect({ socket: socket as Socket, ca: root.pem, servername: 'a.test' });
    tls.once('secureConnect', () => events.onReady());
    tls.on('error', (error) => events.onFailed(error.message));
    return tls;
  },
};

/** An upstream connection, and the plain socket at its other end. */
class Scene {
  received = '';
  writable = 0;
  closed: string | undefined = undefined;
  connection!: Connection;
  peer!: Socket;

  static async open(transportSocket = starttls): Promise<Scene> {
    const scene = new Scene();
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    cleanups.push(() => server.close());
    const accepted = once(server, 'connection');
    const connector = new SocketConnector({
      clock: systemClock,
      logger: silentLogger,
      dispatcher: new Dispatcher(systemClock),
      buffers: new ReadBuffers(),
    });
    const { port } = server.address() as { port: number };
    const connected = new Promise<void>((resolve) => {
      scene.connection = connector.connect(
        { address: Address.ip('127.0.0.1', port), bufferLimitBytes: LIMIT, transportSocket },
        {
          onConnected: () => resolve(),
          onData(data) {
            scene.received += data.toString('latin1');
          },
          onEnd() {},
          onWritable() {
            scene.writable++;
          },
          onClose(kind: ConnectionCloseKind, reason) {
            scene.closed = `${kind}: ${reason}`;
          },
        },
      );
    });
    await within(connected, 'the connection');
    const [peer] = (await within(accepted, 'the other end')) as [Socket];
    peer.on('error', () => {});
    scene.peer = peer;
    cleanups.push(
      () => peer.destroy(),
      () => scene.connection.close('now'),
    );
    return scene;
  }

  /** Reads plain bytes at the other end. */
  async readPlain(length: number): Promise<string> {
    const { peer } = this;
    let text = '';
    while (text.length < length) {
      const chunk = peer.read(Math.min(length - text.length, peer.readableLength)) as Buffer | null;
      if (chunk === null || chunk.length === 0) await within(once(peer, 'readable'), 'plain bytes');
      else text += chunk.toString('latin1');
    }
    return text;
  }

  /** The other end turns. */
  turn(): TLSSocket {
    this.peer.removeAllListeners('readable');
    const tls = new TLSSocket(this.peer, {
      isServer: true,
      secureContext: createSecureContext({ cert: certificate.pem, key: certificate.keyPem }),
    });
    tls.on('error', () => {});
    return tls;
  }
}

async function readAll(socket: Socket, length: number): Promise<string> {
  let text = '';
  await within(
    new Promise<void>((resolve) => {
      socket.on('data', (data) => {
        text += data.toString('latin1');
        if (text.length >= length) resolve();
      });
    }),
    `${length} bytes`,
  );
  return text;
}

describe('startSecureTransport', () => {
  it('lets what was written before go first, however long that takes', async () => {
    const scene = await Scene.open();
    const { connection } = scene;
    const plain = 'p'.repeat(8 * 1024 * 1024);
    connection.writeBody(Buffer.from(plain), false);
    expect(connection.bufferedBytes).toBeGreaterThan(0);
    expect(connection.startSecureTransport?.()).toBe(true);
    connection.writeText('secret');
    // Nobody reads in the clear what belongs into TLS.
    connection.pauseReading();
    connection.resumeReading();
    expect(await scene.readPlain(plain.length)).toBe(plain);
    const tls = scene.turn();
    expect(await readAll(tls, 6)).toBe('secret');
    tls.write('answer');
    await eventually(() => scene.received === 'answer');
    expect(scene.closed).toBeUndefined();
  });

  it('keeps what is written until the handshake, and says when there is room again', async () => {
    const scene = await Scene.open();
    const { connection } = scene;
    expect(connection.startSecureTransport?.()).toBe(true);
    // The handshake has begun: the transport keeps it.
    const body = Buffer.alloc(LIMIT + 1, 'b');
    expect(connection.writeBody(body, false)).toBe(false);
    expect(connection.aboveHighWatermark).toBe(true);
    expect(scene.writable).toBe(0);
    const tls = scene.turn();
    expect(await readAll(tls, body.length)).toBe(body.toString());
    await eventually(() => scene.writable === 1);
  });

  it('stops writers while what was written before is on its way', async () => {
    const scene = await Scene.open();
    const { connection } = scene;
    const plain = Buffer.alloc(8 * 1024 * 1024, 'p');
    expect(connection.writeBody(plain, false)).toBe(false);
    connection.startSecureTransport?.();
    const body = Buffer.alloc(LIMIT + 1, 'b');
    expect(connection.writeBody(body, true)).toBe(false);
    // It was taken whatever was said of holding it.
    const text = body.toString();
    body.fill('x');
    connection.end();
    expect(await scene.readPlain(plain.length)).toBe(plain.toString());
    expect(scene.writable).toBe(0);
    const tls = scene.turn();
    expect(await readAll(tls, text.length)).toBe(text);
    await eventually(() => scene.writable === 1);
    await eventually(() => tls.readableEnded);
  });

  it('sends nothing in the clear when the connection is closed in the middle', async () => {
    const scene = await Scene.open();
    const { connection } = scene;
    const plain = 'p'.repeat(8 * 1024 * 1024);
    connection.writeBody(Buffer.from(plain), false);
    connection.startSecureTransport?.();
    connection.writeText('secret');
    connection.writeBody(Buffer.alloc(100_000, 's'), false);
    connection.close('flush');
    expect(await scene.readPlain(plain.length)).toBe(plain);
    const ended = once(scene.peer, 'end');
    scene.peer.removeAllListeners('readable');
    let rest = '';
    scene.peer.on('data', (data) => {
      rest += data.toString('latin1');
    });
    await within(ended, 'the end');
    expect(rest).toBe('');
    await eventually(() => scene.closed === 'local: ');
  });

  it('closes the connection when the handshake fails', async () => {
    const scene = await Scene.open();
    scene.connection.startSecureTransport?.();
    await within(once(scene.peer, 'readable'), 'the hello');
    scene.peer.end('no TLS here\n');
    await eventually(() => scene.closed !== undefined);
    expect(scene.closed).toMatch(/^remote: .*(wrong version number|WRONG_VERSION|packet length)/i);
    expect(scene.connection.info.transportFailureReason).not.toBe('');
  });

  it('says no where there is nothing to begin, or it has begun, or it is too late', async () => {
    const plain = await Scene.open({ name: 'raw_buffer', secure: false });
    expect(plain.connection.startSecureTransport?.()).toBe(false);
    const { connection } = await Scene.open();
    expect(connection.startSecureTransport?.()).toBe(true);
    expect(connection.startSecureTransport?.()).toBe(false);
    const late = await Scene.open();
    late.connection.close('now');
    expect(late.connection.startSecureTransport?.()).toBe(false);
  });
});
