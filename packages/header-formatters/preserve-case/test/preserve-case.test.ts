import { PreserveCaseFormatterConfigSchema, readLoose } from '@dragoman/api';
import type { HeaderNameFormatter } from '@dragoman/core';
import { staticDiscovery } from '@dragoman/discovery-static';
import { httpConnectionManager } from '@dragoman/http';
import { router } from '@dragoman/http-filter-router';
import { roundRobin } from '@dragoman/load-balancer-round-robin';
import { uuidRequestId } from '@dragoman/request-id-uuid';
import { clusterConfig, httpBootstrap, RawUpstream, startProxy, testContext } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { preserveCase } from '../src/index.ts';

function formatter(config: object, ...names: readonly string[]): HeaderNameFormatter {
  const message = readLoose(PreserveCaseFormatterConfigSchema, config);
  const made = preserveCase.create(message as never, testContext())();
  for (const name of names) made.remember(name);
  return made;
}

describe('a name', () => {
  const PROPER = { formatter_type_on_envoy_headers: 'PROPER_CASE' };

  it.each([
    [{}, ['X-FoO'], 'x-foo', 'X-FoO'],
    [{}, ['x-foo'], 'x-foo', 'x-foo'],
    [{}, ['X-FoO', 'x-fOo'], 'x-foo', 'X-FoO'],
    [{}, ['x-foo', 'X-FOO'], 'x-foo', 'x-foo'],
    [{}, [], 'x-added', 'x-added'],
    [{ formatter_type_on_envoy_headers: 'DEFAULT' }, [], 'x-added', 'x-added'],
    [PROPER, [], 'x-added', 'X-Added'],
    [PROPER, ['x-foo'], 'x-foo', 'x-foo'],
    [PROPER, ['X-FoO'], 'x-foo', 'X-FoO'],
    [{}, ['__proto__', 'CONSTRUCTOR'], 'constructor', 'CONSTRUCTOR'],
    [{}, [], 'tostring', 'tostring'],
  ])('with %o after %j: %s → %s', (config, names, name, expected) => {
    expect(formatter(config, ...names).format(name)).toBe(expected);
  });
});

describe('the reason phrase', () => {
  it.each([
    [{}, ''],
    [{ forward_reason_phrase: false }, ''],
    [{ forward_reason_phrase: true }, 'Fine'],
  ])('with %o: "%s"', (config, expected) => {
    const made = formatter(config);
    made.reasonPhrase = 'Fine';
    expect(made.reasonPhrase).toBe(expected);
  });
});

const REQUEST = ['GET /p HTTP/1.1', 'HOST: a.test', 'X-UpPeR: 1', 'x-lower: 2', '', ''].join('\r\n');
const RESPONSE = ['HTTP/1.1 200 Well Done', 'X-FrOm: up', 'SERVER: x', 'Content-LENGTH: 2', '', 'ok'].join(
  '\r\n',
);

const format = (config: object) => ({
  header_key_format: {
    stateful_formatter: {
      name: 'envoy.http.stateful_header_formatters.preserve_case',
      typed_config: {
        '@type':
          'type.googleapis.com/envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig',
        ...config,
      },
    },
  },
});
const HTTP = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const typed = (http1: object) => ({
  typed_extension_protocol_options: {
    [HTTP]: {
      '@type': `type.googleapis.com/${HTTP}`,
      explicit_http_config: { http_protocol_options: http1 },
    },
  },
});

/** One exchange; what the upstream got, and what the client got. */
async function exchange(downstream: object, cluster: object): Promise<[request: string, response: string]> {
  let request = '';
  await using upstream = await RawUpstream.start(async (connection) => {
    request = (await connection.readUntil('\r\n\r\n')).toString();
    await connection.write(RESPONSE);
  });
  const bootstrap = httpBootstrap({
    clusters: { web: { ...clusterConfig('web', [upstream.port]), ...cluster } as never },
    manager: { http_protocol_options: downstream, generate_request_id: false } as never,
  });
  await using proxy = await startProxy(bootstrap, {
    extensions: [preserveCase, httpConnectionManager, router, roundRobin, staticDiscovery, uuidRequestId],
  });
  const client = await proxy.connect();
  await client.write(REQUEST);
  const response = (await client.readUntil('\r\n\r\nok')).toString();
  client.end();
  return [request, response];
}

describe('in a proxy', () => {
  it.each<[string, object, object, string[], string[]]>([
    [
      'on neither side',
      {},
      {},
      ['host: a.test', 'x-upper: 1', 'x-lower: 2', 'x-forwarded-proto: http'],
      ['HTTP/1.1 200 OK', 'x-from: up', 'server: envoy', 'content-length: 2'],
    ],
    [
      'downstream: requests keep their case',
      format({}),
      {},
      ['HOST: a.test', 'X-UpPeR: 1', 'x-lower: 2', 'x-forwarded-proto: http'],
      ['HTTP/1.1 200 OK', 'x-from: up', 'server: envoy', 'content-length: 2'],
    ],
    [
      'upstream: responses keep their case',
      {},
      typed(format({})),
      ['host: a.test', 'x-upper: 1', 'x-lower: 2', 'x-forwarded-proto: http'],
      [
        'HTTP/1.1 200 OK',
        'X-FrOm: up',
        'SERVER: envoy',
        'Content-LENGTH: 2',
        'x-envoy-upstream-service-time: ',
      ],
    ],
    [
      'upstream, in the older field, with the reason phrase',
      {},
      { http_protocol_options: format({ forward_reason_phrase: true }) },
      ['host: a.test', 'x-upper: 1', 'x-lower: 2'],
      ['HTTP/1.1 200 Well Done', 'X-FrOm: up', 'SERVER: envoy', 'Content-LENGTH: 2'],
    ],
    [
      'on both, what the proxy adds in proper case',
      format({ formatter_type_on_envoy_headers: 'PROPER_CASE' }),
      typed(format({ formatter_type_on_envoy_headers: 'PROPER_CASE' })),
      ['HOST: a.test', 'X-UpPeR: 1', 'x-lower: 2', 'X-Forwarded-Proto: http'],
      [
        'HTTP/1.1 200 OK',
        'X-FrOm: up',
        'SERVER: envoy',
        'Content-LENGTH: 2',
        'X-Envoy-Upstream-Service-Time: ',
      ],
    ],
    [
      'downstream, while the cluster writes names in proper case',
      format({}),
      typed({ header_key_format: { proper_case_words: {} } }),
      ['HOST: a.test', 'X-UpPeR: 1', 'x-lower: 2', 'x-forwarded-proto: http'],
      ['x-from: up'],
    ],
  ])('%s', async (_what, downstream, cluster, requestLines, responseLines) => {
    const [request, response] = await exchange(downstream, cluster);
    for (const line of requestLines) expect(request).toContain(`\r\n${line}`);
    for (const line of responseLines) expect(`\r\n${response}`).toContain(`\r\n${line}`);
  });
});
