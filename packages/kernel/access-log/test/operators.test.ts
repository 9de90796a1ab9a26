import { Address, type LogContext, RequestHeaders, ResponseHeaders, Trailers } from '@dragoman/core';
import { FakeClock, SeededRandom } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { createFormatterFactory, OPERATOR_NAMES } from '../src/index.ts';
import { ENVOY_OPERATORS, WITHOUT_SOURCE } from './envoy-operators.ts';
import { emptyContext, fullContext, host, jsonMessage, START, START_WALL, tls } from './fixtures.ts';

const clock = new FakeClock(START_WALL + 1000, START + 40);
const factory = createFormatterFactory({
  clock,
  random: new SeededRandom(3),
  hostname: 'node-1',
  env: { REGION: 'eu-west', EMPTY: '' },
});

function print(format: string, context: LogContext): string {
  return factory.text(format).format(context);
}

function json(format: string, context: LogContext): unknown {
  const formatter = factory.fromConfig(jsonMessage({ v: format }));
  return JSON.parse(Buffer.from(formatter.format(context), 'latin1').toString('utf8')).v;
}

/** A full context over TLS, both ways. */
function tlsContext(): LogContext {
  const context = fullContext();
  context.info.connection.tls = tls;
  context.info.upstreamTls = { ...tls, peerSubject: 'CN=upstream' };
  return context;
}

function withMetadata(): LogContext {
  const context = fullContext();
  context.info.dynamicMetadata.set('ns', {
    word: 'héllo',
    number: 1.5,
    flag: true,
    nothing: null,
    list: [1, 'a'],
    nested: { b: 2, a: { deep: 'x' } },
  });
  context.info.filterState.set('both', {
    toText: () => 'plain text',
    toJson: () => ({ name: 'n', count: 2, inner: {} }),
  });
  context.info.filterState.set('none', {});
  context.info.filterState.set('word', { toText: () => 'wörd', toJson: () => 'wörd' });
  context.info.filterState.set('null', { toJson: () => null });
  return context;
}

function grpcContext(status?: string, where: 'trailers' | 'headers' = 'trailers', code = 200): LogContext {
  const request = new RequestHeaders();
  request.append('content-type', 'application/grpc+proto');
  const response = new ResponseHeaders();
  const responseTrailers = new Trailers();
  if (status !== undefined)
    (where === 'trailers' ? responseTrailers : response).append('grpc-status', status);
  const context = emptyContext();
  context.info.responseCode = code;
  return { ...context, request, response, responseTrailers };
}

/** Operator, what it prints for a full context, what for an empty one, and its JSON when that is no string. */
const table: [format: string, full: string, empty: string, typed?: unknown][] = [
  ['%REQ(:METHOD)%', 'GET', '-'],
  ['%REQ(:path)%', '/new?a=1&b=%41%0a&c', '-'],
  ['%REQ(:AUTHORITY)%', 'shop.example', '-'],
  ['%REQ(:SCHEME)%', 'http', '-'],
  ['%REQ(Host)%', 'shop.example', '-'],
  ['%REQ(X-Missing)%', '-', '-', null],
  ['%REQ(X-Missing?USER-AGENT)%', 'curl/8.0', '-'],
  ['%REQ(USER-AGENT?X-Custom)%', 'curl/8.0', '-'],
  ['%REQ(USER-AGENT?)%', 'curl/8.0', '-'],
  ['%REQ(USER-AGENT):4%', 'curl', '-'],
  ['%REQ(X-Missing?USER-AGENT):100%', 'curl/8.0', '-'],
  ['%REQ(USER-AGENT):0%', '', '-'],
  ['%REQ(USER-AGENT):0004%', 'curl', '-'],
  ['%REQ(USER-AGENT):18446744073709551615%', 'curl/8.0', '-'],
  ['%REQ(x-custom)%', 'one', '-'],
  ['%REQ(x-forwarded-for)%', '198.51.100.1,203.0.113.7', '-'],
  ['%REQUEST_HEADER(user-agent):3%', 'cur', '-'],
  ['%REQ_WITHOUT_QUERY(:PATH)%', '/new', '-'],
  ['%REQ_WITHOUT_QUERY(X-ENVOY-ORIGINAL-PATH?:PATH)%', '/old', '-'],
  ['%REQ_WITHOUT_QUERY(X-Missing?:PATH):3%', '/ne', '-'],
  ['%REQ_WITHOUT_QUERY(user-agent)%', 'curl/8.0', '-'],
  ['%REQ_WITHOUT_QUERY(X-Missing)%', '-', '-', null],
  ['%RESP(:STATUS)%', '200', '-'],
  ['%RESP(x-none?Content-Type):4%', 'text', '-'],
  ['%RESPONSE_HEADER(content-type)%', 'text/plain', '-'],
  ['%TRAILER(x-checksum)%', 'abc', '-'],
  ['%RESPONSE_TRAILER(x-checksum):2%', 'ab', '-'],
  [
    '%REQUEST_HEADERS_BYTES%',
    String(fullContext().request?.byteSize()),
    '0',
    fullContext().request?.byteSize(),
  ],
  [
    '%RESPONSE_HEADERS_BYTES%',
    String(fullContext().response?.byteSize()),
    '0',
    fullContext().response?.byteSize(),
  ],
  ['%RESPONSE_TRAILERS_BYTES%', '13', '0', 13],
  ['%XFCC_VALUE(uri)%', 'spiffe://a', '-'],
  ['%XFCC_VALUE(By)%', 'spiffe://s', '-'],
  ['%XFCC_VALUE(SUBJECT)%', 'CN="x,y"', '-'],
  ['%XFCC_VALUE(hash)%', '-', '-', null],
  ['%PATH%', '/old?q=2', '-'],
  ['%PATH(WQ:PATH)%', '/new?a=1&b=%41%0a&c', '-'],
  ['%PATH(NQ:PATH)%', '/new', '-'],
  ['%PATH(NQ)%', '/old', '-'],
  ['%PATH(NQ:ORIG):2%', '/o', '-'],
  ['%PATH(WQ:ORIG_OR_PATH)%', '/old?q=2', '-'],
  ['%QUERY_PARAM(a)%', '1', '-'],
  ['%QUERY_PARAM(b)%', 'A\\n', '-', 'A\n'],
  ['%QUERY_PARAM(b):1%', 'A', '-'],
  ['%QUERY_PARAM(c)%', '', '-'],
  ['%QUERY_PARAM(d)%', '-', '-', null],
  ['%QUERY_PARAMS%', 'a=1&b=%41%0a&c', '-'],
  ['%QUERY_PARAMS(ORIG):3%', 'a=1', '-'],
  ['%QUERY_PARAMS(DECODED)%', 'a=1&b=A\\n&c', '-', 'a=1&b=A\n&c'],
  ['%BYTES_RECEIVED%', '11', '0', 11],
  ['%BYTES_SENT%', '2222', '0', 2222],
  ['%BYTES_RETRANSMITTED%', '0', '0', 0],
  ['%PACKETS_RETRANSMITTED%', '0', '0', 0],
  ['%UPSTREAM_WIRE_BYTES_SENT%', '101', '0', 101],
  ['%UPSTREAM_WIRE_BYTES_RECEIVED%', '102', '0', 102],
  ['%UPSTREAM_HEADER_BYTES_SENT%', '103', '0', 103],
  ['%UPSTREAM_HEADER_BYTES_RECEIVED%', '104', '0', 104],
  ['%UPSTREAM_DECOMPRESSED_HEADER_BYTES_SENT%', '103', '0', 103],
  ['%UPSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED%', '104', '0', 104],
  ['%DOWNSTREAM_WIRE_BYTES_SENT%', '105', '0', 105],
  ['%DOWNSTREAM_WIRE_BYTES_RECEIVED%', '106', '0', 106],
  ['%DOWNSTREAM_HEADER_BYTES_SENT%', '107', '0', 107],
  ['%DOWNSTREAM_HEADER_BYTES_RECEIVED%', '108', '0', 108],
  ['%DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_SENT%', '107', '0', 107],
  ['%DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED%', '108', '0', 108],
  ['%PROTOCOL%', 'HTTP/1.1', '-'],
  ['%UPSTREAM_PROTOCOL%', 'HTTP/1.1', '-'],
  ['%RESPONSE_CODE%', '200', '0', 200],
  ['%RESPONSE_CODE_DETAILS%', 'via_upstream', '-'],
  ['%RESPONSE_CODE_DETAILS(ALLOW_WHITESPACES)%', 'via upstream', '-'],
  ['%CONNECTION_TERMINATION_DETAILS%', 'filter says no', '-'],
  ['%DURATION%', '34', '40', 34],
  ['%COMMON_DURATION(DS_RX_BEG:DS_RX_END)%', '1', '-', 1],
  ['%COMMON_DURATION(DS_RX_BEG:DS_RX_END:us)%', '1500', '-', 1500],
  ['%COMMON_DURATION(US_CX_BEG:US_CX_END:ns)%', '1250000', '-', 1_250_000],
  ['%COMMON_DURATION(US_CX_END:US_HS_END:us)%', '750', '-', 750],
  ['%COMMON_DURATION(US_TX_BEG:US_TX_END:ms)%', '1', '-', 1],
  ['%COMMON_DURATION(US_RX_BEG:US_RX_END)%', '11', '-', 11],
  ['%COMMON_DURATION(DS_TX_BEG:DS_TX_END:us)%', '12700', '-', 12_700],
  ['%COMMON_DURATION(DS_CX_BEG:DS_RX_BEG)%', '250', '0', 250],
  ['%COMMON_DURATION(DS_CX_BEG:DS_CX_END)%', '-', '-', null],
  ['%COMMON_DURATION(DS_TX_END:DS_RX_BEG)%', '-', '-', null],
  ['%REQUEST_DURATION%', '1', '-', 1],
  ['%REQUEST_TX_DURATION%', '6', '-', 6],
  ['%RESPONSE_DURATION%', '20', '-', 20],
  ['%RESPONSE_TX_DURATION%', '13', '-', 13],
  ['%DOWNSTREAM_HANDSHAKE_DURATION%', '0', '-', 0],
  ['%ROUNDTRIP_DURATION%', '-', '-', null],
  ['%UPSTREAM_CONNECTION_POOL_READY_DURATION%', '2', '-', 2],
  ['%RESPONSE_FLAGS%', 'UF,URX', '-'],
  ['%RESPONSE_FLAGS_LONG%', 'UpstreamConnectionFailure,UpstreamRetryLimitExceeded', '-'],
  ['%UPSTREAM_HOST%', '10.1.0.5:8080', '-'],
  ['%UPSTREAM_HOST_NAME%', 'backend.example', '-'],
  ['%UPSTREAM_HOST_NAME_WITHOUT_PORT%', 'backend.example', '-'],
  ['%UPSTREAM_CLUSTER%', 'backend', '-'],
  ['%UPSTREAM_CLUSTER_RAW%', 'backend-v2', '-'],
  ['%UPSTREAM_LOCAL_ADDRESS%', '10.0.0.1:50000', '-'],
  ['%UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%', '10.0.0.1', '-'],
  ['%UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT(8)%', '10.0.0.0/8', '-'],
  ['%UPSTREAM_LOCAL_PORT%', '50000', '-', 50_000],
  ['%UPSTREAM_REMOTE_ADDRESS%', '[2001:db8::1]:8080', '-'],
  ['%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%', '2001:db8::1', '-'],
  ['%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(32)%', '2001:db8::/32', '-'],
  ['%UPSTREAM_REMOTE_PORT%', '8080', '-', 8080],
  ['%UPSTREAM_TRANSPORT_FAILURE_REASON%', 'connection_refused', '-'],
  ['%UPSTREAM_REQUEST_ATTEMPT_COUNT%', '2', '0', 2],
  ['%UPSTREAM_CONNECTION_ID%', '12', '0', 12],
  ['%UPSTREAM_METADATA(envoy.lb:stage)%', 'canary', '-'],
  ['%UPSTREAM_METADATA(envoy.lb:weight)%', '3', '-', 3],
  ['%UPSTREAM_METADATA(envoy.lb)%', '{"stage":"canary","weight":3}', '-', { stage: 'canary', weight: 3 }],
  ['%UPSTREAM_METADATA(envoy.lb):8%', '{"stage"', '-', { stage: 'canary', weight: 3 }],
  ['%CLUSTER_METADATA(a:b)%', '-', '-', null],
  ['%CLUSTER_METADATA(ns:from)%', 'cluster', '-'],
  ['%CLUSTER_METADATA(ns:nested):5%', '{"dee', '-', { deep: 1 }],
  ['%METADATA(CLUSTER:ns:nested:deep)%', '1', '-', 1],
  ['%METADATA(ROUTE:ns:from)%', 'route', '-'],
  ['%METADATA(ROUTE:ns)%', '{"from":"route"}', '-', { from: 'route' }],
  ['%METADATA(ROUTE:ns:from):2%', 'ro', '-', 'route'],
  ['%METADATA(ROUTE:other)%', '-', '-', null],
  ['%METADATA(VIRTUAL_HOST:ns:from)%', 'host', '-'],
  ['%METADATA(VIRTUAL_HOST:ns)%', '{"from":"host"}', '-', { from: 'host' }],
  ['%METADATA(UPSTREAM_HOST:envoy.lb:stage)%', 'canary', '-'],
  ['%METADATA(LISTENER:ns:from)%', 'listener', '-'],
  ['%METADATA(LISTENER_FILTER_CHAIN:ns:from)%', 'chain', '-'],
  ['%METADATA(DYNAMIC:ns:word)%', '-', '-', null],
  ['%FILTER_CHAIN_NAME%', 'edge', '-'],
  ['%UPSTREAM_HOSTS_ATTEMPTED%', '10.1.0.5:8080', '-'],
  ['%UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT%', '10.1.0.5', '-'],
  ['%UPSTREAM_HOST_NAMES_ATTEMPTED%', 'backend.example', '-'],
  ['%UPSTREAM_HOST_NAMES_ATTEMPTED_WITHOUT_PORT%', 'backend.example', '-'],
  ['%UPSTREAM_CONNECTION_IDS_ATTEMPTED%', '12', '-'],
  ['%DOWNSTREAM_REMOTE_ADDRESS%', '203.0.113.7:0', '192.0.2.9:40000'],
  ['%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%', '203.0.113.7', '192.0.2.9'],
  ['%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(20)%', '203.0.112.0/20', '192.0.0.0/20'],
  ['%DOWNSTREAM_REMOTE_PORT%', '0', '40000', 0],
  ['%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%', '192.0.2.9:40000', '192.0.2.9:40000'],
  ['%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%', '192.0.2.9', '192.0.2.9'],
  ['%DOWNSTREAM_DIRECT_REMOTE_PORT%', '40000', '40000', 40_000],
  ['%DOWNSTREAM_LOCAL_ADDRESS%', '10.0.0.1:10000', '10.0.0.1:10000'],
  ['%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%', '10.0.0.1', '10.0.0.1'],
  ['%DOWNSTREAM_LOCAL_PORT%', '10000', '10000', 10_000],
  ['%DOWNSTREAM_DIRECT_LOCAL_ADDRESS%', '10.0.0.1:10000', '10.0.0.1:10000'],
  ['%DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT(0)%', '0.0.0.0/0', '0.0.0.0/0'],
  ['%DOWNSTREAM_DIRECT_LOCAL_PORT%', '10000', '10000', 10_000],
  // Of the connection; a request's log has none.
  ['%DOWNSTREAM_TRANSPORT_FAILURE_REASON%', '-', '-', null],
  ['%TLS_JA3_FINGERPRINT%', '71d1f47d1125ac53c3c6a4863c087cfe', '-'],
  ['%TLS_JA4_FINGERPRINT%', 't12i0107en_f06271c2b022_0f3b2bcde21d', '-'],
  ['%REQUESTED_SERVER_NAME%', 'sni.example', '-'],
  ['%REQUESTED_SERVER_NAME(SNI_ONLY)%', 'sni.example', '-'],
  ['%REQUESTED_SERVER_NAME(SNI_FIRST)%', 'sni.example', '-'],
  ['%REQUESTED_SERVER_NAME(HOST_FIRST:HOST)%', 'shop.example', '-'],
  ['%REQUESTED_SERVER_NAME(HOST_FIRST:ORIG)%', 'sni.example', '-'],
  ['%ROUTE_NAME%', 'main', '-'],
  ['%VIRTUAL_CLUSTER_NAME%', 'vc', '-'],
  ['%HOSTNAME%', 'node-1', 'node-1'],
  ['%START_TIME%', '2026-01-02T03:04:05.678Z', '2026-01-02T03:04:05.678Z'],
  ['%START_TIME(%s.%3f)%', '1767323045.678', '1767323045.678'],
  ['%EMIT_TIME%', '2026-01-02T03:04:06.678Z', '2026-01-02T03:04:06.678Z'],
  ['%EMIT_TIME(%H)%', '03', '03'],
  ['%CONNECTION_ID%', '7', '7', 7],
  ['%STREAM_ID%', '0b8f6e42-7d9d-4e5e-9a3c-1f2e3d4c5b6a', '-'],
  ['%ENVIRONMENT(REGION)%', 'eu-west', 'eu-west'],
  ['%ENVIRONMENT(REGION):2%', 'eu', 'eu'],
  ['%ENVIRONMENT(EMPTY)%', '', ''],
  ['%ENVIRONMENT(NOT_SET)%', '-', '-', '-'],
  ['%TRACE_ID%', '-', '-', null],
  ['%CUSTOM_FLAGS%', '', ''],
  ['%ACCESS_LOG_TYPE%', 'DownstreamEnd', 'NotSet'],
  ['%LOCAL_REPLY_BODY%', '', ''],
  ['%GRPC_STATUS%', '-', '-', null],
  ['%GRPC_STATUS_NUMBER%', '-', '-', null],
  ['%DYNAMIC_METADATA(ns)%', '-', '-', null],
  ['%FILTER_STATE(key)%', '-', '-', null],
  ['%DOWNSTREAM_TLS_VERSION%', '-', '-', null],
  ['%COALESCE({"operators": ["TRACE_ID", {"command": "REQ", "param": ":authority"}]}):4%', 'shop', '-'],
  [
    '%COALESCE({"operators": [{"command": "REQ", "param": ":authority", "max_length": 2}, "PROTOCOL"]})%',
    'sh',
    '-',
  ],
  ['%COALESCE({"operators": ["GRPC_STATUS_NUMBER", "RESPONSE_CODE"]}):1%', '2', '0', 200],
  ['%COALESCE({"operators": ["CUSTOM_FLAGS", "CONNECTION_ID"]})%', '7', '7', 7],
  ['%COALESCE({"operators": ["TRACE_ID", "SPAN_ID"]})%', '-', '-', null],
  [
    '%COALESCE({"operators": [{"command": "UPSTREAM_METADATA", "param": "envoy.lb"}]}):8%',
    '{"stage"',
    '-',
    { stage: 'canary', weight: 3 },
  ],
  ['%COALESCE({"operators": [{"command": "UPSTREAM_METADATA", "param": "envoy.lb:stage"}]}):2%', 'ca', '-'],
  ['%COALESCE({"operators": [{"command": "START_TIME", "param": "(%Y\\u0029"}]})%', '(2026)', '(2026)'],
];

describe('operators', () => {
  it.each(table)('%s', (format, full, empty, typed) => {
    const context = fullContext();
    expect(print(format, context)).toBe(full);
    expect(print(format, emptyContext())).toBe(empty);
    expect(json(format, context)).toEqual(typed === undefined ? full : typed);
  });

  it('knows every operator that Envoy documents', () => {
    expect(ENVOY_OPERATORS.filter((name) => !OPERATOR_NAMES.includes(name))).toEqual([]);
  });

  it('prints why the transport failed in the log of the listener only', () => {
    const context: LogContext = { ...emptyContext(), type: 'NotSet' };
    context.info.connection.transportFailureReason = 'tls failed';
    expect(print('%DOWNSTREAM_TRANSPORT_FAILURE_REASON%', { ...context, type: 'TcpConnectionEnd' })).toBe(
      '-',
    );
    expect(print('%DOWNSTREAM_TRANSPORT_FAILURE_REASON%', context)).toBe('tls_failed');
    context.info.protocol = 'HTTP/1.1';
    expect(print('%DOWNSTREAM_TRANSPORT_FAILURE_REASON%', context)).toBe('-');
  });

  it('has a row in a table for every operator that may have a value', () => {
    const tables = [...table, ...tlsTable, ...metadataTable].map(([format]) => format);
    // These have tests of their own.
    const others = ['UNIQUE_ID', 'START_TIME_LOCAL', 'EMIT_TIME_LOCAL'];
    const missing = OPERATOR_NAMES.filter(
      (name) => !others.includes(name) && !tables.some((format) => new RegExp(`%${name}[%(]`).test(format)),
    );
    expect(missing).toEqual(WITHOUT_SOURCE);
    for (const name of missing) {
      const format = name === 'UPSTREAM_FILTER_STATE' ? `%${name}(x)%` : `%${name}%`;
      expect(print(format, tlsContext()), name).toBe('-');
      expect(json(format, tlsContext()), name).toBeNull();
    }
  });

  it.each([
    ['By=a;URI=b', 'uri', 'b'],
    [' uri = "b c" ;by=a', 'uri', 'b c'],
    ['URI=a,URI=b', 'uri', 'a'],
    ['By=x,URI=b', 'uri', 'b'],
    ['Subject="O=\\"A, B; C\\"";URI=b', 'subject', 'O="A, B; C"'],
    ['Subject="a\\\\";URI=b', 'uri', 'b'],
    ['Subject="a\\\\";URI=b', 'subject', 'a\\'],
    ['Subject=\\', 'subject', '\\'],
    ['URI=', 'uri', ''],
    ['URI', 'uri', ''],
    ['URI=a=b', 'uri', 'a=b'],
    ['URI=b;Subject="open', 'uri', '-'],
    ['URI=b,Subject="open', 'uri', 'b'],
    ['URI=b,Subject="open', 'subject', '-'],
    ['URIS=b', 'uri', '-'],
    ['Hash=a;Issuer="CN=ca,O=x"', 'issuer', 'CN=ca,O=x'],
    // As this proxy quotes a name that a hostile certificate has.
    ['URI="a\\";URI=\\\\\\"x"', 'uri', 'a";URI=\\"x'],
    ['', 'uri', '-'],
    [',;,;=', 'uri', '-'],
  ])('reads of x-forwarded-client-cert %j the key %s: %j', (value, key, expected) => {
    const context = fullContext();
    context.request?.set('x-forwarded-client-cert', value);
    expect(print(`%XFCC_VALUE(${key})%`, context)).toBe(expected);
  });

  it('joins the lines of x-forwarded-client-cert', () => {
    const context = fullContext();
    context.request?.append('x-forwarded-client-cert', 'DNS=d');
    expect(print('%XFCC_VALUE(dns)%', context)).toBe('d');
  });

  it('cuts a string of COALESCE by its bytes', () => {
    const context = fullContext();
    context.info.route = { routeName: 'é', virtualHostName: '' };
    const format = (length: number) => `%COALESCE({"operators": ["ROUTE_NAME"]}):${length}%`;
    expect(print(format(2), context)).toBe('\xc3\xa9');
    expect(json(format(2), context)).toBe('é');
    expect(print(format(1), context)).toBe('\xc3');
    expect(json(format(1), context)).toBe('\ufffd');
  });

  it('leaves out empty values when told to', () => {
    const formatter = factory.text('[%REQ(x-none)%%CUSTOM_FLAGS%%PROTOCOL%]', { omitEmptyValues: true });
    expect(formatter.format(fullContext())).toBe('[HTTP/1.1]');
  });

  it('writes percent signs and literal text', () => {
    expect(print('100%% é %%PROTOCOL%% %PROTOCOL%%%', fullContext())).toBe(
      '100% \xc3\xa9 %PROTOCOL% HTTP/1.1%',
    );
    expect(print('', fullContext())).toBe('');
    expect(print('%PROTOCOL%%RESPONSE_CODE%', fullContext())).toBe('HTTP/1.1200');
  });

  it('makes a new unique id each time', () => {
    const ids = new Set([1, 2, 3].map(() => print('%UNIQUE_ID%', emptyContext())));
    expect(ids.size).toBe(3);
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  });

  it('goes on counting while the stream runs', () => {
    const context = emptyContext();
    expect(print('%DURATION%', context)).toBe('40');
  });

  it('prints Unix sockets by their path, without ports', () => {
    const context = emptyContext();
    context.info.upstreamLocalAddress = Address.pipe('/run/é.sock');
    expect(print('%UPSTREAM_LOCAL_ADDRESS%', context)).toBe('/run/\xc3\xa9.sock');
    expect(print('%UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%', context)).toBe('/run/\xc3\xa9.sock');
    expect(print('%UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT(8)%', context)).toBe('-');
    expect(print('%UPSTREAM_LOCAL_PORT%', context)).toBe('');
    expect(json('%UPSTREAM_LOCAL_PORT%', context)).toBeNull();
  });

  it.each([
    ['10.1.10.23', 16, '10.1.0.0/16'],
    ['255.255.255.255', 31, '255.255.255.254/31'],
    ['10.1.10.23', 64, '-'],
    ['2001:db8:1234:5678:9abc:def0:1234:5678', 64, '2001:db8:1234:5678::/64'],
    ['2001:db8:1234:5678:9abc:def0:1234:5678', 43, '2001:db8:1220::/43'],
    ['::1', 128, '::1/128'],
    ['::1', 0, '::/0'],
    ['64:ff9b::192.0.2.33', 120, '64:ff9b::c000:200/120'],
  ])('masks %s to %i bits', (ip, bits, expected) => {
    const context = emptyContext();
    context.info.upstreamLocalAddress = Address.ip(ip, 1);
    expect(print(`%UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT(${bits})%`, context)).toBe(expected);
  });

  it('names hosts without a name by their address', () => {
    const context = fullContext();
    const name = (hostname: string, ip: string): string => {
      const upstreamHost = { ...context.info.upstreamHost, hostname, address: Address.ip(ip, 80) };
      context.info.upstreamHost = upstreamHost as never;
      return print('%UPSTREAM_HOST_NAME% %UPSTREAM_HOST_NAME_WITHOUT_PORT%', context);
    };
    expect(name('', '10.0.0.1')).toBe('10.0.0.1:80 10.0.0.1');
    expect(name('', '::1')).toBe('[::1]:80 [::1]');
    expect(name('a.example:81', '::1')).toBe('a.example:81 a.example');
    expect(name('::1', '::1')).toBe('::1 ::1');
  });

  it('lists the hosts and connections of every attempt', () => {
    const { info } = emptyContext();
    const context = { ...emptyContext(), info };
    info.upstreamHost = host;
    info.upstreamConnectionId = 3;
    info.startNextUpstreamAttempt();
    // An attempt that got no connection, at a host without a name.
    info.upstreamHost = { ...host, hostname: '', address: Address.ip('::1', 81) };
    info.startNextUpstreamAttempt();
    info.upstreamHost = { ...host, hostname: 'c.example:82', address: Address.pipe('/run/c.sock') };
    info.upstreamConnectionId = 5;
    expect(print('%UPSTREAM_HOSTS_ATTEMPTED%', context)).toBe('10.1.0.5:8080,[::1]:81,/run/c.sock');
    expect(print('%UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT%', context)).toBe('10.1.0.5,::1,/run/c.sock');
    expect(print('%UPSTREAM_HOST_NAMES_ATTEMPTED%', context)).toBe('backend.example,[::1]:81,c.example:82');
    expect(print('%UPSTREAM_HOST_NAMES_ATTEMPTED_WITHOUT_PORT%', context)).toBe(
      'backend.example,[::1],c.example',
    );
    expect(print('%UPSTREAM_CONNECTION_IDS_ATTEMPTED%', context)).toBe('3,5');
    expect(print('%UPSTREAM_HOST_NAME% %UPSTREAM_CONNECTION_ID%', context)).toBe('c.example:82 5');
    info.startNextUpstreamAttempt();
    expect(print('%UPSTREAM_HOST% %UPSTREAM_CONNECTION_IDS_ATTEMPTED%', context)).toBe('- 3,5');
  });

  it('times a TCP connection from its own start to its end', () => {
    const context = emptyContext({ startTime: START_WALL - 100 });
    context.info.end = START + 50;
    expect(print('%COMMON_DURATION(DS_CX_BEG:DS_CX_END)%', context)).toBe('150');
  });

  it('has no name for a filter chain without one', () => {
    const nothing = new Map();
    const context = emptyContext({
      filterChain: { name: '', metadata: nothing, listenerMetadata: nothing },
    });
    expect(print('%FILTER_CHAIN_NAME% %METADATA(LISTENER:ns)%', context)).toBe('- -');
  });

  it('keeps of a server name what a host name may hold', () => {
    const context = emptyContext({ requestedServerName: 'a b\n%é.example' });
    expect(print('%REQUESTED_SERVER_NAME%', context)).toBe('invalid:a_b____.example');
    expect(json('%REQUESTED_SERVER_NAME%', context)).toBe('invalid:a_b____.example');
  });
});

const tlsTable: [string, string][] = [
  ['%DOWNSTREAM_TLS_VERSION%', 'TLSv1.3'],
  ['%DOWNSTREAM_TLS_CIPHER%', 'TLS_AES_128_GCM_SHA256'],
  ['%DOWNSTREAM_TLS_SESSION_ID%', 'deadbeef'],
  ['%DOWNSTREAM_PEER_SUBJECT%', 'CN=client'],
  ['%DOWNSTREAM_PEER_ISSUER%', 'CN=ca'],
  ['%DOWNSTREAM_PEER_SERIAL%', '0a'],
  ['%DOWNSTREAM_PEER_FINGERPRINT_256%', 'aa'],
  ['%DOWNSTREAM_PEER_FINGERPRINT_1%', 'bb'],
  ['%DOWNSTREAM_PEER_URI_SAN%', 'spiffe://a,spiffe://b'],
  ['%DOWNSTREAM_PEER_DNS_SAN%', 'a.example,b.example'],
  ['%DOWNSTREAM_PEER_CERT%', '-----BEGIN%20CERTIFICATE-----%0AA%2B%2F%3D%0A'],
  ['%DOWNSTREAM_LOCAL_SUBJECT%', 'CN=server'],
  ['%DOWNSTREAM_LOCAL_URI_SAN%', 'spiffe://s'],
  ['%DOWNSTREAM_LOCAL_DNS_SAN%', 's.example'],
  ['%DOWNSTREAM_PEER_IP_SAN%', '192.0.2.1,2001:db8::1'],
  ['%DOWNSTREAM_PEER_EMAIL_SAN%', 'a@example'],
  ['%DOWNSTREAM_PEER_OTHERNAME_SAN%', 'other'],
  ['%DOWNSTREAM_LOCAL_IP_SAN%', '192.0.2.2'],
  ['%DOWNSTREAM_LOCAL_EMAIL_SAN%', 's@example'],
  ['%DOWNSTREAM_LOCAL_OTHERNAME_SAN%', 'own'],
  ['%DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_256%', 'aa,cc'],
  ['%DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_1%', 'bb,dd'],
  ['%DOWNSTREAM_PEER_CHAIN_SERIALS%', '0a,0b'],
  ['%DOWNSTREAM_PEER_CERT_V_START%', '2025-01-02T03:04:05.000Z'],
  ['%DOWNSTREAM_PEER_CERT_V_START(%d.%m.%Y)%', '02.01.2025'],
  ['%DOWNSTREAM_PEER_CERT_V_END(%Y)%', '2030'],
  ['%DOWNSTREAM_TLS_GROUP%', 'X25519'],
  ['%UPSTREAM_TLS_GROUP%', 'X25519'],
  ['%UPSTREAM_SERVER_NAME%', 'upstream.example'],
  ['%UPSTREAM_PEER_IP_SAN%', '192.0.2.1,2001:db8::1'],
  ['%UPSTREAM_LOCAL_IP_SAN%', '192.0.2.2'],
  ['%UPSTREAM_PEER_CERT_V_START(%s)%', '1735787045'],
  ['%UPSTREAM_PEER_CERT_V_END%', '2030-01-01T00:00:00.000Z'],
  ['%UPSTREAM_TLS_VERSION%', 'TLSv1.3'],
  ['%UPSTREAM_TLS_CIPHER%', 'TLS_AES_128_GCM_SHA256'],
  ['%UPSTREAM_TLS_SESSION_ID%', 'deadbeef'],
  ['%UPSTREAM_PEER_SUBJECT%', 'CN=upstream'],
  ['%UPSTREAM_PEER_ISSUER%', 'CN=ca'],
  ['%UPSTREAM_PEER_URI_SAN%', 'spiffe://a,spiffe://b'],
  ['%UPSTREAM_PEER_DNS_SAN%', 'a.example,b.example'],
  ['%UPSTREAM_PEER_CERT%', '-----BEGIN%20CERTIFICATE-----%0AA%2B%2F%3D%0A'],
  ['%UPSTREAM_LOCAL_URI_SAN%', 'spiffe://s'],
  ['%UPSTREAM_LOCAL_DNS_SAN%', 's.example'],
];

describe('TLS operators', () => {
  it.each(tlsTable)('%s', (format, expected) => {
    expect(print(format, tlsContext())).toBe(expected);
    expect(print(format, fullContext())).toBe('-');
    expect(json(format, tlsContext())).toBe(expected);
  });

  it('has no value for an empty field', () => {
    const context = fullContext();
    context.info.connection.tls = { version: 'TLSv1.2', cipher: '', peerDnsSans: [] };
    expect(print('%DOWNSTREAM_TLS_CIPHER% %DOWNSTREAM_PEER_DNS_SAN% %DOWNSTREAM_PEER_CERT%', context)).toBe(
      '- - -',
    );
  });
});

const metadataTable: [format: string, text: string, typed: unknown][] = [
  ['%DYNAMIC_METADATA(ns:word)%', 'h\xc3\xa9llo', 'héllo'],
  ['%DYNAMIC_METADATA(ns:word):2%', 'h\xc3', 'héllo'],
  ['%METADATA(DYNAMIC:ns:word):2%', 'h\xc3', 'héllo'],
  ['%METADATA(DYNAMIC:ns:nested:a:deep)%', 'x', 'x'],
  ['%DYNAMIC_METADATA(ns:number)%', '1.5', 1.5],
  ['%DYNAMIC_METADATA(ns:flag)%', 'true', true],
  ['%DYNAMIC_METADATA(ns:nothing)%', '-', null],
  ['%DYNAMIC_METADATA(ns:list)%', '[1,"a"]', [1, 'a']],
  ['%DYNAMIC_METADATA(ns:nested)%', '{"a":{"deep":"x"},"b":2}', { a: { deep: 'x' }, b: 2 }],
  ['%DYNAMIC_METADATA(ns:nested:a:deep)%', 'x', 'x'],
  ['%DYNAMIC_METADATA(ns:nested:z)%', '-', null],
  ['%DYNAMIC_METADATA(ns:constructor)%', '-', null],
  ['%DYNAMIC_METADATA(other)%', '-', null],
  ['%DYNAMIC_METADATA(["ns", "nested", "a", "deep"])%', 'x', 'x'],
  ['%DYNAMIC_METADATA(["ns","word"]):1%', 'h', 'héllo'],
  ['%DYNAMIC_METADATA( \t [ "ns" \t , "number" ] \t )%', '1.5', 1.5],
  ['%PER_REQUEST_STATE(both)%', 'plain text', 'plain text'],
  ['%PER_REQUEST_STATE(none)%', '-', null],
  ['%PER_REQUEST_STATE(other)%', '-', null],
  ['%FILTER_STATE(both:PLAIN)%', 'plain text', 'plain text'],
  ['%FILTER_STATE(both:PLAIN):5%', 'plain', 'plain'],
  ['%FILTER_STATE(both)%', '{"count":2,"inner":{},"name":"n"}', { name: 'n', count: 2, inner: {} }],
  ['%FILTER_STATE(both:TYPED)%', '{"count":2,"inner":{},"name":"n"}', { name: 'n', count: 2, inner: {} }],
  ['%FILTER_STATE(both:FIELD:name)%', 'n', 'n'],
  ['%FILTER_STATE(both:FIELD:count)%', '2', '2'],
  ['%FILTER_STATE(both:FIELD:inner)%', '-', null],
  ['%FILTER_STATE(both:FIELD:toString)%', '-', null],
  ['%FILTER_STATE(none:PLAIN)%', '-', null],
  ['%FILTER_STATE(none)%', '-', null],
  ['%FILTER_STATE(null)%', '-', null],
  ['%FILTER_STATE(word)%', '"w\xc3\xb6rd"', 'wörd'],
  ['%FILTER_STATE(word:TYPED):3%', '"w\xc3', 'wörd'],
  ['%FILTER_STATE(word::)%', '"w\xc3\xb6rd"', 'wörd'],
  ['%FILTER_STATE(word:PLAIN)%', 'w\xc3\xb6rd', 'wörd'],
  ['%FILTER_STATE(word:PLAIN):1%', 'w', 'w'],
  ['%FILTER_STATE(other:PLAIN)%', '-', null],
];

describe('metadata operators', () => {
  it.each(metadataTable)('%s', (format, text, typed) => {
    expect(print(format, withMetadata())).toBe(text);
    expect(json(format, withMetadata())).toEqual(typed);
  });
});

describe('gRPC status', () => {
  it.each<[string | undefined, 'trailers' | 'headers', number, string, string, string]>([
    ['0', 'trailers', 200, 'OK', 'OK', '0'],
    ['3', 'headers', 200, 'InvalidArgument', 'INVALID_ARGUMENT', '3'],
    ['1', 'trailers', 200, 'Canceled', 'CANCELLED', '1'],
    ['16', 'trailers', 200, 'Unauthenticated', 'UNAUTHENTICATED', '16'],
    ['99', 'trailers', 200, '99', '99', '99'],
    ['what', 'trailers', 200, '-1', '-1', '-1'],
    [undefined, 'trailers', 503, 'Unavailable', 'UNAVAILABLE', '14'],
    [undefined, 'trailers', 404, 'Unimplemented', 'UNIMPLEMENTED', '12'],
    [undefined, 'trailers', 200, 'Unknown', 'UNKNOWN', '2'],
    [undefined, 'trailers', 0, '-', '-', '-'],
  ])('%s in %s, status %i', (status, where, code, camel, snake, number) => {
    const context = grpcContext(status, where, code);
    expect(print('%GRPC_STATUS% %GRPC_STATUS(CAMEL_STRING)%', context)).toBe(`${camel} ${camel}`);
    expect(print('%GRPC_STATUS(SNAKE_STRING)%', context)).toBe(snake);
    expect(print('%GRPC_STATUS(NUMBER)% %GRPC_STATUS_NUMBER%', context)).toBe(`${number} ${number}`);
    expect(json('%GRPC_STATUS_NUMBER%', context)).toBe(number === '-' ? null : Number(number));
  });

  it('is for gRPC requests only', () => {
    const context = grpcContext('0');
    context.request?.set('content-type', 'application/grpcx');
    expect(print('%GRPC_STATUS%', context)).toBe('-');
    context.request?.set('content-type', 'application/grpc');
    expect(print('%GRPC_STATUS%', context)).toBe('OK');
  });
});
