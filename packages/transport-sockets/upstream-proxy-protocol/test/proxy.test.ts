import { type LogContext, PROXY_PROTOCOL_STATE, type ProxyProtocolState } from '@dragoman/core';
import { staticDiscovery } from '@dragoman/discovery-static';
import { httpConnectionManager } from '@dragoman/http';
import { router } from '@dragoman/http-filter-router';
import { proxyProtocol } from '@dragoman/listener-filter-proxy-protocol';
import { roundRobin } from '@dragoman/load-balancer-round-robin';
import { tcpProxy } from '@dragoman/network-filter-tcp-proxy';
import { uuidRequestId } from '@dragoman/request-id-uuid';
import {
  httpBootstrap,
  type JsonObject,
  loadAssignment,
  localAddress,
  rawClient,
  requestText,
  startProxy,
  type TestProxy,
  TestAuthority,
} from '@dragoman/testing';
import { rawBuffer } from '@dragoman/transport-socket-raw-buffer';
import { tls } from '@dragoman/transport-socket-tls';
import { afterEach, expect, it } from 'vitest';
import { upstreamProxyProtocol } from '../src/index.ts';

const TYPES = 'type.googleapis.com/envoy.extensions';
const root = TestAuthority.root();
const certificate = root.issue({ san: [{ dns: 'a.test' }] });

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** The requests that the proxy behind has seen. */
const logged: LogContext[] = [];
const extensions = [
  ...[httpConnectionManager, router, tcpProxy, uuidRequestId, staticDiscovery, roundRobin],
  ...[proxyProtocol, rawBuffer, tls, upstreamProxyProtocol],
  {
    category: 'access-loggers',
    name: 'capture',
    create: () => ({ log: (entry: LogContext) => void logged.push(entry) }),
  } as const,
];

const readsHeader = (fields: JsonObject = {}): JsonObject => ({
  name: 'envoy.filters.listener.proxy_protocol',
  typed_config: {
    '@type': `${TYPES}.filters.listener.proxy_protocol.v3.ProxyProtocol`,
    pass_through_tlvs: {},
    ...fields,
  },
});

const RAW: JsonObject = {
  name: 'raw',
  typed_config: { '@type': `${TYPES}.transport_sockets.raw_buffer.v3.RawBuffer` },
};
const CLIENT_TLS: JsonObject = {
  name: 'tls',
  typed_config: {
    '@type': `${TYPES}.transport_sockets.tls.v3.UpstreamTlsContext`,
    sni: 'a.test',
    common_tls_context: { validation_context: { trusted_ca: { inline_string: root.pem } } },
  },
};
const SERVER_TLS: JsonObject = {
  name: 'tls',
  typed_config: {
    '@type': `${TYPES}.transport_sockets.tls.v3.DownstreamTlsContext`,
    common_tls_context: {
      tls_certificates: [
        {
          certificate_chain: { inline_string: certificate.pem },
          private_key: { inline_string: certificate.keyPem },
        },
      ],
    },
  },
};

async function running(bootstrap: JsonObject): Promise<TestProxy> {
  const proxy = await startProxy(bootstrap, { extensions });
  cleanups.push(() => proxy[Symbol.asyncDispose]());
  return proxy;
}

/** A proxy that takes the header, behind one that sends it, over HTTP and TCP. */
async function start(config: JsonObject, wrapped: JsonObject = RAW): Promise<TestProxy> {
  logged.length = 0;
  const options = {
    manager: { access_log: [{ name: 'capture' }] },
    routes: [{ match: { prefix: '/' }, direct_response: { status: 200 } }],
  };
  const filters = (httpBootstrap(options) as { static_resources: { listeners: JsonObject[] } })
    .static_resources.listeners[0]?.filter_chains as [JsonObject];
  const behind = await running(
    httpBootstrap({
      listener: {
        listener_filters: [readsHeader()],
        filter_chains: [{ ...filters[0], ...(wrapped === RAW ? {} : { transport_socket: SERVER_TLS }) }],
      },
    }),
  );
  const before = { listener_filters: [readsHeader({ allow_requests_without_proxy_protocol: true })] };
  return await running(
    httpBootstrap({
      clusters: {
        behind: {
          load_assignment: loadAssignment('behind', [behind.port]),
          transport_socket: {
            name: 'proxy',
            typed_config: {
              '@type': `${TYPES}.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport`,
              config,
              transport_socket: wrapped,
            },
          },
        },
      },
      listener: before,
      listeners: [
        {
          name: 'tcp',
          address: localAddress(),
          ...before,
          filter_chains: [
            {
              filters: [
                {
                  name: 'envoy.filters.network.tcp_proxy',
                  typed_config: {
                    '@type': `${TYPES}.filters.network.tcp_proxy.v3.TcpProxy`,
                    stat_prefix: 'tcp',
                    cluster: 'behind',
                  },
                },
              ],
            },
          ],
        },
      ],
    }),
  );
}

/** Sends requests on one connection. @returns the address of its own end */
async function ask(port: number, count: number, first = ''): Promise<string> {
  await using client = await rawClient({ port });
  for (let i = 0; i < count; i++) {
    await client.write((i === 0 ? first : '') + requestText('GET', '/', ['host: a.test']));
    expect((await client.readResponse()).status).toBe(200);
  }
  return `127.0.0.1:${client.socket.localPort}`;
}

const seen = (): (readonly [string, string])[] =>
  logged.map(({ info: { connection } }) => [connection.remoteAddress.text, connection.localAddress.text]);

it.each<[string, JsonObject, JsonObject]>([
  ['version 1', {}, RAW],
  ['version 2', { version: 'V2' }, RAW],
  ['version 2 before TLS', { version: 'V2' }, CLIENT_TLS],
])('the proxy behind knows the client: %s', async (_, config, wrapped) => {
  const proxy = await start(config, wrapped);
  const first = await ask(proxy.port, 2);
  const second = await ask(proxy.port, 1);
  const local = `127.0.0.1:${proxy.port}`;
  expect(seen()).toEqual([
    [first, local],
    [first, local],
    [second, local],
  ]);
  // A connection is shared only by requests of one client.
  expect(proxy.stat('cluster.behind.upstream_cx_total')).toBe(2);
  if (wrapped === CLIENT_TLS) {
    expect(proxy.stat('cluster.behind.ssl.handshake')).toBe(2);
    expect(logged[0]?.info.connection.tls?.version).toBe('TLSv1.2');
    return;
  }
  const third = await ask(proxy.portOf('tcp'), 1);
  expect(seen()[3]).toEqual([third, `127.0.0.1:${proxy.portOf('tcp')}`]);
});

it('tells what the client has told, with its TLVs', async () => {
  const proxy = await start({
    version: 'V2',
    pass_through_tlvs: { match_type: 'INCLUDE', tlv_type: [2, 3] },
    added_tlvs: [{ type: 0xe0, value: 'YWI=' }],
  });
  // 192.0.2.7:700 → 198.51.100.8:80, with TLVs of the types 1 and 2.
  const header = Buffer.from(
    '0d0a0d0a000d0a515549540a' + '21110017' + 'c0000207c633640802bc0050' + '01000168' + '020004612e6221',
    'hex',
  ).toString('latin1');
  await using client = await rawClient({ port: proxy.port });
  await client.write(Buffer.from(header, 'latin1'), requestText('GET', '/', ['host: a.test']));
  expect((await client.readResponse()).status).toBe(200);
  expect(seen()).toEqual([['192.0.2.7:700', '198.51.100.8:80']]);
  const state = logged[0]?.info.connection.filterState?.get(PROXY_PROTOCOL_STATE) as ProxyProtocolState;
  expect(state.tlvs.map(({ type, value }) => [type, value.toString()])).toEqual([
    [0xe0, 'ab'],
    [2, 'a.b!'],
  ]);
});
