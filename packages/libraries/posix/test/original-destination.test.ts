import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { expect, it } from 'vitest';
import { originalDestination } from '../src/index.ts';
import { describeWithFfi } from './with-ffi.ts';

const NO_FD = 1_000_000;

/** A getsockopt that answers with these bytes, or with an error. */
const answering = (hex: string | undefined, seen: number[][] = []) =>
  ((fd: number, level: number, option: number, value: Buffer, length: Uint32Array) => {
    seen.push([fd, level, option, length[0] as number]);
    if (hex === undefined) return -1;
    length[0] = value.write(hex, 'hex');
    return 0;
  }) as never;

describeWithFfi('originalDestination', () => {
  it.each([
    ['ipv4', '02001f90c000020700000000000000000', { family: 'ipv4', ip: '192.0.2.7', port: 8080 }],
    ['ipv4', '0200ffffffffffff0000000000000000', { family: 'ipv4', ip: '255.255.255.255', port: 65_535 }],
    ['ipv4', '02000001000000000000000000000000', { family: 'ipv4', ip: '0.0.0.0', port: 1 }],
    [
      'ipv6',
      '0a001f900000000020010db800000000000000000000000700000000',
      { family: 'ipv6', ip: '2001:db8::7', port: 8080 },
    ],
    [
      'ipv6',
      '0a0001bb0000000000000000000000000000ffffc000020700000000',
      { family: 'ipv6', ip: '::ffff:192.0.2.7', port: 443 },
    ],
    ['ipv4', '01002f746d702f7800', undefined],
    ['ipv6', '00000000', undefined],
  ] as const)('%s %s', (family, hex, expected) => {
    expect(originalDestination(3, family, answering(hex))).toEqual(expected);
  });

  it('asks for the option of the family, and takes an error for no answer', () => {
    const seen: number[][] = [];
    expect(originalDestination(7, 'ipv4', answering(undefined, seen))).toBeUndefined();
    expect(originalDestination(8, 'ipv6', answering(undefined, seen))).toBeUndefined();
    expect(seen).toEqual([
      [7, 0, 80, 128],
      [8, 41, 80, 128],
    ]);
  });

  it('keeps nothing of an earlier answer', () => {
    expect(originalDestination(3, 'ipv4', answering('02001f90c0000207'))?.ip).toBe('192.0.2.7');
    expect(originalDestination(3, 'ipv4', answering(''))).toBeUndefined();
  });

  it('knows nothing of a descriptor that is not open, or is no redirected connection', async () => {
    expect(originalDestination(NO_FD, 'ipv4')).toBeUndefined();
    expect(originalDestination(-1, 'ipv6')).toBeUndefined();
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const client = connect(port, '127.0.0.1');
    const [socket] = (await once(server, 'connection')) as [Socket];
    const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
    // Where netfilter follows the connections of this machine it says their own address.
    expect([undefined, port]).toContain(originalDestination(fd, 'ipv4')?.port);
    client.destroy();
    socket.destroy();
    server.close();
  });
});
