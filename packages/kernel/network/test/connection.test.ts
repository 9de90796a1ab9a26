import { connect as netConnect, createServer, type Socket } from 'node:net';
import { spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Address, type ConnectionHandler, silentLogger, systemClock } from '@dragoman/core';
import { FakeClock } from '@dragoman/testing';
import { afterEach, describe, expect, it } from 'vitest';
import {
  BULK_READ_BYTES,
  Dispatcher,
  type NetworkContext,
  ReadBuffers,
  type SocketConnection,
  SocketConnector,
  TcpListener,
} from '../src/index.ts';

const context: NetworkContext = {
  clock: systemClock,
  logger: silentLogger,
  dispatcher: new Dispatcher(systemClock),
  buffers: new ReadBuffers(),
};

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Records what a connection's handler was told, and wakes whoever waits for it. */
class Recorder implements ConnectionHandler {
  connection!: SocketConnection;
  received = '';
  total = 0;
  ended = false;
  closed: string | undefined;
  writable = 0;
  onDataHook: ((data: Buffer) => void) | undefined;
  private wake: (() => void)[] = [];
  keep = true;

  onData(data: Buffer): void {
    this.total += data.length;
    if (this.keep) this.received += data.toString('latin1');
    this.onDataHook?.(data);
    this.notify();
  }
  onEnd(): void {
    this.ended = true;
    this.notify();
  }
  onWritable(): void {
    this.writable++;
    this.notify();
  }
  onClose(kind: string, reason: string): void {
    this.closed = `${kind}:${reason}`;
    this.notify();
  }
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.wake.push(resolve));
  }
  private notify(): void {
    for (const wake of this.wake.splice(0)) wake();
  }
}

async function listen(
  address = Address.ip('127.0.0.1', 0),
  limit = 1024 * 1024,
  around: NetworkContext = context,
): Promise<{ listener: TcpListener; next: () => Promise<Recorder> }> {
  const accepted: Recorder[] = [];
  const waiting: ((recorder: Recorder) => void)[] = [];
  const listener = await TcpListener.listen(
    {
      address,
      backlog: 128,
      reusePort: false,
      ipv6Only: false,
      mode: undefined,
      keepAlive: undefined,
      bufferLimitBytes: limit,
      delayedCloseMs: 1000,
      stats: undefined,
    },
    around,
    {
      onAccept(connection) {
        const recorder = new Recorder();
        recorder.connection = connection;
        cleanups.push(() => connection.close('now'));
        const waiter = waiting.shift();
        if (waiter === undefined) accepted.push(recorder);
        else waiter(recorder);
        return recorder;
      },
      onAcceptError(error) {
        throw error;
      },
    },
  );
  cleanups.push(() => listener.close());
  const next = async (): Promise<Recorder> =>
    accepted.shift() ?? (await new Promise<Recorder>((resolve) => waiting.push(resolve)));
  return { listener, next };
}

async function dial(address: Address): Promise<Socket> {
  const socket =
    address.family === 'pipe'
      ? netConnect({ path: address.path.replace(/^@/, '\0'), allowHalfOpen: true })
      : netConnect({ host: address.ip, port: address.port, allowHalfOpen: true });
  socket.on('error', () => {});
  cleanups.push(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

describe('a listener', () => {
  it('accepts past Node’s server, so that reads go into our buffers', async () => {
    const { listener, next } = await listen();
    const client = await dial(listener.address);
    client.write('hello');
    const server = await next();
    await server.until(() => server.received === 'hello');
    expect(listener.accepted).toEqual({ direct: 1, viaServer: 0 });
    expect(server.connection.info.remoteAddress.port).toBe(client.localPort);
    expect(server.connection.info.localAddress.text).toBe(listener.address.text);
  });

  it.each([
    ['a path', () => join(mkdtempSync(join(tmpdir(), 'dragoman-')), 'x.sock')],
    ['an abstract name', () => `@dragoman-test-${process.pid}-${Math.random()}`],
  ])('serves a Unix socket at %s', async (_name, path) => {
    const { listener, next } = await listen(Address.pipe(path()));
    const client = await dial(listener.address);
    client.write('x');
    const server = await next();
    await server.until(() => server.received === 'x');
    server.connection.writeText('y');
    const [answer] = await once(client, 'data');
    expect(String(answer)).toBe('y');
  });

  it('takes the place of a Unix socket that nobody serves, not of one that is served', async () => {
    const path = join(mkdtempSync(join(tmpdir(), 'dragoman-')), 'x.sock');
    const child = spawnSync(process.execPath, [
      '-e',
      `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`,
    ]);
    expect(child.signal).toBe('SIGKILL');
    const { listener } = await listen(Address.pipe(path));
    await expect(listen(Address.pipe(path))).rejects.toMatchObject({ code: 'EADDRINUSE' });
    expect(listener.address.text).toBe(path);
  });

  it.each([
    ['0.0.0.0', '127.0.0.1', '127.0.0.1'],
    ['0.0.0.0', '127.0.0.2', '127.0.0.2'],
    ['::', '::1', '::1'],
    ['::', '127.0.0.1', '127.0.0.1'],
    ['::1', '::1', '::1'],
  ])('on %s tells which address %s was dialled', async (bound, dialled, seen) => {
    const { listener, next } = await listen(Address.ip(bound, 0));
    const { port } = listener.address;
    const client = await dial(Address.ip(dialled, port));
    const { info } = (await next()).connection;
    expect(info.localAddress).toEqual(Address.ip(seen, port));
    expect(info.remoteAddress).toEqual(Address.ip(client.localAddress as string, client.localPort as number));
    expect(info.directRemoteAddress).toBe(info.remoteAddress);
  });

  it('rejects a port that is taken with EADDRINUSE', async () => {
    const { listener } = await listen();
    await expect(listen(listener.address)).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });
});

describe('a connection', () => {
  it('sends what one event writes in one piece, in order', async () => {
    const { listener, next } = await listen();
    const client = await dial(listener.address);
    const server = await next();
    server.onDataHook = () => {
      server.connection.writeText('head ');
      server.connection.writeBody(Buffer.from('body '), false);
      server.connection.writeText('tail');
    };
    client.write('go');
    const [answer] = await once(client, 'data');
    expect(String(answer)).toBe('head body tail');
  });

  it('copies a chunk that cannot be held', async () => {
    const { listener, next } = await listen();
    const client = await dial(listener.address);
    const server = await next();
    const chunk = Buffer.alloc(100_000, 'a');
    server.connection.writeBody(chunk, false);
    chunk.fill('b');
    let got = '';
    client.on('data', (data) => {
      got += String(data);
    });
    server.connection.end();
    await once(client, 'end');
    expect(got).toBe('a'.repeat(100_000));
  });

  it('says stop while the peer does not read, and writable when all has gone', async () => {
    const { listener, next } = await listen();
    const client = await dial(listener.address);
    client.pause();
    const server = await next();
    const chunk = Buffer.alloc(256 * 1024, 'x');
    let sent = 0;
    while (server.connection.writeBody(chunk, true)) sent += chunk.length;
    sent += chunk.length;
    expect(server.writable).toBe(0);
    expect(server.connection.bufferedBytes).toBeLessThanOrEqual(chunk.length);
    let got = 0;
    client.on('data', (data) => {
      got += data.length;
    });
    client.resume();
    await server.until(() => server.writable === 1);
    server.connection.end();
    await once(client, 'end');
    expect(got).toBe(sent);
  });

  it.each(['now', 'reset'] as const)('has nothing left to send once it is closed: %s', async (mode) => {
    const { listener, next } = await listen();
    const client = await dial(listener.address);
    client.on('error', () => {});
    client.pause();
    const { connection } = await next();
    const chunk = Buffer.alloc(256 * 1024, 'x');
    while (connection.writeBody(chunk, true));
    connection.writeText('behind it');
    expect(connection.bufferedBytes).toBeGreaterThan(0);
    connection.close(mode);
    expect(connection.bufferedBytes).toBe(0);
  });

  it('holds a bulk chunk until it is released, and reads nothing meanwhile', async () => {
    const { listener, next } = await listen();
    const client = await dial(listener.address);
    const server = await next();
    server.keep = false;
    server.connection.setBulk(true);
    let heldChunk: Buffer | undefined;
    let copy = '';
    let reads = 0;
    server.onDataHook = (data) => {
      reads++;
      // The first read still goes into the shared buffer, which nobody may hold.
      if (reads === 1) {
        expect(server.connection.hold()).toBe(false);
        return;
      }
      if (heldChunk !== undefined) return;
      expect(server.connection.hold()).toBe(true);
      heldChunk = data;
      copy = data.toString('latin1');
    };
    client.write('first');
    await server.until(() => reads === 1);
    const total = 4 * BULK_READ_BYTES;
    client.write(Buffer.alloc(total, 'z'));
    client.end();
    await server.until(() => heldChunk !== undefined);
    await new Promise((resolve) => setImmediate(resolve));
    expect(reads).toBe(2);
    expect((heldChunk as unknown as Buffer).toString('latin1')).toBe(copy);
    server.connection.release();
    await server.until(() => server.total === total + 5 && server.ended);
  });

  it('does not lend a buffer to others while a chunk in it is still held', async () => {
    const { listener, next } = await listen();
    const client = await dial(listener.address);
    const server = await next();
    server.keep = false;
    server.connection.setBulk(true);
    let held: Buffer | undefined;
    let reads = 0;
    server.onDataHook = (data) => {
      if (++reads === 2 && server.connection.hold()) held = data;
    };
    client.write('first');
    await server.until(() => reads === 1);
    client.write(Buffer.alloc(1000, 'h'));
    await server.until(() => held !== undefined);
    server.connection.close('now');
    await server.until(() => server.closed !== undefined);
    const { buffer } = held as unknown as Buffer;
    const taken = Array.from({ length: 20 }, () => context.buffers.takeBulk());
    expect(taken.some((other) => other.buffer === buffer)).toBe(false);
  });

  it('reads on into another buffer when a held one is given up', async () => {
    const { listener, next } = await listen();
    const client = await dial(listener.address);
    const server = await next();
    server.keep = false;
    server.connection.setBulk(true);
    let kept: Buffer | undefined;
    let reads = 0;
    server.onDataHook = (data) => {
      if (++reads !== 2 || !server.connection.hold()) return;
      kept = data;
      server.connection.release(false);
    };
    client.write('first');
    await server.until(() => reads === 1);
    client.write(Buffer.alloc(1000, 'k'));
    await server.until(() => kept !== undefined);
    client.write(Buffer.alloc(4 * BULK_READ_BYTES, 'z'));
    await server.until(() => server.total === 5 + 1000 + 4 * BULK_READ_BYTES);
    expect((kept as unknown as Buffer).toString('latin1')).toBe('k'.repeat(1000));
    const { buffer } = kept as unknown as Buffer;
    server.connection.close('now');
    await server.until(() => server.closed !== undefined);
    const taken = Array.from({ length: 20 }, () => context.buffers.takeBulk());
    expect(taken.some((other) => other.buffer === buffer)).toBe(false);
  });

  it('stops and resumes reading as often as it was asked', async () => {
    const { listener, next } = await listen();
    const client = await dial(listener.address);
    const server = await next();
    server.connection.pauseReading();
    server.connection.pauseReading();
    client.write('x');
    server.connection.resumeReading();
    await new Promise((resolve) => setImmediate(resolve));
    expect(server.total).toBe(0);
    server.connection.resumeReading();
    await server.until(() => server.total === 1);
  });

  it('can be written to after the peer has ended its side', async () => {
    const { listener, next } = await listen();
    const client = await dial(listener.address);
    client.end('bye');
    const server = await next();
    await server.until(() => server.ended);
    server.connection.writeText('still here');
    server.connection.close('flush');
    const [answer] = await once(client, 'data');
    expect(String(answer)).toBe('still here');
    await server.until(() => server.closed !== undefined);
    expect(server.closed).toBe('local:');
  });

  it.each([10, 200_000])('closes after %i bytes without the peer’s doing (flush)', async (bytes) => {
    const { listener, next } = await listen();
    const client = await dial(listener.address);
    let got = 0;
    client.on('data', (data) => {
      got += data.length;
    });
    const server = await next();
    server.connection.run(() => {
      server.connection.writeBody(Buffer.alloc(bytes), false);
      server.connection.close('flush', 'test');
    });
    await Promise.all([once(client, 'end'), server.until(() => server.closed !== undefined)]);
    expect(got).toBe(bytes);
    expect(server.closed).toBe('local:test');
    // The client has not ended its side: nobody waited for it.
    expect(client.writable).toBe(true);
  });

  it('is told nothing by its socket once that has closed', async () => {
    const { listener, next } = await listen();
    await dial(listener.address);
    const { connection, until } = await next().then((server) => ({
      connection: server.connection,
      until: () => server.until(() => server.closed !== undefined),
    }));
    connection.close('now');
    await until();
    expect(connection.link.nextBuffer()).toBeUndefined();
    expect(connection.link.onRead(1, context.buffers.shared)).toBe(true);
    expect(connection.bytesRead).toBe(0);
  });

  it('lets the peer read the answer although it still sends (flush-and-wait)', async () => {
    const { listener, next } = await listen();
    const client = await dial(listener.address);
    const server = await next();
    client.write('a');
    await server.until(() => server.total > 0);
    server.connection.writeText('no');
    server.connection.close('flush-and-wait', 'test');
    client.write(Buffer.alloc(100_000));
    const [answer] = await once(client, 'data');
    expect(String(answer)).toBe('no');
    client.end();
    await server.until(() => server.closed !== undefined);
    expect(server.closed).toBe('local:test');
  });

  it('waits for a slow peer as long as it reads, and not when it stops', async () => {
    const clock = new FakeClock();
    const { listener, next } = await listen(Address.ip('127.0.0.1', 0), 1024 * 1024, { ...context, clock });
    const client = await dial(listener.address);
    client.pause();
    const server = await next();
    server.connection.writeBody(Buffer.alloc(64 * 1024 * 1024), true);
    server.connection.close('flush');
    const queued = (): number => (server.connection as unknown as { queuedBytes: number }).queuedBytes;
    let got = 0;
    const drink = async (bytes: number): Promise<void> => {
      const goal = got + bytes;
      client.resume();
      while (got < goal) got += ((await once(client, 'data')) as [Buffer])[0].length;
      client.pause();
    };
    for (let i = 0; i < 3; i++) {
      const before = queued();
      await drink(8 * 1024 * 1024);
      // The kernel tells Node of the room a moment later.
      while (queued() === before) await new Promise((resolve) => setImmediate(resolve));
      clock.advance(1000);
      expect(server.closed).toBeUndefined();
    }
    clock.advance(1000);
    await server.until(() => server.closed !== undefined);
    expect(server.closed).toBe('local:delayed_close_timeout');
  });

  it('with a delayed close of 0 writes all that is pending, however slow the peer', async () => {
    const { listener, next } = await listen();
    const client = await dial(listener.address);
    client.pause();
    const server = await next();
    server.connection.delayedCloseMs = 0;
    const total = 8 * 1024 * 1024;
    server.connection.writeBody(Buffer.alloc(total), true);
    server.connection.close('flush-and-wait');
    let got = 0;
    client.on('data', (data) => {
      got += data.length;
    });
    client.resume();
    await once(client, 'end');
    expect(got).toBe(total);
    await server.until(() => server.closed !== undefined);
    expect(server.closed).toBe('local:');
  });

  it('tells a reset from an end', async () => {
    const { listener, next } = await listen();
    const client = await dial(listener.address);
    const server = await next();
    client.resetAndDestroy();
    await server.until(() => server.closed !== undefined);
    expect(server.closed).toBe('remote:Connection reset by peer');
  });

  it('closes only itself when its handler has a bug', async () => {
    const { listener, next } = await listen();
    const client = await dial(listener.address);
    const server = await next();
    server.onDataHook = () => {
      throw new Error('bug');
    };
    client.write('x');
    await server.until(() => server.closed !== undefined);
    expect(server.closed).toBe('local:internal_error');
    const other = await dial(listener.address);
    other.write('y');
    const second = await next();
    await second.until(() => second.received === 'y');
  });
});

describe('a connector', () => {
  it('connects, and says which local address the kernel chose', async () => {
    const server = createServer((socket) => socket.pipe(socket));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    cleanups.push(() => server.close());
    const port = (server.address() as { port: number }).port;
    const recorder = new Recorder();
    let connected = false;
    const connection = new SocketConnector(context).connect(
      { address: Address.ip('127.0.0.1', port), bufferLimitBytes: 1 << 20 },
      Object.assign(recorder, {
        onConnected() {
          connected = true;
          connection.writeText('echo');
        },
      }),
    );
    cleanups.push(() => connection.close('now'));
    await recorder.until(() => recorder.received === 'echo');
    expect(connected).toBe(true);
    expect(connection.info.localAddress.port).toBeGreaterThan(0);
  });

  it('names the reason of a refused connection', async () => {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const port = (server.address() as { port: number }).port;
    server.close();
    await once(server, 'close');
    const recorder = Object.assign(new Recorder(), { onConnected() {} });
    new SocketConnector(context).connect(
      { address: Address.ip('127.0.0.1', port), bufferLimitBytes: 1 << 20 },
      recorder,
    );
    await recorder.until(() => recorder.closed !== undefined);
    expect(recorder.closed).toBe('remote:Connection refused');
  });
});
