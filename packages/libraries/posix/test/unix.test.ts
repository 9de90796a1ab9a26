import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { sendDatagram, socketAddress } from '../src/index.ts';
import { DatagramReceiver } from './datagram-receiver.ts';
import { describeWithFfi } from './with-ffi.ts';

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'posix-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

/** The descriptor below a handle of Node's; it has no public name. */
function descriptorOf(handle: object): number {
  const { _handle } = handle as { _handle: { fd: number } };
  return _handle.fd;
}

async function listen(path: string): Promise<Server> {
  const server = createServer().listen(path);
  await once(server, 'listening');
  return server;
}

describeWithFfi('socketAddress', () => {
  it('is the path of a Unix socket, @name of an abstract one, empty of an unnamed one', async () => {
    const path = join(folder, 'ä.sock');
    const named = await listen(path);
    expect(socketAddress(descriptorOf(named))).toEqual({ family: 'pipe', path });
    const name = `dragoman-posix-${process.pid}`;
    const abstract = await listen(`\0${name}`);
    expect(socketAddress(descriptorOf(abstract))).toEqual({ family: 'pipe', path: `@${name}` });
    const client = connect(path);
    await once(client, 'connect');
    expect(socketAddress(descriptorOf(client))).toEqual({ family: 'pipe', path: '' });
    client.destroy();
    named.close();
    abstract.close();
  });

  it('has room for the longest path', async () => {
    const path = join(folder, 'x'.repeat(107 - folder.length - 1));
    const server = await listen(path);
    expect(socketAddress(descriptorOf(server))).toEqual({ family: 'pipe', path });
    server.close();
  });

  it('is an error for what is no socket', () => {
    const fd = openSync('/dev/null', 'r');
    expect(() => socketAddress(fd)).toThrow(
      expect.objectContaining({
        message: `address of descriptor ${fd}: socket operation on non-socket`,
        code: 'ENOTSOCK',
        syscall: 'getsockname',
      }),
    );
    closeSync(fd);
    expect(() => socketAddress(1_000_000)).toThrow(expect.objectContaining({ code: 'EBADF' }));
  });
});

describeWithFfi('sendDatagram', () => {
  it('sends one datagram to an abstract socket', () => {
    using receiver = new DatagramReceiver();
    expect(receiver.path).toMatch(/^@./);
    sendDatagram(receiver.path, 'READY=1\nSTATUS=größer');
    sendDatagram(receiver.path, '');
    expect(receiver.receive()).toBe('READY=1\nSTATUS=größer');
    expect(receiver.receive()).toBe('');
    expect(receiver.receive()).toBeUndefined();
  });

  it('sends to a socket in the file system', () => {
    using receiver = new DatagramReceiver(join(folder, 'notify'));
    sendDatagram(receiver.path, 'hello');
    expect(receiver.receive()).toBe('hello');
  });

  it('does not wait for a receiver whose queue is full', () => {
    using receiver = new DatagramReceiver();
    expect(() => {
      // net.unix.max_dgram_qlen is 10 unless somebody raised it.
      for (let i = 0; i < 100_000; i++) sendDatagram(receiver.path, 'x');
    }).toThrow(expect.objectContaining({ code: 'EAGAIN', syscall: 'sendto' }));
    expect(receiver.receive()).toBe('x');
  });

  it.each([
    ['@nobody-is-here', 'ECONNREFUSED'],
    ['/nobody/is/here', 'ENOENT'],
    [`/${'x'.repeat(108)}`, 'ENAMETOOLONG'],
    ['', 'EINVAL'],
  ])('to %j is %s', (path, code) => {
    expect(() => sendDatagram(path, 'x')).toThrow(expect.objectContaining({ code }));
    expect(() => sendDatagram(path, 'x')).toThrow(`send to ${path}: `);
  });
});
