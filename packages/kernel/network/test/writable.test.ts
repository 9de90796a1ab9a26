import { Duplex } from 'node:stream';
import type { Socket } from 'node:net';
import { Address, type ConnectionHandler, silentLogger, systemClock } from '@dragoman/core';
import { expect, it } from 'vitest';
import { SocketConnectionInfo } from '../src/connection-info.ts';
import { Dispatcher, ReadBuffers, SocketConnection } from '../src/index.ts';

/** A socket whose kernel takes a write when the test says so. */
class SlowSocket extends Duplex {
  taken: (() => void)[] = [];
  override _read(): void {}
  override _write(_chunk: Buffer, _encoding: string, done: () => void): void {
    this.taken.push(done);
  }
  override _writev(_chunks: unknown, done: () => void): void {
    this.taken.push(done);
  }
}

it('says that bytes have left only when those of the latest write have', async () => {
  const socket = new SlowSocket();
  let writable = 0;
  const handler: ConnectionHandler = {
    onData() {},
    onEnd() {},
    onClose() {},
    onWritable: () => void writable++,
  };
  const here = Address.ip('127.0.0.1', 1);
  const connection = new SocketConnection(
    new SocketConnectionInfo(here, here, 0),
    {
      clock: systemClock,
      logger: silentLogger,
      dispatcher: new Dispatcher(systemClock),
      buffers: new ReadBuffers(),
    },
    { bufferLimitBytes: 1 << 20, stats: undefined, delayedCloseMs: 1000 },
    handler,
  );
  connection.attach(socket as unknown as Socket, false);
  const large = Buffer.alloc(10_000);
  const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  // The last chunk of a response waits …
  expect(connection.writeBody(large, true)).toBe(false);
  // … and the head of the next one behind it.
  connection.writeText('head');
  connection.flush();
  socket.taken.shift()?.();
  await tick();
  expect(connection.writeBody(large, true)).toBe(false);
  while (connection.bufferedBytes > 0) {
    expect(writable).toBe(0);
    socket.taken.shift()?.();
    await tick();
  }
  while (socket.taken.length > 0) {
    socket.taken.shift()?.();
    await tick();
  }
  expect(writable).toBe(1);
});
