import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as tlsConnect, createSecureContext, TLSSocket } from 'node:tls';
import {
  Address,
  type Connection,
  type ConnectionCloseKind,
  type ConnectionInfo,
  type Logger,
  silentLogger,
  systemClock,
  type TransportEvents,
  type TransportOptions,
  type UpstreamTransportSocket,
} from '@dragoman/core';
import { eventually, TestAuthority, within } from '@dragoman/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { Dispatcher, ReadBuffers, SocketConnector } from '../src/index.ts';

const certificate = TestAuthority.root().issue({ san: [{ dns: 'a.test' }] });
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** As a class, which has its state in `this`. */
class Tls implements UpstreamTransportSocket {
  readonly name = 'tls';
  readonly secure = true;
  readonly serverName = 'a.test';

  wrap(
    socket: unknown,
    info: ConnectionInfo,
    _: TransportOptions | undefined,
    events: TransportEvents,
  ): TLSSocket {
    const tls = tlsConnect({
      socket: socket as Socket,
      rejectUnauthorized: false,
      servername: this.serverName,
    });
    let ready = false;
    tls.once('secureConnect', () => {
      ready = true;
      events.onReady();
    });
    tls.on('error', (error) => {
      if (!ready) {
        events.onFailed('no handshake');
        return;
      }
      info.transportFailureReason = 'in its own words';
      // Node leaves a socket open on which TLS has failed.
      tls.destroy(error);
    });
    return tls;
  }
}

interface Scene {
  readonly connection: Connection;
  readonly peer: Socket;
  readonly outcome: { connected: boolean; closed: string | undefined };
}

async function open(
  transportSocket: UpstreamTransportSocket | undefined,
  logger: Logger = silentLogger,
  path?: string,
  atOnce?: (connection: Connection) => void,
  onEnd: () => void = () => {},
): Promise<Scene> {
  const server: Server = createServer({ allowHalfOpen: true });
  if (path === undefined) server.listen(0, '127.0.0.1');
  else server.listen(path);
  await once(server, 'listening');
  cleanups.push(() => server.close());
  const accepted = once(server, 'connection');
  const connector = new SocketConnector({
    clock: systemClock,
    logger,
    dispatcher: new Dispatcher(systemClock),
    buffers: new ReadBuffers(),
  });
  const address =
    path === undefined
      ? Address.ip('127.0.0.1', (server.address() as { port: number }).port)
      : Address.pipe(path);
  const outcome: Scene['outcome'] = { connected: false, closed: undefined };
  const connection = connector.connect(
    { address, bufferLimitBytes: 65_536, transportSocket },
    {
      onConnected() {
        outcome.connected = true;
      },
      onData() {},
      onEnd,
      onWritable() {},
      onClose(kind: ConnectionCloseKind, reason) {
        outcome.closed = `${kind}: ${reason}`;
      },
    },
  );
  atOnce?.(connection);
  const [peer] = (await within(accepted, 'the other end')) as [Socket];
  peer.on('error', () => {});
  cleanups.push(
    () => peer.destroy(),
    () => connection.close('now'),
  );
  return { connection, peer, outcome };
}

function secure(peer: Socket): TLSSocket {
  const tls = new TLSSocket(peer, {
    isServer: true,
    secureContext: createSecureContext({ cert: certificate.pem, key: certificate.keyPem }),
  });
  tls.on('error', () => {});
  return tls;
}

describe('a transport', () => {
  it('is called as a method', async () => {
    const { peer, outcome } = await open(new Tls());
    secure(peer);
    await eventually(() => outcome.connected);
  });

  it('gets what was written before it was there', async () => {
    const { connection, peer } = await open(new Tls(), silentLogger, undefined, (early) =>
      early.writeText('early'),
    );
    let received = '';
    secure(peer).on('data', (data) => {
      received += data.toString('latin1');
    });
    connection.writeBody(Buffer.from(' and a little later'), false);
    await eventually(() => received === 'early and a little later');
  });

  it('that throws costs its connection, whose handler hears of it', async () => {
    const lines: string[] = [];
    const { outcome } = await open(
      {
        name: 'broken',
        secure: true,
        wrap() {
          throw new Error('a bug');
        },
      },
      { ...silentLogger, error: (line) => lines.push(line) },
    );
    await eventually(() => outcome.closed !== undefined);
    expect(outcome).toEqual({ connected: false, closed: 'local: internal_error' });
    expect(lines[0]).toContain('a bug');
  });

  it('hears of the peer’s end, and its handler does not, while there is no handshake yet', async () => {
    let ends = 0;
    const { peer, outcome } = await open(new Tls(), silentLogger, undefined, undefined, () => ends++);
    peer.end();
    await eventually(() => outcome.closed !== undefined);
    expect([outcome.closed, ends]).toEqual(['remote: no handshake', 0]);
  });

  it('tells in its own words why a connection ends that was up', async () => {
    const { peer, outcome } = await open(new Tls());
    secure(peer);
    await eventually(() => outcome.connected);
    peer.write('no record of TLS');
    await eventually(() => outcome.closed !== undefined);
    expect(outcome.closed).toBe('remote: in its own words');
  });
});

describe('close with a reset', () => {
  it('resets the connection below TLS', async () => {
    const { connection, peer, outcome } = await open(new Tls());
    const tls = secure(peer);
    connection.writeText('up');
    await within(once(tls, 'data'), 'bytes');
    // Not in the middle of the server's read: a RST that a write meets is no error of the next read.
    await new Promise((resolve) => setImmediate(resolve));
    const error = within(once(tls, '_tlsError'), 'the reset');
    connection.close('reset', 'because');
    expect(((await error) as [NodeJS.ErrnoException])[0].code).toBe('ECONNRESET');
    await eventually(() => outcome.closed === 'local: because');
  });

  it('closes a Unix socket, which knows no reset', async () => {
    const path = join(mkdtempSync(join(tmpdir(), 'dragoman-')), 'socket');
    const { connection, peer, outcome } = await open(undefined, silentLogger, path);
    await eventually(() => outcome.connected);
    peer.resume();
    const ended = within(once(peer, 'end'), 'the end');
    connection.close('reset');
    await ended;
    await eventually(() => outcome.closed === 'local: ');
  });
});
