import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OPERATOR_NAMES } from '@dragoman/access-log';
import {
  HttpUpstream,
  httpBootstrap,
  type JsonObject,
  localAddress,
  rawClient,
  requestText,
  startProxy,
  text,
} from '@dragoman/testing';
import { afterAll, describe, expect, test } from 'vitest';
import { EXTENSIONS } from './extensions.ts';

const folder = mkdtempSync(join(tmpdir(), 'access-logs-'));
afterAll(() => rmSync(folder, { recursive: true }));

const PLACES = ['listener', 'tcp_proxy', 'connection_manager'] as const;
type Place = (typeof PLACES)[number];

const compare = (op: string, value: number): JsonObject => ({
  comparison: { op, value: { default_value: value, runtime_key: 'key' } },
});
const notHealthCheck = { not_health_check_filter: {} };

/** Every filter, and the places whose entry it lets through; the stream is a request that goes well, or its connection. */
const FILTERS: readonly [name: string, filter: JsonObject, passes: readonly Place[]][] = [
  ['status GE 200', { status_code_filter: compare('GE', 200) }, ['connection_manager']],
  ['status LE 0', { status_code_filter: compare('LE', 0) }, ['listener', 'tcp_proxy']],
  ['duration GE 0', { duration_filter: compare('GE', 0) }, PLACES],
  ['duration GE an hour', { duration_filter: compare('GE', 3_600_000) }, []],
  ['no health check', notHealthCheck, PLACES],
  ['traceable', { traceable_filter: {} }, []],
  ['runtime', { runtime_filter: { runtime_key: 'key', percent_sampled: { numerator: 100 } } }, PLACES],
  ['runtime, none', { runtime_filter: { runtime_key: 'key', use_independent_randomness: true } }, []],
  ['and', { and_filter: { filters: [notHealthCheck, { traceable_filter: {} }] } }, []],
  ['or', { or_filter: { filters: [notHealthCheck, { traceable_filter: {} }] } }, PLACES],
  ['header', { header_filter: { header: { name: 'host', present_match: true } } }, ['connection_manager']],
  ['no header', { header_filter: { header: { name: 'x-none', present_match: false } } }, PLACES],
  ['any flag', { response_flag_filter: {} }, []],
  ['flags', { response_flag_filter: { flags: ['UH', 'UDO'] } }, []],
  ['grpc', { grpc_status_filter: { statuses: ['UNKNOWN'] } }, PLACES],
  ['grpc, excluded', { grpc_status_filter: { statuses: ['UNKNOWN'], exclude: true } }, []],
  ['metadata', metadataFilter(true), PLACES],
  ['metadata, missing', metadataFilter(false), []],
  ['type DownstreamEnd', { log_type_filter: { types: ['DownstreamEnd'] } }, ['connection_manager']],
  ['type TcpConnectionEnd', { log_type_filter: { types: ['TcpConnectionEnd'] } }, ['tcp_proxy']],
  ['type NotSet', { log_type_filter: { types: ['NotSet'] } }, ['listener']],
  [
    'type, excluded',
    { log_type_filter: { types: ['NotSet'], exclude: true } },
    ['tcp_proxy', 'connection_manager'],
  ],
];

function metadataFilter(match_if_key_not_found: boolean): JsonObject {
  const matcher = { filter: 'ns', path: [{ key: 'k' }], value: { bool_match: true } };
  return { metadata_filter: { matcher, match_if_key_not_found } };
}

/** What operators that need a parameter are given. */
const PARAMETERS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ['REQ', 'RESP', 'TRAILER', 'REQUEST_HEADER', 'RESPONSE_HEADER', 'RESPONSE_TRAILER'].map((name) => [
      name,
      'x-a?x-b',
    ]),
  ),
  REQ_WITHOUT_QUERY: ':path',
  XFCC_VALUE: 'uri',
  QUERY_PARAM: 'q',
  COMMON_DURATION: 'DS_RX_BEG:DS_TX_END:us',
  METADATA: 'ROUTE:ns:k',
  DYNAMIC_METADATA: 'ns:k',
  CLUSTER_METADATA: 'ns:k',
  UPSTREAM_METADATA: 'ns:k',
  FILTER_STATE: 'k:PLAIN',
  UPSTREAM_FILTER_STATE: 'k:FIELD:f',
  PER_REQUEST_STATE: 'k',
  ENVIRONMENT: 'HOME',
  COALESCE: '{"operators": ["ROUTE_NAME", "CONNECTION_ID"]}',
};
const OPERATORS = OPERATOR_NAMES.map((name) =>
  name in PARAMETERS ? `%${name}(${PARAMETERS[name]})%` : `%${name}%`,
);

const file = (path: string, log_format: JsonObject, filter?: JsonObject): JsonObject => ({
  name: 'envoy.access_loggers.file',
  ...(filter !== undefined && { filter }),
  typed_config: {
    '@type': 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog',
    path,
    log_format,
  },
});

const formatter = (name: string, message: string): JsonObject => ({
  name: `envoy.formatter.${name}`,
  typed_config: { '@type': `type.googleapis.com/envoy.extensions.formatter.${name}.v3.${message}` },
});

const pathOf = (place: Place, kind: string): string => join(folder, `${place}.${kind}`);

function logsOf(place: Place): JsonObject[] {
  const filtered = FILTERS.map(([name, filter]) =>
    file(pathOf(place, 'filters'), { text_format: `${name}\n` }, filter),
  );
  const fields = Object.fromEntries(OPERATORS.map((operator) => [operator, operator]));
  return [
    ...filtered,
    file(pathOf(place, 'text'), { text_format: `${OPERATORS.join('|')}\n` }),
    file(pathOf(place, 'json'), { json_format: fields }),
    file(pathOf(place, 'extended'), {
      json_format: { list: ['%METADATA(LISTENER:ns:a)%', { path: '%REQ_WITHOUT_QUERY(:path)%' }] },
      omit_empty_values: true,
      formatters: [formatter('metadata', 'Metadata'), formatter('req_without_query', 'ReqWithoutQuery')],
    }),
  ];
}

function bootstrap(port: number, logs: (place: Place) => readonly JsonObject[]): JsonObject {
  return httpBootstrap({
    clusters: { web: port },
    listener: { metadata: { filter_metadata: { ns: { a: { b: 1 } } } } },
    manager: { access_log: logs('connection_manager') },
    listeners: [
      {
        name: 'tcp',
        stat_prefix: 'tcp',
        address: localAddress(),
        access_log: logs('listener'),
        filter_chains: [
          {
            filters: [
              {
                name: 'envoy.filters.network.tcp_proxy',
                typed_config: {
                  '@type': 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy',
                  stat_prefix: 'proxied',
                  cluster: 'web',
                  access_log: logs('tcp_proxy'),
                },
              },
            ],
          },
        ],
      },
    ],
  });
}

const linesOf = (place: Place, kind: string): string[] =>
  readFileSync(pathOf(place, kind), 'utf8').split('\n').slice(0, -1);

describe('access logs', () => {
  test('act alike in a listener, a TCP proxy and a connection manager', async () => {
    await using upstream = await HttpUpstream.start(text('hello'));
    {
      await using proxy = await startProxy(bootstrap(upstream.port, logsOf), { extensions: EXTENSIONS });
      expect((await proxy.get('/?q=1')).status).toBe(200);
      await using client = await rawClient({ port: proxy.portOf('tcp') });
      await client.write(requestText('GET', '/'));
      expect((await client.readResponse()).status).toBe(200);
      client.end();
      await proxy.untilStat('listener.tcp.downstream_cx_destroy', 1);
    }
    for (const place of PLACES) {
      const expected = FILTERS.filter(([, , passes]) => passes.includes(place)).map(([name]) => name);
      expect(linesOf(place, 'filters'), place).toEqual(expected);
      expect(linesOf(place, 'text'), place).toHaveLength(1);
      expect(linesOf(place, 'text')[0]?.split('|'), place).toHaveLength(OPERATORS.length);
      const [json = ''] = linesOf(place, 'json');
      const fields = JSON.parse(json) as Record<string, unknown>;
      expect(Object.keys(fields).sort(), place).toEqual([...OPERATORS].sort());
      expect(fields['%RESPONSE_CODE%'], place).toBe(place === 'connection_manager' ? 200 : 0);
      expect(fields['%QUERY_PARAM(q)%'], place).toBe(place === 'connection_manager' ? '1' : null);
      expect(fields['%PROTOCOL%'], place).toBe(place === 'connection_manager' ? 'HTTP/1.1' : null);
      const extended = place === 'connection_manager' ? [{ b: 1 }, { path: '/' }] : [];
      expect(linesOf(place, 'extended'), place).toEqual([JSON.stringify({ list: extended })]);
      expect(fields['%DOWNSTREAM_LOCAL_PORT%'], place).toEqual(expect.any(Number));
    }
  });

  test('refuse a formatter that is not there by name', async () => {
    const format = { text_format: '%CEL(request.path)%', formatters: [formatter('cel', 'Cel')] };
    const refused = bootstrap(1, (here) => (here === 'listener' ? [file('/dev/null', format)] : []));
    await expect(startProxy(refused, { extensions: EXTENSIONS })).rejects.toThrow(
      /access_log\[0\]\.typed_config\.log_format\.formatters\[0\].*@dragoman\/formatter-cel would provide it/,
    );
  });

  test.each(PLACES)('of a %s refuse extension filters by name', async (place) => {
    const filter = { extension_filter: { name: 'envoy.access_loggers.extension_filters.cel' } };
    const refused = bootstrap(1, (here) =>
      here === place ? [file('/dev/null', { text_format: 'x' }, filter)] : [],
    );
    await expect(startProxy(refused, { extensions: EXTENSIONS })).rejects.toThrow(
      /access_log\[0\]\.filter\.extension_filter: the access log filter extension "envoy\.access_loggers\.extension_filters\.cel" is not/,
    );
  });
});
