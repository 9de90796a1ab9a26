import { once } from 'node:events';
import { createServer } from 'node:net';
import { staticDiscovery } from '@dragoman/discovery-static';
import { roundRobin } from '@dragoman/load-balancer-round-robin';
import {
  clusterConfig,
  type JsonObject,
  loadAssignment,
  localAddress,
  startProxy,
  TestAuthority,
} from '@dragoman/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { starttls } from '../src/index.ts';
import { Client } from './client.ts';
import { relay, server } from './dialogue.ts';
import { FakeTls } from './fake-tls.ts';

const TYPE = 'type.googleapis.com/envoy.extensions.transport_sockets.starttls.v3';
const NAME = 'envoy.transport_sockets.starttls';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function listener(name: string, filter: string, more: JsonObject = {}): JsonObject {
  return { name, address: localAddress(), filter_chains: [{ filters: [{ name: filter }], ...more }] };
}

/** With a listener for each end of the dialogue; `upstreamPort` is where the relay goes. */
async function start(tls: FakeTls, upstreamPort = 1) {
  const down = { '@type': `${TYPE}.StartTlsConfig`, cleartext_socket_config: {}, tls_socket_config: {} };
  const up = { '@type': `${TYPE}.UpstreamStartTlsConfig`, tls_socket_config: {} };
  const bootstrap = {
    static_resources: {
      listeners: [
        listener('starttls', 'test.dialogue_server', {
          transport_socket: { name: NAME, typed_config: down },
        }),
        listener('plain', 'test.dialogue_server'),
        listener('relay', 'test.dialogue_relay'),
      ],
      clusters: [
        clusterConfig('up', {
          load_assignment: loadAssignment('up', [upstreamPort]),
          transport_socket: { name: NAME, typed_config: up },
        }),
      ],
    },
  };
  const proxy = await startProxy(bootstrap, {
    extensions: [starttls, tls.extension, server, relay, staticDiscovery, roundRobin],
  });
  cleanups.push(() => proxy[Symbol.asyncDispose]());
  return proxy;
}

async function greeted(port: number): Promise<Client> {
  const client = Client.to(port);
  cleanups.push(() => client.socket.destroy());
  expect(await client.line()).toBe('hello\n');
  return client;
}

/** What a fake was asked on connections: not at configuration. */
const events = (tls: FakeTls): string[] => tls.seen.filter((text) => !text.startsWith('envoy.'));

describe('downstream', () => {
  it('stays plain where nobody asks', async () => {
    const tls = new FakeTls();
    const proxy = await start(tls);
    const client = await greeted(proxy.portOf('starttls'));
    expect(await client.ask('a\n')).toBe('plain a\n');
    expect(events(tls)).toEqual([]);
  });

  it('turns when the filter says so', async () => {
    const tls = new FakeTls();
    const proxy = await start(tls);
    const client = await greeted(proxy.portOf('starttls'));
    expect(await client.ask('a\n')).toBe('plain a\n');
    expect(await client.ask('STARTTLS\n')).toBe('go ahead\n');
    const inside = await client.secured();
    expect(await inside.ask('b\n')).toBe('TLSv1.3 b\n');
    expect(await inside.ask('c\n')).toBe('TLSv1.3 c\n');
    inside.raw.end();
    await inside.raw.closed;
    expect(events(tls)).toEqual(['inspect 22', 'ready']);
  });

  it('turns only once, and only where it can', async () => {
    const proxy = await start(new FakeTls());
    const client = await greeted(proxy.portOf('starttls'));
    await client.ask('STARTTLS\n');
    const inside = await client.secured();
    expect(await inside.ask('STARTTLS\n')).toBe('go ahead\n');
    expect(await inside.line()).toBe('cannot\n');
    const plain = await greeted(proxy.portOf('plain'));
    expect(await plain.ask('STARTTLS\n')).toBe('go ahead\n');
    expect(await plain.line()).toBe('cannot\n');
  });

  it('sends nothing in the clear after the turn, and loses nothing', async () => {
    const proxy = await start(new FakeTls());
    const client = await greeted(proxy.portOf('starttls'));
    expect(await client.ask('TALK\n')).toBe('go ahead\n');
    const inside = await client.secured();
    expect(await inside.raw.readUntilClose()).toBe('inside\nand more\n');
    expect(client.raw.bytesReceived).toBe('hello\ngo ahead\n'.length);
  });

  it('takes a hello that comes byte by byte', async () => {
    const tls = new FakeTls();
    const proxy = await start(tls);
    const client = await greeted(proxy.portOf('starttls'));
    await client.ask('STARTTLS\n');
    const inside = await client.secured({ slow: true });
    expect(await inside.ask('x\n')).toBe('TLSv1.3 x\n');
  });

  it('closes a connection whose peer goes on in the clear', async () => {
    const tls = new FakeTls();
    const proxy = await start(tls);
    const client = await greeted(proxy.portOf('starttls'));
    await client.ask('STARTTLS\n');
    await client.raw.write('GET / HTTP/1.1\r\n');
    expect(await client.raw.readUntilClose()).toBe('');
    expect(events(tls)).toEqual(['inspect 71']);
    await proxy.untilStat('listener.127.0.0.1_0.downstream_cx_active', 0);
  });

  it('closes a connection whose handshake fails', async () => {
    const proxy = await start(new FakeTls());
    const client = await greeted(proxy.portOf('starttls'));
    await client.ask('STARTTLS\n');
    await expect(client.secured({ ca: TestAuthority.root().pem })).rejects.toThrow();
    await proxy.untilStat('listener.127.0.0.1_0.downstream_cx_active', 0);
  });

  it.each(['end', 'reset'] as const)(
    'leaves nothing behind when the peer goes in the middle (%s)',
    async (how) => {
      const proxy = await start(new FakeTls());
      const client = await greeted(proxy.portOf('starttls'));
      await client.ask('STARTTLS\n');
      client.raw[how]();
      await client.raw.closed;
      await proxy.untilStat('listener.127.0.0.1_0.downstream_cx_active', 0);
    },
  );
});

describe('upstream', () => {
  it('turns when its owner says so', async () => {
    const theirs = new FakeTls();
    const upstream = await start(theirs);
    const ours = new FakeTls();
    const proxy = await start(ours, upstream.portOf('starttls'));
    const client = Client.to(proxy.portOf('relay'));
    await client.raw.write('before\n');
    // It begins once only.
    expect(await client.line()).toBe('true false\n');
    expect(await client.line()).toBe('TLSv1.3: TLSv1.3 before\n');
    expect(await client.ask('x\n')).toBe('TLSv1.3: TLSv1.3 x\n');
    expect(events(ours)).toEqual(['wrap undefined', 'ready']);
    expect(events(theirs)).toEqual(['inspect 22', 'ready']);
    client.raw.end();
    expect(await client.raw.readUntilClose()).toBe('');
  });

  it('closes a connection whose handshake fails', async () => {
    const impostor = createServer((socket) => {
      socket.on('error', () => {});
      socket.write('hello\n');
      socket.once('data', () => {
        socket.write('go ahead\n');
        socket.once('data', () => socket.end('no TLS here\n'));
      });
    });
    impostor.listen(0, '127.0.0.1');
    await once(impostor, 'listening');
    cleanups.push(() => impostor.close());
    const proxy = await start(new FakeTls(), (impostor.address() as { port: number }).port);
    const client = Client.to(proxy.portOf('relay'));
    expect(await client.line()).toBe('true false\n');
    expect(await client.raw.readUntilClose()).toBe('');
    await proxy.untilStat('cluster.up.upstream_cx_active', 0);
  });
});
