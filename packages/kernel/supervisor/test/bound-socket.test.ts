import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type BoundSocket, systemBinder } from '../src/bound-socket.ts';

const binder = systemBinder();
const exclusive = { ipv6Only: false, reusePort: false };
const shared = { ipv6Only: false, reusePort: true };
const hasIpv6 = Object.values(networkInterfaces()).some((list) =>
  list?.some(({ family }) => family === 'IPv6'),
);
let open: BoundSocket[] = [];
let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'dragoman-'));
});

afterEach(() => {
  for (const socket of open) socket.close();
  open = [];
  rmSync(folder, { recursive: true });
});

function bindIp(...asked: Parameters<typeof binder.ip>) {
  const bound = binder.ip(...asked);
  open.push(bound.socket);
  return bound;
}

async function listening(server: Server, where: object): Promise<Server> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, resolve);
  });
  return server;
}

describe('a bound socket', () => {
  it('does not listen yet; a server on its descriptor does', async () => {
    const { socket, port } = binder.ip('127.0.0.1', 0, exclusive);
    const refused = await new Promise((resolve) =>
      connect({ port, host: '127.0.0.1' }).once('error', resolve),
    );
    expect(refused).toMatchObject({ code: 'ECONNREFUSED' });
    const server = await listening(createServer(), { fd: socket.fd });
    expect(server.address()).toMatchObject({ port });
    await new Promise((resolve) => server.close(resolve));
  });

  it('shares its port with SO_REUSEPORT', () => {
    const { port } = bindIp('127.0.0.1', 0, shared);
    expect(bindIp('127.0.0.1', port, shared).port).toBe(port);
  });

  it('without SO_REUSEPORT finds who listens, with it or not', async () => {
    const server = await listening(createServer(), { host: '127.0.0.1', port: 0, reusePort: true });
    const { port } = server.address() as { port: number };
    const text = `cannot bind 127.0.0.1:${port}: address already in use (EADDRINUSE)`;
    expect(() => binder.ip('127.0.0.1', port, exclusive)).toThrow(text);
    await new Promise((resolve) => server.close(resolve));
    expect(bindIp('127.0.0.1', port, exclusive).port).toBe(port);
  });

  it.skipIf(!hasIpv6)('of IPv6 leaves IPv4 to others when it is told to', () => {
    // Loopback of its own, so that no other test has the port.
    const { port } = bindIp('127.0.0.9', 0, exclusive);
    expect(bindIp('::', port, { ipv6Only: true, reusePort: false }).port).toBe(port);
  });

  it('has a file when it is a Unix socket, until it is closed', () => {
    const path = join(folder, 'x.sock');
    const socket = binder.pipe(path);
    expect(statSync(path).isSocket()).toBe(true);
    expect(() => binder.pipe(path)).toThrow('(EADDRINUSE)');
    socket.close();
    expect(() => statSync(path)).toThrow('ENOENT');
  });

  it('may be an abstract Unix socket', () => {
    const name = `@dragoman-${process.pid}`;
    const socket = binder.pipe(name);
    expect(() => binder.pipe(name)).toThrow(`cannot bind ${name}: address already in use`);
    socket.close();
    binder.pipe(name).close();
  });

  it('may be one that is there', () => {
    const { socket } = binder.ip('127.0.0.1', 0, exclusive);
    // It takes the descriptor over.
    open.push(binder.descriptor(socket.fd));
    expect(open[0].fd).toBe(socket.fd);
  });

  it.each([
    ['an address that is not here', () => binder.ip('192.0.2.1', 80, exclusive), 'EADDRNOTAVAIL'],
    ['a folder that is not there', () => binder.pipe(join(folder, 'none', 'x.sock')), 'ENOENT'],
    ['a path that is too long', () => binder.pipe(join(folder, 'x'.repeat(200))), 'EINVAL'],
  ])('cannot have %s', (_, bind, code) => {
    expect(bind).toThrow(expect.objectContaining({ name: 'BindError', code }));
  });
});

it('says what to do where Node has no such function', () => {
  expect(() => systemBinder({})).toThrow(/^Node\.js v.* cannot bind .* run dragoman without "supervise"$/);
});
