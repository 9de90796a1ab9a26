import type { LogContext } from '@dragoman/core';
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
import { tls } from '@dragoman/transport-socket-tls';
import { afterEach, expect, it } from 'vitest';
import { starttls } from '../src/index.ts';
import { Client } from './client.ts';
import { relay, server } from './dialogue.ts';
import { authority, certificate } from './fake-tls.ts';

const TYPE = 'type.googleapis.com/envoy.extensions.transport_sockets.starttls.v3';
const NAME = 'envoy.transport_sockets.starttls';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const downstream: JsonObject = {
  name: NAME,
  typed_config: {
    '@type': `${TYPE}.StartTlsConfig`,
    tls_socket_config: {
      common_tls_context: {
        tls_certificates: [
          {
            certificate_chain: { inline_string: certificate.pem },
            private_key: { inline_string: certificate.keyPem },
          },
        ],
      },
    },
  },
};

const upstream = (trusted: string): JsonObject => ({
  name: NAME,
  typed_config: {
    '@type': `${TYPE}.UpstreamStartTlsConfig`,
    tls_socket_config: {
      sni: 'a.test',
      common_tls_context: { validation_context: { trusted_ca: { inline_string: trusted } } },
    },
  },
});

/** The log of the listener that turns. */
const logged: LogContext[] = [];
const capture = {
  category: 'access-loggers',
  name: 'capture',
  create: () => ({ log: (entry: LogContext) => void logged.push(entry) }),
} as const;

/** A relay in front of a server of the same proxy; `trusted` is whom the relay believes. */
async function start(trusted = authority) {
  logged.length = 0;
  const extensions = [starttls, tls, server, relay, staticDiscovery, roundRobin, capture];
  const serving = await startProxy(
    {
      static_resources: {
        listeners: [
          {
            name: 'starttls',
            address: localAddress(),
            access_log: [{ name: 'capture' }],
            filter_chains: [{ filters: [{ name: 'test.dialogue_server' }], transport_socket: downstream }],
          },
        ],
      },
    },
    { extensions },
  );
  cleanups.push(() => serving[Symbol.asyncDispose]());
  const relaying = await startProxy(
    {
      static_resources: {
        listeners: [
          {
            name: 'relay',
            address: localAddress(),
            filter_chains: [{ filters: [{ name: 'test.dialogue_relay' }] }],
          },
        ],
        clusters: [
          clusterConfig('up', {
            load_assignment: loadAssignment('up', [serving.port]),
            transport_socket: upstream(trusted),
          }),
        ],
      },
    },
    { extensions },
  );
  cleanups.push(() => relaying[Symbol.asyncDispose]());
  return { serving, relaying };
}

it('turns downstream', async () => {
  const { serving } = await start();
  const client = Client.to(serving.port);
  expect(await client.line()).toBe('hello\n');
  expect(await client.ask('a\n')).toBe('plain a\n');
  expect(await client.ask('STARTTLS\n')).toBe('go ahead\n');
  const inside = await client.secured({ slow: true });
  expect(await inside.ask('b\n')).toBe('TLSv1.3 b\n');
  inside.raw.end();
  await inside.raw.closed;
  await serving.untilStat('listener.127.0.0.1_0.downstream_cx_active', 0);
  expect(serving.stat('listener.127.0.0.1_0.ssl.handshake')).toBe(1);
  expect(logged.map(({ info }) => info.connection.tls?.version)).toEqual(['TLSv1.3']);
});

it('sends nothing in the clear after the turn', async () => {
  const { serving } = await start();
  const client = Client.to(serving.port);
  await client.line();
  expect(await client.ask('TALK\n')).toBe('go ahead\n');
  const inside = await client.secured();
  expect(await inside.raw.readUntilClose()).toBe('inside\nand more\n');
  expect(client.raw.bytesReceived).toBe('hello\ngo ahead\n'.length);
});

it('turns upstream', async () => {
  const { serving, relaying } = await start();
  const client = Client.to(relaying.port);
  await client.raw.write('before\n');
  expect(await client.line()).toBe('true false\n');
  // Clients begin with TLS 1.2 at most, as Envoy's do.
  expect(await client.line()).toBe('TLSv1.2: TLSv1.2 before\n');
  expect(await client.ask('x\n')).toBe('TLSv1.2: TLSv1.2 x\n');
  expect(relaying.stat('cluster.up.ssl.handshake')).toBe(1);
  client.raw.end();
  expect(await client.raw.readUntilClose()).toBe('');
  await serving.untilStat('listener.127.0.0.1_0.downstream_cx_active', 0);
});

it('ends connections to servers that it does not trust', async () => {
  const { serving, relaying } = await start(TestAuthority.root().pem);
  const client = Client.to(relaying.port);
  expect(await client.line()).toBe('true false\n');
  expect(await client.raw.readUntilClose()).toBe('');
  expect(relaying.stat('cluster.up.ssl.fail_verify_error')).toBe(1);
  await relaying.untilStat('cluster.up.upstream_cx_active', 0);
  await serving.untilStat('listener.127.0.0.1_0.downstream_cx_active', 0);
});

it('says why a handshake failed', async () => {
  const { serving } = await start();
  const client = Client.to(serving.port);
  await client.line();
  await client.ask('STARTTLS\n');
  await client.raw.write('GET / HTTP/1.1\r\n\r\n');
  await client.raw.readUntilClose();
  await serving.untilStat('listener.127.0.0.1_0.downstream_cx_active', 0);
  expect(logged.map(({ info }) => info.connection.transportFailureReason)).toEqual([
    expect.stringMatching(/^TLS_error:/),
  ]);
  expect(serving.stat('listener.127.0.0.1_0.ssl.connection_error')).toBe(1);
});
