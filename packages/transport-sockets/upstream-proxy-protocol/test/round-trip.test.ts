import { once } from 'node:events';
import { createServer } from 'node:net';
import { create, ProxyProtocolSchema } from '@dragoman/api';
import {
  Address,
  PROXY_PROTOCOL_STATE,
  type ProxyProtocolState,
  silentLogger,
  systemClock,
} from '@dragoman/core';
import { proxyProtocol } from '@dragoman/listener-filter-proxy-protocol';
import { Dispatcher, ReadBuffers, SocketConnector } from '@dragoman/network';
import { MemoryStats, peekThrough, testContext } from '@dragoman/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { client, type Config, contextWith, header, socketFor, tlv, V1, V2 } from './scene.ts';

/** What our own listener makes of the bytes. */
function read(bytes: Buffer, step = bytes.length) {
  const config = create(ProxyProtocolSchema, { passThroughTlvs: {} }) as never;
  return peekThrough(proxyProtocol.create(config, testContext())(), bytes, step);
}

const port = fc.nat(65_535);
const ipv4 = fc
  .tuple(fc.integer({ min: 1, max: 223 }), fc.nat(255), fc.nat(255), fc.nat(255), port)
  .map(([a, b, c, d, at]) => Address.ip(`${a}.${b}.${c}.${d}`, at));
/** Of the space of unicast addresses, with zeros where groups are shortened. */
const ipv6 = fc
  .tuple(
    fc.integer({ min: 0x2000, max: 0x3fff }),
    fc.array(fc.oneof(fc.constant(0), fc.nat(0xffff)), { minLength: 7, maxLength: 7 }),
    port,
  )
  .map(([first, rest, at]) => {
    const url = new URL(`http://[${[first, ...rest].map((group) => group.toString(16)).join(':')}]/`);
    return Address.ip(url.hostname.slice(1, -1), at);
  });
const address = fc.oneof(ipv4, ipv6);
const tlvs = fc.array(
  fc
    .tuple(fc.nat(255), fc.uint8Array({ maxLength: 200 }))
    .map(([type, value]) => tlv(type, Buffer.from(value))),
  { maxLength: 8 },
);

describe('what is written', () => {
  it('is what our own listener filter reads', () => {
    fc.assert(
      fc.property(fc.constantFrom(V1, V2), address, address, tlvs, (version, source, destination, given) => {
        const options = client(source.text, destination.text, given);
        const bytes = header({ version, passThroughTlvs: {} }, options);
        const outcome = read(bytes);
        expect(outcome).toMatchObject({ verdict: 'continue', consumed: bytes.length });
        expect(outcome.info.remoteAddress.text).toBe(source.text);
        expect(outcome.info.localAddress.text).toBe(destination.text);
        const state = outcome.info.filterState?.get(PROXY_PROTOCOL_STATE) as ProxyProtocolState;
        expect(state.version).toBe(version + 1);
        expect(state.tlvs).toEqual(version === V1 ? [] : given);
      }),
      { numRuns: 1000 },
    );
  });

  it.each([V1, V2])(
    'leaves the addresses of the socket where there are none to tell (version %i)',
    (version) => {
      const outcome = read(header({ version }, client('/run/a', '/run/b')), 1);
      expect(outcome.verdict).toBe('continue');
      expect(outcome.info.remoteAddress.text).toBe('192.0.2.1:40000');
    },
  );
});

it.each<[string, Config, RegExp]>([
  ['version 1', {}, /^PROXY TCP4 9\.8\.7\.6 5\.4\.3\.2 11 22\r\nhello$/],
  [
    'version 2',
    { version: V2 },
    /^\r\n\r\n\0\r\nQUIT\n!\x11\0\x0c\t\x08\x07\x06\x05\x04\x03\x02\0\x0b\0\x16hello$/,
  ],
])('goes first on a real connection, and is counted (%s)', async (_, config, expected) => {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const received = new Promise<string>((resolve) => {
    server.once('connection', (socket) => {
      let text = '';
      socket.on('data', (chunk) => {
        text += chunk.toString('latin1');
      });
      socket.on('end', () => resolve(text));
    });
  });
  const connector = new SocketConnector({
    clock: systemClock,
    logger: silentLogger,
    dispatcher: new Dispatcher(systemClock),
    buffers: new ReadBuffers(),
  });
  const stats = new MemoryStats();
  const { port: at } = server.address() as { port: number };
  const connection = connector.connect(
    {
      address: Address.ip('127.0.0.1', at),
      bufferLimitBytes: 1024,
      transportSocket: socketFor(config, contextWith()),
      transport: client('9.8.7.6:11', '5.4.3.2:22'),
      stats: { rxBytes: stats.counter('rx'), txBytes: stats.counter('tx') },
    },
    {
      onConnected() {
        connection.writeText('hello');
        connection.end();
      },
      onData() {},
      onEnd() {},
      onWritable() {},
      onClose() {},
    },
  );
  const text = await received;
  expect(text).toMatch(expected);
  expect(stats.value('tx')).toBe(text.length);
  connection.close('now');
  server.close();
});
