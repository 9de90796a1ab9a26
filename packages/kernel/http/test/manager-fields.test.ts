import {
  type DescMessage,
  Http1ProtocolOptionsSchema,
  HttpConnectionManagerSchema,
  HttpProtocolOptionsSchema,
} from '@dragoman/api';
import {
  Address,
  ConfigError,
  type HeaderFormatterExtension,
  type HeaderMutationExtension,
  type OriginalIpDetectionExtension,
  OverloadActionName,
} from '@dragoman/core';
import { FakeDynamicResources, type JsonObject, SeededRandom, TestOverload } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { ManagerRig, ok, type RigOptions } from './manager-rig.ts';

/** A value of a field, what is sent, and what shows that the field acts. */
interface Acts {
  readonly value: unknown;
  /** Bytes; default: a GET for `/`. */
  readonly send?: string;
  readonly besides?: object;
  readonly rig?: RigOptions;
  readonly check: (rig: ManagerRig) => unknown;
}

const get = (path = '/', ...lines: string[]) =>
  `${[`GET ${path} HTTP/1.1`, 'host: a.test', ...lines].join('\r\n')}\r\n\r\n`;
/** A header of the request as the terminal filter saw it. */
const seen = (rig: ManagerRig, name: string) => rig.requests[0]?.get(name);
const silent = { upstream: { headers() {} } };
const expectClosedAfter = async (rig: ManagerRig, ms: number) => {
  await rig.advance(ms - 1);
  expect(rig.closed).toBe(false);
  await rig.advance(1);
  expect(rig.closed).toBe(true);
};
const after = async (rig: ManagerRig, ms: number) => {
  await rig.advance(ms);
  return rig.response.status;
};

const detection: OriginalIpDetectionExtension = {
  category: 'original-ip-detection',
  name: 'detects',
  create: () => ({ detect: () => ({ address: Address.ip('203.0.113.9', 0), trusted: false }) }),
};

const early: HeaderMutationExtension = {
  category: 'header-mutations',
  name: 'early',
  create: () => ({
    mutate(headers) {
      headers.set('x-early', 'yes');
      return true;
    },
  }),
};

function overloaded(): TestOverload {
  const overload = new TestOverload([OverloadActionName.stopAcceptingRequests]);
  overload.set(OverloadActionName.stopAcceptingRequests, 1);
  return overload;
}

const mutualTls: RigOptions = {
  connection: {
    info: {
      tls: { version: '', cipher: '', peerFingerprint256: 'abc', peerUriSans: ['spiffe://client'] },
    },
  },
};

const FIELDS: Readonly<Record<string, Acts>> = {
  codec_type: { value: 'HTTP1', check: (rig) => expect(rig.response.status).toBe(200) },
  stat_prefix: {
    value: 'other',
    check: (rig) => expect(rig.context.stats.value('http.other.downstream_rq_total')).toBe(1),
  },
  route_config: {
    value: { virtual_hosts: [] },
    check: (rig) => expect(rig.streams[0]?.route).toBeUndefined(),
  },
  http_filters: { value: [{ name: 'terminal' }], check: (rig) => expect(rig.upstream[0]).toBe('GET /') },
  add_user_agent: {
    value: true,
    check: (rig) => {
      expect(seen(rig, 'user-agent')).toBe('test-cluster');
      expect(seen(rig, 'x-envoy-downstream-service-cluster')).toBe('test-cluster');
    },
    besides: { use_remote_address: true },
  },
  common_http_protocol_options: {
    value: { max_headers_count: 1 },
    send: get('/', 'x: 1'),
    check: (rig) => expect(rig.response.status).toBe(431),
  },
  http_protocol_options: {
    value: { accept_http_10: true },
    send: 'GET / HTTP/1.0\r\nhost: a\r\n\r\n',
    check: (rig) => expect(rig.response.status).toBe(200),
  },
  http2_protocol_options: {
    value: { max_concurrent_streams: 7 },
    send: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0',
    // SETTINGS_MAX_CONCURRENT_STREAMS (3), RFC 9113 section 6.5.1.
    check: (rig) => expect(rig.client.text).toContain('\0\x03\0\0\0\x07'),
  },
  add_proxy_protocol_connection_state: {
    value: false,
    check: (rig) => expect(rig.context.logged[0]?.info.tellsAddresses).toBe(false),
  },
  server_name: { value: 'mine', check: (rig) => expect(rig.response.header('server')).toBe('mine') },
  server_header_transformation: {
    value: 'PASS_THROUGH',
    check: (rig) => expect(rig.response.header('server')).toBeUndefined(),
  },
  scheme_header_transformation: {
    value: { scheme_to_overwrite: 'https' },
    check: (rig) => expect(rig.requests[0]?.scheme).toBe('https'),
  },
  max_request_headers_kb: {
    value: 1,
    send: get('/', `x: ${'y'.repeat(1100)}`),
    check: (rig) => expect(rig.response.status).toBe(431),
  },
  stream_idle_timeout: {
    value: '1s',
    rig: silent,
    check: async (rig) => expect(await after(rig, 1000)).toBe(504),
  },
  request_timeout: {
    value: '1s',
    rig: silent,
    send: 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\n',
    check: async (rig) => expect(await after(rig, 1000)).toBe(408),
  },
  request_headers_timeout: {
    value: '1s',
    send: 'GET / HTTP/1.1\r\n',
    check: async (rig) => expect(await after(rig, 1000)).toBe(408),
  },
  delayed_close_timeout: { value: '3s', check: (rig) => expect(rig.pair.server.delayedCloseMs).toBe(3000) },
  drain_timeout: {
    value: '3s',
    besides: { common_http_protocol_options: { idle_timeout: '1s' } },
    check: (rig) => expectClosedAfter(rig, 4000),
  },
  drain_timeout_jitter: {
    value: { value: 100 },
    rig: { context: { random: Object.assign(new SeededRandom(), { random: () => 0.5 }) } },
    besides: { common_http_protocol_options: { idle_timeout: '1s' }, drain_timeout: '3s' },
    check: (rig) => expectClosedAfter(rig, 5500),
  },
  http1_safe_max_connection_duration: {
    value: true,
    besides: { common_http_protocol_options: { max_connection_duration: '1s' } },
    check: async (rig) => {
      await rig.advance(100_000);
      expect(rig.closed).toBe(false);
      expect(rig.stat('downstream_cx_http1_soft_drain')).toBe(1);
    },
  },
  stream_flush_timeout: {
    value: '1s',
    // What it does is a matter of HTTP/2 (http2/test/server-timeouts.test.ts).
    besides: { codec_type: 'HTTP1' },
    check: (rig) => expect(rig.context.warnings.join()).toContain('stream_flush_timeout: has no effect'),
  },
  stream_error_on_invalid_http_message: {
    value: true,
    send: get('/a%00b'),
    besides: { normalize_path: true },
    check: (rig) => expect([rig.response.status, rig.closed]).toEqual([400, false]),
  },
  local_reply_config: {
    value: { mappers: [{ filter: { not_health_check_filter: {} }, status_code: 499 }] },
    rig: { upstream: { headers: (stream) => stream.reply({ status: 500, details: 'x' }) } },
    check: (rig) => expect(rig.response.status).toBe(499),
  },
  access_log_options: {
    value: { access_log_flush_interval: '1s' },
    rig: silent,
    check: async (rig) => {
      await rig.advance(1000);
      expect(rig.context.logged).toHaveLength(1);
    },
  },
  access_log_flush_interval: {
    value: '1s',
    rig: silent,
    check: async (rig) => {
      await rig.advance(1000);
      expect(rig.context.logged).toHaveLength(1);
    },
  },
  flush_access_log_on_new_request: {
    value: true,
    rig: silent,
    check: (rig) => expect(rig.context.logged).toHaveLength(1),
  },
  proxy_status_config: {
    value: {},
    send: 'nonsense\r\n\r\n',
    check: (rig) => expect(rig.response.header('proxy-status')).toContain('rig; error=http_request_error'),
  },
  early_header_mutation_extensions: {
    value: [
      { name: 'early', typed_config: { '@type': 'type.googleapis.com/google.protobuf.Struct', value: {} } },
    ],
    rig: { extensions: [early] },
    check: (rig) => expect(seen(rig, 'x-early')).toBe('yes'),
  },
  set_current_client_cert_details: {
    value: { uri: true },
    besides: { forward_client_cert_details: 'SANITIZE_SET' },
    rig: mutualTls,
    check: (rig) => expect(seen(rig, 'x-forwarded-client-cert')).toBe('Hash=abc;URI=spiffe://client'),
  },
  forward_client_cert_matcher: {
    value: {
      on_no_match: {
        action: {
          name: 'forward_client_cert',
          typed_config: {
            '@type':
              'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.ForwardClientCertConfig',
            forward_client_cert_details: 'SANITIZE_SET',
          },
        },
      },
    },
    rig: mutualTls,
    check: (rig) => expect(seen(rig, 'x-forwarded-client-cert')).toBe('Hash=abc'),
  },
  access_log: {
    value: [{ name: 'log' }, { name: 'log2' }],
    check: (rig) => expect(rig.context.logged).toHaveLength(2),
  },
  use_remote_address: { value: true, check: (rig) => expect(seen(rig, 'x-forwarded-for')).toBe('192.0.2.1') },
  xff_num_trusted_hops: {
    value: 1,
    send: get('/', 'x-forwarded-for: 198.51.100.7, 10.0.0.1'),
    check: (rig) => expect(rig.lastLog.info.remoteAddress.ip).toBe('198.51.100.7'),
  },
  original_ip_detection_extensions: {
    value: [
      { name: 'detects', typed_config: { '@type': 'type.googleapis.com/google.protobuf.Struct', value: {} } },
    ],
    rig: { extensions: [detection] },
    check: (rig) => expect(rig.lastLog.info.remoteAddress.ip).toBe('203.0.113.9'),
  },
  internal_address_config: {
    value: { cidr_ranges: [{ address_prefix: '192.0.2.0', prefix_len: 24 }] },
    besides: { use_remote_address: true },
    check: (rig) => expect(seen(rig, 'x-envoy-internal')).toBe('true'),
  },
  skip_xff_append: {
    value: true,
    besides: { use_remote_address: true },
    check: (rig) => expect(seen(rig, 'x-forwarded-for')).toBeUndefined(),
  },
  via: {
    value: 'me',
    check: (rig) => {
      expect(seen(rig, 'via')).toBe('me');
      expect(rig.response.header('via')).toBe('me');
    },
  },
  append_local_overload: {
    value: true,
    rig: { context: { overload: overloaded() } },
    check: (rig) => expect(rig.response.header('x-envoy-local-overloaded')).toBe('true'),
  },
  generate_request_id: { value: true, check: (rig) => expect(seen(rig, 'x-request-id')).toBe('rid') },
  preserve_external_request_id: {
    value: true,
    besides: { use_remote_address: true, generate_request_id: true },
    send: get('/', 'x-request-id: theirs'),
    check: (rig) => expect(seen(rig, 'x-request-id')).toBe('theirs'),
  },
  always_set_request_id_in_response: {
    value: true,
    besides: { generate_request_id: true },
    check: (rig) => expect(rig.response.header('x-request-id')).toBe('rid'),
  },
  forward_client_cert_details: {
    value: 'ALWAYS_FORWARD_ONLY',
    send: get('/', 'x-forwarded-client-cert: Hash=1'),
    check: (rig) => expect(seen(rig, 'x-forwarded-client-cert')).toBe('Hash=1'),
  },
  proxy_100_continue: {
    value: true,
    send: 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\nexpect: 100-continue\r\n\r\n',
    check: (rig) => expect(rig.client.text).toBe(''),
  },
  normalize_path: {
    value: true,
    send: get('/a/../b'),
    check: (rig) => expect(rig.requests[0]?.path).toBe('/b'),
  },
  merge_slashes: {
    value: true,
    send: get('/a//b'),
    check: (rig) => expect(rig.requests[0]?.path).toBe('/a/b'),
  },
  path_with_escaped_slashes_action: {
    value: 'REJECT_REQUEST',
    send: get('/a%2fb'),
    check: (rig) => expect(rig.response.status).toBe(400),
  },
  request_id_extension: {
    value: {
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig',
      },
    },
    rig: {},
    check: (rig) => expect(rig).toBeInstanceOf(ConfigError),
  },
  strip_matching_host_port: {
    value: true,
    send: 'GET / HTTP/1.1\r\nhost: a.test:80\r\n\r\n',
    check: (rig) => expect(rig.requests[0]?.authority).toBe('a.test'),
  },
  strip_any_host_port: {
    value: true,
    send: 'GET / HTTP/1.1\r\nhost: a.test:8443\r\n\r\n',
    check: (rig) => expect(rig.requests[0]?.authority).toBe('a.test'),
  },
  strip_trailing_host_dot: {
    value: true,
    send: 'GET / HTTP/1.1\r\nhost: a.test.\r\n\r\n',
    check: (rig) => expect(rig.requests[0]?.authority).toBe('a.test'),
  },
  upgrade_configs: {
    value: [{ upgrade_type: 'websocket' }],
    send: get('/', 'connection: upgrade', 'upgrade: websocket'),
    check: (rig) => expect(rig.requests[0]?.get('upgrade')).toBe('websocket'),
  },
  append_x_forwarded_port: {
    value: true,
    besides: { use_remote_address: true },
    check: (rig) => expect(seen(rig, 'x-forwarded-port')).toBe('80'),
  },
  // What it does is tested in scoped-routes.test.ts.
  scoped_routes: {
    value: {
      name: 's',
      scope_key_builder: { fragments: [{ header_value_extractor: { name: 'x-scope', index: 0 } }] },
      scoped_route_configurations_list: { scoped_route_configurations: [] },
    },
    besides: { route_config: undefined },
    check: (rig) => expect(rig.streams[0]?.route).toBeUndefined(),
  },
  rds: {
    value: { route_config_name: 'r', config_source: { ads: {} } },
    besides: { route_config: undefined },
    rig: { context: { dynamicResources: new FakeDynamicResources() } },
    check: (rig) => expect(rig.streams[0]?.routeMiss()?.details).toBe('no_route_configuration'),
  },
};

/** `true`: by the general text; else a part of the text. */
const REFUSED: Readonly<Record<string, readonly [value: unknown, text: string | RegExp]>> = {
  tracing: [{}, 'tracing is not supported yet'],
  http3_protocol_options: [{}, 'HTTP/3 is not supported yet'],
  represent_ipv4_remote_address_as_ipv4_mapped_ipv6: [true, 'not built, in Envoy neither'],
  path_normalization_options: [{}, 'use normalize_path and merge_slashes'],
  typed_header_validation_config: [
    { name: 'e', typed_config: { '@type': 'type.googleapis.com/google.protobuf.Struct', value: {} } },
    'header validators are not supported',
  ],
  forward_proto_config: [{}, 'is not built yet'],
};

const COMMON: Readonly<Record<string, Acts>> = {
  idle_timeout: { value: '1s', check: (rig) => expectClosedAfter(rig, 6000) },
  max_connection_duration: { value: '1s', check: (rig) => expectClosedAfter(rig, 6000) },
  max_headers_count: {
    value: 1,
    send: get('/', 'x: 1'),
    check: (rig) => expect(rig.response.status).toBe(431),
  },
  max_stream_duration: {
    value: '1s',
    rig: silent,
    check: async (rig) => expect(await after(rig, 1000)).toBe(504),
  },
  headers_with_underscores_action: {
    value: 'DROP_HEADER',
    send: get('/', 'a_b: 1'),
    check: (rig) => {
      expect(seen(rig, 'a_b')).toBeUndefined();
      expect(rig.context.stats.value('http1.dropped_headers_with_underscores')).toBe(1);
    },
  },
  max_requests_per_connection: { value: 1, check: (rig) => expect(rig.closed).toBe(true) },
};

const HTTP1: Readonly<Record<string, Acts>> = {
  allow_absolute_url: {
    value: false,
    send: get('http://a.test/'),
    check: (rig) => expect(rig.response.status).toBe(404),
  },
  accept_http_10: {
    value: true,
    send: 'GET / HTTP/1.0\r\nhost: a\r\n\r\n',
    check: (rig) => expect(rig.response.status).toBe(200),
  },
  default_host_for_http_10: {
    value: 'd.test',
    besides: { accept_http_10: true },
    send: 'GET / HTTP/1.0\r\n\r\n',
    check: (rig) => expect(rig.requests[0]?.authority).toBe('d.test'),
  },
  header_key_format: {
    value: { proper_case_words: {} },
    check: (rig) => expect(rig.client.text).toContain('\r\nServer: rig'),
  },
  enable_trailers: {
    value: true,
    send: 'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx-t: 1\r\n\r\n',
    check: (rig) => expect(rig.upstream).toContain('trailers'),
  },
  allow_chunked_length: {
    value: true,
    send: 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
    check: (rig) => expect(rig.response.status).toBe(200),
  },
  override_stream_error_on_invalid_http_message: {
    value: true,
    send: get('/a%00b'),
    rig: { manager: { normalize_path: true } },
    check: (rig) => expect([rig.response.status, rig.closed]).toEqual([400, false]),
  },
  ignore_http_11_upgrade: {
    value: [{ exact: 'websocket' }],
    send: get('/', 'connection: upgrade', 'upgrade: websocket'),
    check: (rig) => expect(rig.response.status).toBe(200),
  },
  use_balsa_parser: {
    value: true,
    check: (rig) => expect(rig.context.warnings.join()).toContain('use_balsa_parser: has no effect'),
  },
  send_fully_qualified_url: {
    value: true,
    check: (rig) => expect(rig.context.warnings.join()).toContain('send_fully_qualified_url: has no effect'),
  },
  allow_custom_methods: {
    value: true,
    send: 'BREW / HTTP/1.1\r\nhost: a\r\n\r\n',
    check: (rig) => expect(rig.response.status).toBe(200),
  },
};

/** Capitals for all. */
const capitals: HeaderFormatterExtension = {
  category: 'header-formatters',
  name: 'capitals',
  create: () => () => ({ remember() {}, format: (name) => name.toUpperCase(), reasonPhrase: '' }),
};

const names = ({ fields }: DescMessage) => fields.map(({ name }) => name).sort();
const build = (acts: Acts, manager: object) =>
  new ManagerRig({
    ...acts.rig,
    manager: { ...acts.rig?.manager, ...acts.besides, ...manager } as JsonObject,
  });

async function run(acts: Acts, manager: object): Promise<void> {
  const rig = build(acts, manager);
  await rig.send(acts.send ?? get());
  await acts.check(rig);
}

describe('every field of HttpConnectionManager', () => {
  test('either acts or is refused by name', () => {
    expect([...Object.keys(FIELDS), ...Object.keys(REFUSED)].sort()).toEqual(
      names(HttpConnectionManagerSchema),
    );
    expect([...Object.keys(COMMON), 'max_response_headers_kb'].sort()).toEqual(
      names(HttpProtocolOptionsSchema),
    );
    expect(
      () => new ManagerRig({ manager: { common_http_protocol_options: { max_response_headers_kb: 1 } } }),
    ).toThrow('max_response_headers_kb: is not possible here');
    expect(Object.keys(HTTP1).sort()).toEqual(names(Http1ProtocolOptionsSchema));
  });

  const { request_id_extension: foreign, ...acting } = FIELDS;
  test.each(Object.entries(acting))('%s acts', (field, acts) => run(acts, { [field]: acts.value }));

  test('request_id_extension names an extension, which must be there', () => {
    expect(() => build(foreign as Acts, { request_id_extension: foreign?.value })).toThrow(
      /request_id_extension\.typed_config: .*@dragoman\/request-id-uuid/,
    );
  });

  test.each(Object.entries(REFUSED))('%s is refused by name', (field, [value, text]) => {
    expect(() => new ManagerRig({ manager: { [field]: value } as JsonObject })).toThrow(
      expect.objectContaining({
        problems: [{ path: field, message: expect.stringContaining(text as string) }],
      }),
    );
  });

  test.each(Object.entries(COMMON))('common_http_protocol_options.%s acts', (field, acts) =>
    run(acts, { common_http_protocol_options: { [field]: acts.value } }),
  );

  test.each(Object.entries(HTTP1))('http_protocol_options.%s acts', (field, acts) =>
    run({ ...acts, besides: {} }, { http_protocol_options: { ...acts.besides, [field]: acts.value } }),
  );

  test.each([
    ['stream_error_on_invalid_http_message', { stream_error_on_invalid_http_message: false }],
    [
      'override_stream_error_on_invalid_http_message',
      { http_protocol_options: { override_stream_error_on_invalid_http_message: false } },
    ],
  ])('%s: false says what is so', (_field, manager) => {
    expect(() => new ManagerRig({ manager })).not.toThrow();
  });

  test('a stateful formatter spells the names of the requests that come in', async () => {
    const rig = new ManagerRig({
      extensions: [capitals],
      manager: {
        http_protocol_options: {
          header_key_format: {
            stateful_formatter: {
              name: 'capitals',
              typed_config: { '@type': 'type.googleapis.com/google.protobuf.Struct', value: {} },
            },
          },
        },
      },
    });
    await rig.request();
    expect(rig.requests[0]?.nameFormatter?.format('x-a')).toBe('X-A');
    // A response is spelled by the formatter of the connection which it came from.
    expect(rig.client.text).toContain('\r\nserver: rig');
  });
});

describe('config errors', () => {
  const rejects = (manager: object) => {
    try {
      new ManagerRig({ filters: { plain: {} }, manager: manager as JsonObject });
    } catch (error) {
      return (error as ConfigError).message;
    }
    return 'accepted';
  };
  const CORS = { '@type': 'type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors' };

  test.each([
    ['no filter', { http_filters: [] }, 'http_filters: there is no filter'],
    [
      'no terminal filter',
      { http_filters: [{ name: 'plain' }] },
      'http_filters[0]: the last filter must be a terminal one',
    ],
    [
      'a terminal filter in the middle',
      { http_filters: [{ name: 'terminal' }, { name: 'plain' }] },
      'http_filters[0]: terminal is a terminal filter: it must be the last',
    ],
    [
      'two filters of one name',
      { http_filters: [{ name: 'plain' }, { name: 'plain' }, { name: 'terminal' }] },
      'http_filters[1].name: there are two filters named "plain"',
    ],
    [
      'a terminal filter that is off',
      { http_filters: [{ name: 'terminal', disabled: true }] },
      'http_filters[0].disabled: a terminal filter cannot be disabled',
    ],
    [
      'an unknown extension',
      { http_filters: [{ name: 'envoy.filters.http.cors', typed_config: CORS }, { name: 'terminal' }] },
      'the package @dragoman/http-filter-cors would provide it',
    ],
    [
      'a discovered filter that nobody could be',
      {
        http_filters: [
          { name: 'x', config_discovery: { config_source: { ads: {} }, type_urls: ['x'] } },
          { name: 'terminal' },
        ],
      },
      'http_filters[0].config_discovery.type_urls[0]: unknown extension "x" (x)',
    ],
    ['HTTP/3', { codec_type: 'HTTP3' }, 'codec_type: HTTP3 is not supported; use AUTO, HTTP1 or HTTP2'],
    [
      'original_ip_detection_extensions with use_remote_address',
      { use_remote_address: true, original_ip_detection_extensions: [{ name: 'x', typed_config: CORS }] },
      'Original IP detection extensions and use_remote_address may not be mixed',
    ],
    [
      'original_ip_detection_extensions with xff_num_trusted_hops',
      { xff_num_trusted_hops: 1, original_ip_detection_extensions: [{ name: 'x', typed_config: CORS }] },
      'Original IP detection extensions and xff_num_trusted_hops may not be mixed',
    ],
    [
      'an early header mutation that is not there',
      {
        early_header_mutation_extensions: [
          { name: 'envoy.http.early_header_mutation.x', typed_config: CORS },
        ],
      },
      'the package @dragoman/header-mutation-x would provide it',
    ],
    ['no routes', { route_config: undefined }, 'route_config: a route configuration is required'],
    [
      'an unknown stateful key formatter',
      {
        http_protocol_options: {
          header_key_format: { stateful_formatter: { name: 'x', typed_config: CORS } },
        },
      },
      'http_protocol_options.header_key_format.stateful_formatter.typed_config: extension "x"',
    ],
  ])('%s', (_, manager, text) => {
    expect(rejects(manager)).toContain(text);
  });

  test('every problem is reported, not only the first', () => {
    const text = rejects({
      codec_type: 'HTTP3',
      tracing: {},
      route_config: { virtual_hosts: [{ name: 'v', domains: ['*'], routes: [{ match: { prefix: '/' } }] }] },
      http_filters: [{ name: 'plain' }],
      http_protocol_options: { header_key_format: { stateful_formatter: { name: 'nope' } } },
    });
    for (const path of [
      'codec_type: ',
      'tracing: ',
      'route_config.virtual_hosts[0].routes[0]',
      'http_filters[0]: ',
      'http_protocol_options.header_key_format.stateful_formatter',
    ]) {
      expect(text).toContain(path);
    }
  });

  test('an optional filter that the proxy does not have is left out, with a warning', async () => {
    const rig = new ManagerRig({
      manager: {
        http_filters: [{ name: 'cors', typed_config: CORS, is_optional: true }, { name: 'terminal' }],
      },
      upstream: { headers: (stream) => ok(stream) },
    });
    await rig.request();
    expect(rig.response.status).toBe(200);
    expect(rig.context.warnings).toEqual([
      'http filter cors: is optional and not part of this proxy: it is left out',
    ]);
  });
});
