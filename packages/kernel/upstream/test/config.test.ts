import { ConfigError, ExtensionRegistry } from '@dragoman/core';
import { FakeClock } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { readCluster } from '../src/index.ts';
import { clusterMessage, httpOptions, inOrder, testContext } from './support/clusters.ts';
import { MemoryStats } from './support/memory-stats.ts';

const { context } = testContext(new FakeClock(), new MemoryStats());
const read = (config: object) =>
  readCluster(clusterMessage(config), new ExtensionRegistry([inOrder]), context);

function problems(config: object): { path: string; message: string }[] {
  try {
    read(config);
  } catch (error) {
    if (error instanceof ConfigError) return [...error.problems];
    throw error;
  }
  return [];
}

const STATEFUL = {
  header_key_format: {
    stateful_formatter: {
      name: 'keeps',
      typed_config: { '@type': 'type.googleapis.com/google.protobuf.Struct', value: {} },
    },
  },
};

describe('readCluster', () => {
  it('has Envoy’s defaults', () => {
    expect(read({})).toMatchObject({
      name: 'web',
      statName: 'web',
      connectTimeoutMs: 5000,
      bufferLimitBytes: 1_048_576,
      commonLb: { healthyPanicThreshold: 50 },
      http: {
        idleTimeoutMs: 3_600_000,
        maxConnectionDurationMs: 0,
        maxRequestsPerConnection: 0,
        maxStreamDurationMs: 0,
        codec: {
          maxHeaderBytes: 61_440,
          maxHeaderCount: 100,
          enableTrailers: false,
          allowChunkedLength: false,
          headerKeyFormat: 'default',
          sendFullyQualifiedUrl: false,
        },
      },
      bindAddress: undefined,
      keepAlive: undefined,
    });
  });

  it('reads what it supports', () => {
    const settings = read({
      alt_stat_name: 'pretty',
      connect_timeout: '0.5s',
      per_connection_buffer_limit_bytes: 4096,
      upstream_bind_config: { source_address: { address: '127.0.0.2', port_value: 0 } },
      upstream_connection_options: { tcp_keepalive: { keepalive_time: 30 } },
      metadata: { filter_metadata: { a: { b: 'c' } } },
      preconnect_policy: { per_upstream_preconnect_ratio: 1 },
      wait_for_warm_on_init: false,
      cleanup_interval: '1s',
      ...httpOptions({
        common_http_protocol_options: {
          idle_timeout: '9s',
          max_headers_count: 7,
          max_stream_duration: '3s',
        },
        explicit_http_config: {
          http_protocol_options: {
            enable_trailers: true,
            header_key_format: { proper_case_words: {} },
            send_fully_qualified_url: true,
          },
        },
      }),
    });
    expect(settings).toMatchObject({
      statName: 'pretty',
      connectTimeoutMs: 500,
      bufferLimitBytes: 4096,
      keepAlive: { enabled: true, initialDelayMs: 30_000 },
      http: {
        idleTimeoutMs: 9000,
        maxStreamDurationMs: 3000,
        codec: {
          maxHeaderCount: 7,
          enableTrailers: true,
          headerKeyFormat: 'proper_case_words',
          sendFullyQualifiedUrl: true,
        },
      },
    });
    expect(settings.bindAddress?.text).toBe('127.0.0.2:0');
    expect(settings.metadata.get('a')).toEqual({ b: 'c' });
  });

  it('makes the formatter that keeps the names of responses', () => {
    const made = { remember() {}, format: (name: string) => name, reasonPhrase: '' };
    const formatter = {
      category: 'header-formatters',
      name: 'keeps',
      create: () => () => made,
    } as const;
    const { http } = readCluster(
      clusterMessage({ http_protocol_options: STATEFUL }),
      new ExtensionRegistry([inOrder, formatter]),
      context,
    );
    expect(http.codec.headerKeyFormat).toBe('default');
    expect(http.codec.headerFormatter?.()).toBe(made);
    expect(read({}).http.codec).not.toHaveProperty('headerFormatter');
  });

  it.each([
    [{ http_protocol_options: STATEFUL }, 'http_protocol_options'],
    [
      httpOptions({ explicit_http_config: { http_protocol_options: STATEFUL } }),
      'typed_extension_protocol_options["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"].explicit_http_config.http_protocol_options',
    ],
  ])('says where a formatter that is not there was asked for: %#', (config, path) => {
    expect(problems(config)).toEqual([
      {
        path: `${path}.header_key_format.stateful_formatter.typed_config`,
        message: expect.stringContaining('"keeps"'),
      },
    ]);
  });

  it('reads the deprecated places of the HTTP options', () => {
    const { http } = read({
      common_http_protocol_options: { idle_timeout: '4s' },
      http_protocol_options: { allow_chunked_length: true },
      max_requests_per_connection: 3,
    });
    expect(http).toMatchObject({ idleTimeoutMs: 4000, maxRequestsPerConnection: 3 });
    expect(http.codec.allowChunkedLength).toBe(true);
  });

  it('takes the first entry of a priority for its thresholds', () => {
    const { thresholds } = read({
      circuit_breakers: {
        thresholds: [{ max_requests: 1 }, { max_requests: 2 }, { priority: 'HIGH', retry_budget: {} }],
      },
    });
    expect(thresholds.default.maxRequests).toBe(1);
    expect(thresholds.high.retryBudget).toEqual({ percent: 20, minConcurrency: 3 });
  });

  it('takes the first entry of a priority for the limits of its hosts', () => {
    const { thresholds } = read({
      circuit_breakers: {
        thresholds: [{ max_connections: 9 }],
        per_host_thresholds: [
          { priority: 'HIGH' },
          { max_connections: 2 },
          { max_connections: 3 },
          { priority: 'HIGH', max_connections: 4 },
        ],
      },
    });
    expect([thresholds.default.maxConnections, thresholds.default.maxConnectionsPerHost]).toEqual([9, 2]);
    // As in Envoy the first one counts, though it says nothing.
    expect([thresholds.high.maxConnections, thresholds.high.maxConnectionsPerHost]).toEqual([
      1024,
      undefined,
    ]);
  });

  it.each([
    [{}, undefined, undefined],
    [{ per_upstream_preconnect_ratio: 1, predictive_preconnect_ratio: 1 }, undefined, undefined],
    [{ per_upstream_preconnect_ratio: 1.05 }, 1.05, undefined],
    [{ per_upstream_preconnect_ratio: 3, predictive_preconnect_ratio: 1.5 }, 3, 1.5],
    [{ predictive_preconnect_ratio: 3 }, undefined, 3],
  ])('reads preconnect_policy %j as ratios of %s and %s', (preconnect_policy, ratio, predictive) => {
    const settings = read({ preconnect_policy });
    expect([settings.preconnectRatio, settings.predictiveRatio]).toEqual([ratio, predictive]);
  });

  it('takes the first policy of load_balancing_policy that is known', () => {
    const policy = (name: string, type: string) => ({
      typed_extension_config: {
        name,
        typed_config: { '@type': `type.googleapis.com/envoy.extensions.load_balancing_policies.${type}` },
      },
    });
    const known = policy('mine', 'round_robin.v3.RoundRobin');
    const unknown = policy('x', 'maglev.v3.Maglev');
    expect(problems({ load_balancing_policy: { policies: [unknown, known] } })).toEqual([]);
    const [problem] = problems({ load_balancing_policy: { policies: [unknown] } });
    expect(problem.path).toBe('load_balancing_policy.policies[0].typed_extension_config');
    expect(problem.message).toContain('@dragoman/load-balancer-maglev would provide it');
  });

  const options =
    'typed_extension_protocol_options["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]';
  it.each<[object, string, string]>([
    [{ track_timeout_budgets: true }, 'track_timeout_budgets', 'write track_cluster_stats'],
    [
      { track_cluster_stats: { timeout_budgets: true, per_endpoint_stats: true } },
      'track_cluster_stats.per_endpoint_stats',
      'not supported yet',
    ],
    [{ lrs_server: { self: {} } }, 'lrs_server', 'not supported, as in Envoy'],
    [{ lb_policy: 'LEAST_REQUEST' }, 'lb_policy', '@dragoman/load-balancer-least-request would provide it'],
    [{ lb_policy: 'RING_HASH' }, 'lb_policy', '@dragoman/load-balancer-ring-hash would provide it'],
    [{ lb_policy: 'LOAD_BALANCING_POLICY_CONFIG' }, 'lb_policy', 'needs load_balancing_policy'],
    [
      { lb_subset_config: { subset_selectors: [{ keys: ['a'] }] } },
      'lb_subset_config',
      '@dragoman/load-balancer-subset would provide it',
    ],
    [{ use_tcp_for_dns_lookups: true }, 'use_tcp_for_dns_lookups', 'not possible'],
    [
      { connection_pool_per_downstream_connection: true },
      'connection_pool_per_downstream_connection',
      'not supported',
    ],
    ...(
      [
        { max_pending_requests: 1 },
        { max_requests: 1 },
        { max_retries: 1 },
        { max_connection_pools: 1 },
        { track_remaining: true },
        { retry_budget: {} },
      ] as const
    ).map((limit): [object, string, string] => [
      { circuit_breakers: { per_host_thresholds: [{ max_connections: 1 }, limit] } },
      `circuit_breakers.per_host_thresholds[1].${Object.keys(limit)[0]}`,
      'of one host only max_connections can be limited',
    ]),
    [
      { upstream_bind_config: { source_address: { address: 'x', port_value: 0 } } },
      'upstream_bind_config.source_address.address',
      'not an IP',
    ],
    [
      { upstream_bind_config: { source_address: { address: '::1', port_value: 0 }, freebind: true } },
      'upstream_bind_config.freebind',
      'IP_FREEBIND',
    ],
    [
      { upstream_connection_options: { tcp_keepalive: { keepalive_probes: 3 } } },
      'upstream_connection_options.tcp_keepalive.keepalive_probes',
      'only keepalive_time',
    ],
    [
      {
        transport_socket: {
          name: 'envoy.transport_sockets.tls',
          typed_config: {
            '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
          },
        },
      },
      'transport_socket',
      '@dragoman/transport-socket-tls would provide it',
    ],
    [httpOptions({ auto_config: {} }), `${options}.auto_config`, 'ALPN'],
    [
      httpOptions({
        explicit_http_config: { http_protocol_options: {} },
        common_http_protocol_options: { headers_with_underscores_action: 'DROP_HEADER' },
      }),
      `${options}.common_http_protocol_options.headers_with_underscores_action`,
      'not supported',
    ],
    [{ connect_timeout: '0s' }, 'connect_timeout', 'more than 0'],
    [{ name: '' }, 'name', 'needs a name'],
  ])('refuses %j by name', (config, path, text) => {
    const found = problems(config);
    expect(found.map((problem) => problem.path)).toEqual([path]);
    expect(found[0].message).toContain(text);
  });

  it('reports every problem at once', () => {
    expect(problems({ track_timeout_budgets: true, name: '', connect_timeout: '0s' })).toHaveLength(3);
  });
});
