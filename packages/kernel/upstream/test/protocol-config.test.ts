import { ConfigError, ExtensionRegistry } from '@dragoman/core';
import { FakeClock } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { createClusterManager, readCluster } from '../src/index.ts';
import { clusterMessage, fakeTls, httpOptions, inOrder, testContext, TLS } from './support/clusters.ts';
import { FakeCodec, FakeConnector } from './support/fake-upstream.ts';
import { MemoryStats } from './support/memory-stats.ts';

const { context } = testContext(new FakeClock(), new MemoryStats());
const registry = new ExtensionRegistry([inOrder, fakeTls]);
const read = (config: object) => readCluster(clusterMessage(config), registry, context);
const KEY = 'typed_extension_protocol_options["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]';

function problems(config: object): string[] {
  try {
    read(config);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(({ path, message }) => `${path}: ${message}`);
    throw error;
  }
  return [];
}

const http2 = (options: object) => httpOptions({ explicit_http_config: { http2_protocol_options: options } });

describe('the protocol', () => {
  it.each<[string, object, string, boolean]>([
    ['nothing', {}, 'http1', false],
    [
      'http_protocol_options',
      httpOptions({ explicit_http_config: { http_protocol_options: {} } }),
      'http1',
      false,
    ],
    ['http2_protocol_options', http2({}), 'http2', true],
    [
      'use_downstream_protocol_config',
      httpOptions({ use_downstream_protocol_config: {} }),
      'downstream',
      true,
    ],
    ['auto_config', { transport_socket: TLS, ...httpOptions({ auto_config: {} }) }, 'auto', true],
    ['the deprecated field', { http2_protocol_options: {} }, 'http2', true],
    ['the deprecated choice', { protocol_selection: 'USE_DOWNSTREAM_PROTOCOL' }, 'downstream', true],
  ])('by %s', (_name, config, protocol, hasHttp2) => {
    const { http } = read(config);
    expect([http.protocol, http.http2 !== undefined]).toEqual([protocol, hasHttp2]);
  });

  it('by ALPN needs TLS, for every host', () => {
    const auto = httpOptions({ auto_config: {} });
    expect(problems(auto)).toEqual([expect.stringContaining(`${KEY}.auto_config: needs ALPN`)]);
    const matches = { transport_socket: TLS, transport_socket_matches: [{ name: 'plain', match: {} }] };
    expect(problems({ ...auto, ...matches })).toEqual([expect.stringContaining('needs ALPN')]);
  });

  it('of each kind has its own options', () => {
    const { http } = read(
      httpOptions({
        use_downstream_protocol_config: {
          http_protocol_options: { enable_trailers: true },
          http2_protocol_options: { max_concurrent_streams: 7 },
        },
      }),
    );
    expect([http.codec.enableTrailers, http.http2?.maxConcurrentStreams]).toEqual([true, 7]);
  });

  it.each<[object, string]>([
    [http2({}), `${KEY}.explicit_http_config: this assembly has no HTTP/2`],
    [
      httpOptions({ explicit_http_config: { http_protocol_options: {} }, http_filters: [{ name: 'x' }] }),
      `${KEY}.http_filters: this assembly has no filters on the upstream side`,
    ],
  ])('is refused where the assembly has none: %j', (config, text) => {
    const create = () =>
      createClusterManager({
        clusters: [clusterMessage(config)],
        registry,
        context,
        connector: new FakeConnector(),
        createCodec: (connection, handler) => new FakeCodec(connection, handler),
      });
    expect(create).toThrow(text);
  });
});

describe('http2_protocol_options', () => {
  it('have the defaults of Envoy', () => {
    expect(read(http2({})).http.http2).toEqual({
      maxConcurrentStreams: 1024,
      initialStreamWindowSize: 16 * 1024 * 1024,
      initialConnectionWindowSize: 24 * 1024 * 1024,
      hpackTableSize: 4096,
      allowConnect: false,
      customSettings: {},
      keepAlive: undefined,
      streamErrorOnInvalidMessage: false,
    });
  });

  it('are read', () => {
    const options = {
      max_concurrent_streams: 50,
      initial_stream_window_size: 70_000,
      initial_connection_window_size: 80_000,
      hpack_table_size: 0,
      allow_connect: true,
      override_stream_error_on_invalid_http_message: true,
      custom_settings_parameters: [{ identifier: 99, value: 5 }],
      connection_keepalive: { interval: '30s', timeout: '5s', connection_idle_interval: '10s' },
      max_outbound_frames: 10_000,
    };
    expect(read(http2(options)).http.http2).toEqual({
      maxConcurrentStreams: 50,
      initialStreamWindowSize: 70_000,
      initialConnectionWindowSize: 80_000,
      hpackTableSize: 0,
      allowConnect: true,
      customSettings: { 99: 5 },
      keepAlive: { intervalMs: 30_000, timeoutMs: 5000, intervalJitterPercent: 15, idleIntervalMs: 10_000 },
      streamErrorOnInvalidMessage: true,
    });
  });

  it.each([
    [{ override_stream_error_on_invalid_http_message: false }, false],
    [{ stream_error_on_invalid_http_messaging: true }, true],
    [
      {
        stream_error_on_invalid_http_messaging: true,
        override_stream_error_on_invalid_http_message: false,
      },
      false,
    ],
  ])('%j: a broken message costs its stream only: %s', (options, expected) => {
    expect(read(http2(options)).http.http2?.streamErrorOnInvalidMessage).toBe(expected);
  });

  it.each<[object, string]>([
    [{ allow_metadata: true }, 'allow_metadata'],
    [{ max_outbound_frames: 5 }, 'max_outbound_frames'],
    [{ max_outbound_control_frames: 5 }, 'max_outbound_control_frames'],
    [
      { max_consecutive_inbound_frames_with_empty_payload: 5 },
      'max_consecutive_inbound_frames_with_empty_payload',
    ],
    [{ max_inbound_priority_frames_per_stream: 5 }, 'max_inbound_priority_frames_per_stream'],
    [
      { max_inbound_window_update_frames_per_data_frame_sent: 5 },
      'max_inbound_window_update_frames_per_data_frame_sent',
    ],
    [{ use_oghttp2_codec: true }, 'use_oghttp2_codec'],
    [
      { custom_settings_parameters: [{ identifier: 3, value: 5 }] },
      'custom_settings_parameters[0].identifier',
    ],
  ])('%j is refused by name', (options, field) => {
    expect(problems(http2(options))).toEqual([
      expect.stringContaining(`${KEY}.explicit_http_config.http2_protocol_options.${field}: `),
    ]);
    expect(problems({ http2_protocol_options: options })).toEqual([
      expect.stringContaining(`http2_protocol_options.${field}: `),
    ]);
  });
});

describe('what is not built, or has no effect', () => {
  it.each<[object, string]>([
    [
      httpOptions({ explicit_http_config: { http3_protocol_options: {} } }),
      `${KEY}.explicit_http_config.http3_protocol_options: HTTP/3`,
    ],
    [
      { transport_socket: TLS, ...httpOptions({ auto_config: { http3_protocol_options: {} } }) },
      `${KEY}.auto_config.http3_protocol_options: HTTP/3`,
    ],
    [
      {
        transport_socket: TLS,
        ...httpOptions({ auto_config: { alternate_protocols_cache_options: { name: 'x' } } }),
      },
      `${KEY}.auto_config.alternate_protocols_cache_options: `,
    ],
    [{ ...http2({}), http2_protocol_options: {} }, 'http2_protocol_options: has no effect beside'],
    [{ ...http2({}), common_http_protocol_options: {} }, 'common_http_protocol_options: has no effect'],
    [{ ...http2({}), protocol_selection: 'USE_DOWNSTREAM_PROTOCOL' }, 'protocol_selection: has no effect'],
  ])('%j', (config, text) => {
    expect(problems(config)).toEqual([expect.stringContaining(text)]);
  });
});

describe('upstream_http_protocol_options', () => {
  it.each([
    httpOptions({
      explicit_http_config: { http_protocol_options: {} },
      upstream_http_protocol_options: { auto_sni: true, override_auto_sni_header: 'X-A' },
    }),
    { upstream_http_protocol_options: { auto_sni: true, override_auto_sni_header: 'X-A' } },
  ])('%j', (config) => {
    expect(read(config).http.serverNames).toEqual({ sni: true, validate: false, header: 'x-a' });
  });
});
