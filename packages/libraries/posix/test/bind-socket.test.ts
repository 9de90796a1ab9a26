import { once } from 'node:events';
import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterEach, expect, it } from 'vitest';
import { type BindOptions, bindSocket, closeDescriptor, socketAddress } from '../src/index.ts';
import { ask, flagsOf, O_CLOEXEC, O_NONBLOCK, serve } from './sockets.ts';
import { describeWithFfi } from './with-ffi.ts';

const cleanUp: (() => void)[] = [];

afterEach(() => {
  for (const undo of cleanUp.splice(0)) undo();
});

/** A bound socket on 127.0.0.1 that is closed after the test. */
function bind(over: Partial<BindOptions> = {}): { fd: number; port: number } {
  const bound = bindForServer(over);
  cleanUp.push(() => closeDescriptor(bound.fd));
  return bound;
}

/** One that a server will own. */
function bindForServer(over: Partial<BindOptions> = {}): { fd: number; port: number } {
  const fd = bindSocket({ ip: '127.0.0.1', port: 0, ...over });
  const address = socketAddress(fd);
  if (address.family === 'pipe') throw new Error(`${address.path} is no TCP socket`);
  return { fd, port: address.port };
}

async function listen(fd: number, answer = '') {
  const server = await serve(fd, answer);
  cleanUp.push(() => server.close());
  return server;
}

const hasIpv6 = Object.values(networkInterfaces()).some((list) =>
  list?.some(({ address }) => address === '::1'),
);

describeWithFfi('bindSocket', () => {
  it('binds without listening, close-on-exec and nonblocking', async () => {
    const { fd, port } = bind();
    expect(socketAddress(fd)).toEqual({ family: 'ipv4', ip: '127.0.0.1', port });
    expect(port).toBeGreaterThan(0);
    expect(flagsOf(fd) & (O_CLOEXEC | O_NONBLOCK)).toBe(O_CLOEXEC | O_NONBLOCK);
    await expect(ask(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('is what net.Server listens on', async () => {
    const { fd, port } = bindForServer();
    const server = await listen(fd, 'hello');
    expect(server.address()).toEqual({ address: '127.0.0.1', family: 'IPv4', port });
    expect(await ask(port)).toBe('hello');
  });

  it('shares a port between sockets with reusePort, and both accept', async () => {
    const first = bindForServer({ reusePort: true });
    const second = bindForServer({ reusePort: true, port: first.port });
    await listen(first.fd, 'first');
    await listen(second.fd, 'second');
    // The kernel chooses by a hash of the client's port: 64 connections miss one of two once in 2⁶³ times.
    const answers = await Promise.all(Array.from({ length: 64 }, () => ask(first.port)));
    expect(new Set(answers)).toEqual(new Set(['first', 'second']));
  });

  it.each([
    { theirs: false, ours: false },
    { theirs: false, ours: true },
    { theirs: true, ours: false },
  ])('finds somebody who listens: reusePort $theirs, and $ours here', async ({ theirs, ours }) => {
    const { fd, port } = bindForServer({ reusePort: theirs });
    await listen(fd);
    expect(() => bindSocket({ ip: '127.0.0.1', port, reusePort: ours })).toThrow(
      expect.objectContaining({
        message: `bind of 127.0.0.1:${port}: address already in use`,
        code: 'EADDRINUSE',
        syscall: 'bind',
      }),
    );
  });

  it('lets the first that listens win where nobody did yet', async () => {
    const winner = bindForServer();
    const loser = bindForServer({ port: winner.port });
    await listen(winner.fd, 'winner');
    const server = createServer().listen({ fd: loser.fd });
    const [error] = await once(server, 'error');
    expect(error).toMatchObject({ code: 'EADDRINUSE' });
    expect(await ask(winner.port)).toBe('winner');
    server.close();
  });

  it('takes port 0 as one that nobody has', () => {
    const ports = Array.from({ length: 20 }, () => bind().port);
    expect(new Set(ports).size).toBe(20);
  });

  it('leaves no descriptor behind when it fails', () => {
    const { fd } = bind();
    for (let i = 0; i < 500; i++) {
      expect(() => bindSocket({ ip: '192.0.2.1', port: 0 })).toThrow(
        expect.objectContaining({
          message: 'bind of 192.0.2.1:0: address not available',
          code: 'EADDRNOTAVAIL',
        }),
      );
    }
    expect(bind().fd).toBeLessThan(fd + 100);
  });

  it.skipIf(!hasIpv6)('binds IPv6', async () => {
    const { fd, port } = bindForServer({ ip: '0:0:0:0:0:0:0:1' });
    expect(socketAddress(fd)).toEqual({ family: 'ipv6', ip: '::1', port });
    await listen(fd, 'six');
    expect(await ask(port, '::1')).toBe('six');
    expect(() => bindSocket({ ip: '::1', port })).toThrow(`bind of [::1]:${port}: address already in use`);
  });

  it.skipIf(!hasIpv6)('serves IPv4 on an IPv6 socket unless ipv6Only', async () => {
    const { fd, port } = bindForServer({ ip: '::ffff:127.0.0.1' });
    expect(socketAddress(fd)).toEqual({ family: 'ipv6', ip: '::ffff:127.0.0.1', port });
    await listen(fd, 'four on six');
    expect(await ask(port)).toBe('four on six');
    expect(() => bindSocket({ ip: '::ffff:127.0.0.1', port: 0, ipv6Only: true })).toThrow(
      expect.objectContaining({ code: 'EINVAL' }),
    );
  });

  it.each([
    ['localhost', 0, "'localhost' is not an IPv4 or IPv6 address without a scope"],
    ['', 0, "'' is not"],
    ['127.0.0.1\0', 0, 'is not'],
    ['fe80::1%lo', 0, "'fe80::1%lo' is not"],
    ['127.0.0.1', -1, 'port -1 is not a whole number from 0 to 65535'],
    ['127.0.0.1', 65_536, 'port 65536'],
    ['127.0.0.1', 80.5, 'port 80.5'],
  ])('refuses %j, port %d', (ip, port, message) => {
    expect(() => bindSocket({ ip, port })).toThrow(message);
  });
});
