import { TestAuthority } from '@dragoman/testing';
import { createProxy } from '@dragoman/server';
import { ENVOY_STATS } from '@dragoman/stats';
import { expect, test } from 'vitest';
import { extensions } from '../src/index.ts';

const TLS = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3';
const address = (port: number) => ({ socket_address: { address: '127.0.0.1', port_value: port } });

test('every documented stat of TLS and of HTTP/2 to upstreams is there from the start', async () => {
  const leaf = TestAuthority.root().issue({ san: [{ dns: 'a.test' }] });
  const bootstrap = {
    static_resources: {
      listeners: [
        {
          name: 'one',
          stat_prefix: 'one',
          address: address(0),
          filter_chains: [
            {
              transport_socket: {
                name: 'envoy.transport_sockets.tls',
                typed_config: {
                  '@type': `${TLS}.DownstreamTlsContext`,
                  common_tls_context: {
                    tls_certificates: [
                      {
                        certificate_chain: { inline_string: leaf.pem },
                        private_key: { inline_string: leaf.keyPem },
                      },
                    ],
                  },
                },
              },
              filters: [
                {
                  name: 'envoy.filters.network.tcp_proxy',
                  typed_config: {
                    '@type': 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy',
                    stat_prefix: 'tcp',
                    cluster: 'web',
                  },
                },
              ],
            },
          ],
        },
      ],
      clusters: [
        {
          name: 'web',
          load_assignment: {
            cluster_name: 'web',
            endpoints: [{ lb_endpoints: [{ endpoint: { address: address(9) } }] }],
          },
          transport_socket: {
            name: 'envoy.transport_sockets.tls',
            typed_config: { '@type': `${TLS}.UpstreamTlsContext`, sni: 'a.test' },
          },
          typed_extension_protocol_options: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
              '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
              explicit_http_config: { http2_protocol_options: {} },
            },
          },
        },
      ],
    },
  };
  const proxy = await createProxy({ bootstrap: JSON.stringify(bootstrap), extensions });
  const { counters, gauges, histograms } = proxy.stats;
  const places: Readonly<Record<string, string>> = { '<address>': 'one', '<name>': 'web' };
  const missing: string[] = [];
  for (const { prefix, stats, condition } of ENVOY_STATS) {
    if (condition !== 'tls' && condition !== 'http2') continue;
    const place = prefix.replaceAll(/<\w+>/g, (part) => places[part] as string);
    for (const { name, kind } of stats) {
      const kept = { counter: counters, gauge: gauges, histogram: histograms }[kind];
      if (!kept.has(place + name)) missing.push(`${kind} ${place}${name}`);
    }
  }
  expect(missing).toEqual([]);
  await proxy.close();
});
