import { once } from 'node:events';
import { existsSync, linkSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, expect, it } from 'vitest';
import { removeStaleSocket } from '../src/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'dragoman-'));
afterAll(() => rmSync(folder, { recursive: true }));

it('removes the file of a socket on which nobody listens', async () => {
  const path = join(folder, 'stale');
  const server = createServer().listen(join(folder, 'first'));
  await once(server, 'listening');
  linkSync(join(folder, 'first'), path);
  // Removes its own name, not the other.
  server.close();
  await once(server, 'close');
  expect(existsSync(path)).toBe(true);
  await removeStaleSocket(path);
  expect(existsSync(path)).toBe(false);
});

it('leaves one on which somebody does', async () => {
  const path = join(folder, 'alive');
  const server = createServer().listen(path);
  await once(server, 'listening');
  await removeStaleSocket(path);
  expect(existsSync(path)).toBe(true);
  server.close();
  await once(server, 'close');
});

it('leaves one whose owner is too busy to accept', async () => {
  const path = join(folder, 'busy');
  const go = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(
    `const { parentPort, workerData: { path, go } } = require('node:worker_threads');
     require('node:net').createServer((socket) => socket.destroy()).listen({ path, backlog: 1 }, () => {
       parentPort.postMessage('listening');
       Atomics.wait(go, 0, 0);
     });`,
    { eval: true, workerData: { path, go } },
  );
  await once(worker, 'message');
  const waiting: Socket[] = [];
  let code: string | undefined;
  while (code === undefined && waiting.length < 64) {
    const socket = connect({ path });
    waiting.push(socket);
    code = await new Promise((resolve) => {
      socket.once('connect', () => resolve(undefined));
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code));
    });
  }
  try {
    expect(code).toBe('EAGAIN');
    await removeStaleSocket(path);
    expect(existsSync(path)).toBe(true);
  } finally {
    for (const socket of waiting) socket.destroy();
    Atomics.store(go, 0, 1);
    Atomics.notify(go, 0);
    await worker.terminate();
  }
});

it('leaves other files, and does not mind none', async () => {
  const path = join(folder, 'file');
  writeFileSync(path, 'x');
  await removeStaleSocket(path);
  expect(existsSync(path)).toBe(true);
  await removeStaleSocket(join(folder, 'none'));
});
