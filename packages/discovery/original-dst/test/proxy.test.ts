import { originalDstCluster } from '../src/index.ts';
import { staticDiscovery } from '@dragoman/discovery-static';
import { httpConnectionManager, upstreamCodec } from '@dragoman/http';
import { router } from '@dragoman/http-filter-router';
import { proxyProtocol } from '@dragoman/listener-filter-proxy-protocol';
import { clusterProvided } from '@dragoman/load-balancer-cluster-provided';
import { roundRobin } from '@dragoman/load-balancer-round-robin';
import { tcpProxy } from '@dragoman/network-filter-tcp-proxy';
import { uuidRequestId } from '@dragoman/request-id-uuid';
import {
  exchange,
  FakeClock,
  HttpUpstream,
  httpBootstrap,
  type JsonObject,
  localAddress,
  requestText,
  startProxy,
  text,
} from '@dragoman/testing';
import { describe, expect, test } from 'vitest';

const extensions = [
  httpConnectionManager,
  upstreamCodec,
  router,
  tcpProxy,
  clusterProvided,
  roundRobin,
  staticDiscovery,
  originalDstCluster,
  proxyProtocol,
  uuidRequestId,
];
const CLUSTER: JsonObject = { type: 'ORIGINAL_DST', lb_policy: 'CLUSTER_PROVIDED' };
const PROXY_PROTOCOL: JsonObject = {
  name: 'envoy.filters.listener.proxy_protocol',
  typed_config: {
    '@type': 'type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol',
  },
};
const TCP: JsonObject = {
  name: 'tcp',
  address: localAddress(),
  listener_filters: [PROXY_PROTOCOL],
  filter_chains: [
    {
      filters: [
        {
          name: 'envoy.filters.network.tcp_proxy',
          typed_config: {
            '@type': 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy',
            stat_prefix: 'tcp',
            cluster: 'wherever',
          },
        },
      ],
    },
  ],
};

function start(cluster: JsonObject = {}, clock?: FakeClock) {
  const bootstrap = httpBootstrap({
    clusters: { wherever: { ...CLUSTER, ...cluster } },
    listener: { listener_filters: [PROXY_PROTOCOL] },
    listeners: [TCP],
  });
  return startProxy(bootstrap, { extensions, ...(clock === undefined ? {} : { clock }) });
}

/** A request on a connection that was meant for `port` of 127.0.0.1. */
function meantFor(port: number, ...lines: string[]): string {
  const request = requestText('GET', '/', [...lines, 'connection: close']);
  return `PROXY TCP4 192.0.2.1 127.0.0.1 4000 ${port}\r\n${request}`;
}

describe('in a proxy', () => {
  test('requests and connections go where they were meant to go', async () => {
    await using one = await HttpUpstream.start(text('one'));
    await using other = await HttpUpstream.start(text('other'));
    await using proxy = await start();
    expect(await proxy.exchange(meantFor(one.port))).toContain('\r\n\r\none');
    expect(await proxy.exchange(meantFor(other.port))).toContain('\r\n\r\nother');
    const tcp = { port: proxy.portOf('tcp') };
    expect(await exchange(tcp, meantFor(other.port))).toContain('\r\n\r\nother');
    expect(proxy.stat('cluster.wherever.membership_total')).toBe(2);
    const { body } = await proxy.admin('/clusters');
    const lines = body.toString().split('\n');
    expect(lines).toContain(`wherever::127.0.0.1:${one.port}::rq_total::1`);
    expect(lines).toContain(`wherever::127.0.0.1:${other.port}::cx_total::2`);
    expect(lines).toContain(`wherever::127.0.0.1:${other.port}::health_flags::healthy`);
    expect(lines).toContain(`wherever::127.0.0.1:${other.port}::priority::0`);
  });

  test('a connection that was meant for the proxy itself has no host', async () => {
    await using proxy = await start();
    const answer = await proxy.exchange(`PROXY UNKNOWN\r\n${requestText('GET', '/', ['connection: close'])}`);
    expect(answer).toMatch(/^HTTP\/1\.1 503 /);
    expect(proxy.stat('cluster.wherever.upstream_cx_none_healthy')).toBe(1);
    expect(await exchange({ port: proxy.portOf('tcp') }, 'PROXY UNKNOWN\r\nhello')).toBe('');
    expect(proxy.stat('cluster.wherever.upstream_cx_none_healthy')).toBe(2);
  });

  test('a header may name the host', async () => {
    await using upstream = await HttpUpstream.start(text('by header'));
    await using proxy = await start({ original_dst_lb_config: { use_http_header: true } });
    const header = `x-envoy-original-dst-host: 127.0.0.1:${upstream.port}`;
    expect(await proxy.exchange(meantFor(1, header))).toContain('by header');
  });

  test('a host that nobody uses any more goes, with its idle connections', async () => {
    await using upstream = await HttpUpstream.start(text('one'));
    const clock = new FakeClock();
    await using proxy = await start({ max_requests_per_connection: 1 }, clock);
    await proxy.exchange(meantFor(upstream.port));
    await proxy.untilStat('cluster.wherever.upstream_cx_active', 0);
    clock.advance(5_000);
    expect(proxy.stat('cluster.wherever.membership_total')).toBe(1);
    clock.advance(5_000);
    expect(proxy.stat('cluster.wherever.membership_total')).toBe(0);
    expect(proxy.stat('cluster.wherever.membership_change')).toBe(2);
    expect((await proxy.admin('/clusters')).body.toString()).not.toContain(`:${upstream.port}::`);
  });

  test.each<[string, JsonObject, RegExp]>([
    [
      'another policy',
      { lb_policy: 'ROUND_ROBIN' },
      /clusters\[0\]\.lb_policy: ROUND_ROBIN is not possible: clusters of type ORIGINAL_DST choose their hosts themselves; set lb_policy: CLUSTER_PROVIDED/,
    ],
    [
      'another policy by message',
      {
        load_balancing_policy: {
          policies: [
            {
              typed_extension_config: {
                name: 'envoy.load_balancing_policies.round_robin',
                typed_config: {
                  '@type':
                    'type.googleapis.com/envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin',
                },
              },
            },
          ],
        },
      },
      /load_balancing_policy\.policies\[0\]\.typed_extension_config: ROUND_ROBIN is not possible/,
    ],
    [
      'the policy with another type',
      { type: 'STATIC' },
      /clusters\[0\]\.lb_policy: clusters of type STATIC have no load balancer of their own, which CLUSTER_PROVIDED asks for/,
    ],
    [
      'endpoints',
      { load_assignment: { cluster_name: 'wherever' } },
      /clusters\[0\]\.load_assignment: has no effect in a cluster of type ORIGINAL_DST/,
    ],
    [
      'its fields in a cluster of another type',
      { type: 'STATIC', lb_policy: 'ROUND_ROBIN', original_dst_lb_config: {} },
      /clusters\[0\]\.original_dst_lb_config: is only possible in a cluster of type ORIGINAL_DST/,
    ],
  ])('%s is refused', async (_, cluster, message) => {
    await expect(start(cluster)).rejects.toThrow(message);
  });
});
