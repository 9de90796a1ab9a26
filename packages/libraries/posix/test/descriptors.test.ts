import { once } from 'node:events';
import { closeSync, fstatSync, openSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { bindSocket, closeDescriptor, dup, socketAddress } from '../src/index.ts';
import { ask, flagsOf, O_CLOEXEC, serve } from './sockets.ts';
import { describeWithFfi } from './with-ffi.ts';

/** A number that no descriptor of this process has. */
const NOT_OPEN = 1_000_000;

function portOf(fd: number): number {
  const address = socketAddress(fd);
  if (address.family === 'pipe') throw new Error(`${address.path} is no TCP socket`);
  return address.port;
}

describeWithFfi('dup', () => {
  it('is another descriptor for the same file, close-on-exec, never one of stdio', () => {
    const fd = openSync('/dev/null', 'r');
    const copy = dup(fd);
    expect(copy).toBeGreaterThan(2);
    expect(copy).not.toBe(fd);
    expect(fstatSync(copy).ino).toBe(fstatSync(fd).ino);
    expect(flagsOf(copy) & O_CLOEXEC).toBe(O_CLOEXEC);
    closeDescriptor(copy);
    closeSync(fd);
  });

  it('outlives the original', async () => {
    const original = bindSocket({ ip: '127.0.0.1', port: 0 });
    const copy = dup(original);
    closeDescriptor(original);
    const port = portOf(copy);
    const server = await serve(copy, 'served by the copy');
    expect(await ask(port)).toBe('served by the copy');
    server.close();
  });

  it('of a socket that serves keeps the port when the server has closed', async () => {
    const kept = bindSocket({ ip: '127.0.0.1', port: 0 });
    const port = portOf(kept);
    const first = await serve(dup(kept), 'first');
    expect(await ask(port)).toBe('first');
    first.close();
    await once(first, 'close');
    const second = await serve(dup(kept), 'second');
    expect(await ask(port)).toBe('second');
    second.close();
    closeDescriptor(kept);
  });

  it('works in a worker thread, whose end leaves the original open', async () => {
    const fd = bindSocket({ ip: '127.0.0.1', port: 0 });
    for (let round = 0; round < 2; round++) {
      const worker = new Worker(new URL('./dup-worker.ts', import.meta.url), {
        workerData: fd,
        execArgv: ['--conditions=dragoman-source'],
        stderr: true,
      });
      const exit = once(worker, 'exit');
      let stderr = '';
      worker.stderr.setEncoding('utf8').on('data', (chunk) => (stderr += chunk));
      expect(await once(worker, 'message')).toEqual(['listening']);
      expect(await ask(portOf(fd))).toBe(`from ${fd}`);
      expect(await exit).toEqual([0]);
      expect(stderr).toBe('');
    }
    closeDescriptor(fd);
  });

  it.each([NOT_OPEN, -1])('of %d, which is not open, is EBADF', (fd) => {
    expect(() => dup(fd)).toThrow(
      expect.objectContaining({
        message: `dup of descriptor ${fd}: bad file descriptor`,
        code: 'EBADF',
        errno: -9,
        syscall: 'dup',
      }),
    );
  });
});

describeWithFfi('closeDescriptor', () => {
  it('closes, and says so when there is nothing to close', () => {
    const fd = openSync('/dev/null', 'r');
    const copy = dup(fd);
    closeDescriptor(copy);
    expect(() => fstatSync(copy)).toThrow(expect.objectContaining({ code: 'EBADF' }));
    expect(() => closeDescriptor(NOT_OPEN)).toThrow(
      expect.objectContaining({
        message: `close of descriptor ${NOT_OPEN}: bad file descriptor`,
        code: 'EBADF',
      }),
    );
    closeSync(fd);
  });
});
