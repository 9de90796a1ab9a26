import { create, OriginalDstSchema } from '@dragoman/api';
import { Address, type ListenerFilterSocket, StreamInfo } from '@dragoman/core';
import { connectionInfo, listenerFilterConformance, testContext } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { createOriginalDst, type OriginalDstCalls } from '../src/original-dst.ts';

type Found = ReturnType<OriginalDstCalls['originalDestination']>;

const config = create(OriginalDstSchema) as never;
const calls = (found: Found, seen: unknown[] = []): OriginalDstCalls => ({
  originalDestination(fd, family) {
    seen.push([fd, family]);
    return found;
  },
  ffiAvailable: () => true,
});
const REDIRECTED: Found = { family: 'ipv4', ip: '192.0.2.7', port: 8080 };

listenerFilterConformance(
  { describe, it },
  {
    extension: createOriginalDst(calls(REDIRECTED)),
    config,
    samples: [{ name: 'anything', bytes: Buffer.from('GET /'), verdict: 'continue' }],
  },
);

/** What the filter makes of a connection from `remote` to `local`. */
function accept(found: Found, { remote = '192.0.2.1:4000', local = '10.0.0.1:15001', descriptor = 7 } = {}) {
  const seen: unknown[] = [];
  const info = connectionInfo({
    directRemoteAddress: Address.of(remote),
    localAddress: Address.of(local),
  });
  const socket: ListenerFilterSocket = {
    info,
    streamInfo: new StreamInfo(info, 0, 0),
    descriptor,
    peeked: Buffer.alloc(0),
  };
  const filter = createOriginalDst(calls(found, seen)).create(config, testContext())();
  const verdict = filter.onAccept(socket);
  return { verdict, seen, local: info.localAddress.text, restored: info.localAddressRestored === true };
}

describe('the local address', () => {
  it.each<[string, Found, Parameters<typeof accept>[1], object]>([
    ['IPv4', REDIRECTED, {}, { local: '192.0.2.7:8080', restored: true, seen: [[7, 'ipv4']] }],
    [
      'IPv6',
      { family: 'ipv6', ip: '2001:db8::7', port: 443 },
      { remote: '[2001:db8::1]:4000', local: '[::1]:15001' },
      { local: '[2001:db8::7]:443', restored: true, seen: [[7, 'ipv6']] },
    ],
    [
      'its own',
      { family: 'ipv4', ip: '10.0.0.1', port: 15_001 },
      {},
      { local: '10.0.0.1:15001', restored: true },
    ],
    ['not redirected', undefined, {}, { local: '10.0.0.1:15001', restored: false, seen: [[7, 'ipv4']] }],
    [
      'IPv4 whose PROXY header named IPv6',
      REDIRECTED,
      { local: '[2001:db8::9]:80' },
      { local: '192.0.2.7:8080', restored: true, seen: [[7, 'ipv4']] },
    ],
    ['a Unix socket', REDIRECTED, { remote: '@', local: '/run/x.sock' }, { local: '/run/x.sock', seen: [] }],
    ['no descriptor', REDIRECTED, { descriptor: -1 }, { local: '10.0.0.1:15001', seen: [] }],
  ])('%s', (_, found, connection, expected) => {
    expect(accept(found, connection)).toMatchObject({ verdict: 'continue', ...expected });
  });
});

describe('without node:ffi', () => {
  it('the config is refused, and says what to do', () => {
    const absent = createOriginalDst({ ...calls(REDIRECTED), ffiAvailable: () => false });
    expect(() => absent.create(config, testContext())).toThrow(
      'the address that a connection was redirected from needs node:ffi: run Dragoman on Node.js 26.10 or later, on Linux (x64 or arm64)',
    );
  });
});
