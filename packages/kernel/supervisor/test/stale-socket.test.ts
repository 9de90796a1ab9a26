import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { systemBinder } from '../src/bound-socket.ts';
import { removeStaleSocket } from '../src/stale-socket.ts';

const folder = mkdtempSync(join(tmpdir(), 'dragoman-'));
afterAll(() => rmSync(folder, { recursive: true }));

it('removes the file of a socket on which nobody listens', async () => {
  const path = join(folder, 'stale');
  const socket = systemBinder().pipe(path);
  await removeStaleSocket(path);
  expect(existsSync(path)).toBe(false);
  socket.close();
});

it('leaves one on which somebody does', async () => {
  const path = join(folder, 'alive');
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(path, resolve));
  await removeStaleSocket(path);
  expect(existsSync(path)).toBe(true);
  await new Promise((resolve) => server.close(resolve));
});

it('leaves other files, and does not mind none', async () => {
  const path = join(folder, 'file');
  writeFileSync(path, 'x');
  await removeStaleSocket(path);
  expect(existsSync(path)).toBe(true);
  await removeStaleSocket(join(folder, 'none'));
});
