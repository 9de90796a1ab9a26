import { HttpUpstream, text } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { type Message, prefixRoute } from './support/config.ts';
import { withProxy } from './support/proxy.ts';

const TYPES = 'type.googleapis.com/envoy.extensions';
const typed = (type: string, fields: Message = {}): Message => ({
  name: 'x',
  typed_config: { '@type': `${TYPES}.${type}`, ...fields },
});

const HOSTILE = [
  '',
  ' ',
  ',',
  ',,,,',
  'x',
  '1.2.3.4.5',
  '256.1.1.1',
  '1.2.3.4:99999',
  '[::1',
  '::ffff:1.2.3.4',
  '127.0.0.1',
  '127.0.0.1, x',
  'unix:///etc/passwd',
  '%00',
  '\xff\xfe',
  '__proto__',
  '1.2.3.4, '.repeat(1000),
  'fe80::1%eth0',
];

describe('the address of the client, by what it says itself', () => {
  const custom = (fields: Message = {}): Message => ({
    original_ip_detection_extensions: [
      typed('http.original_ip_detection.custom_header.v3.CustomHeaderConfig', {
        header_name: 'x-client',
        ...fields,
      }),
    ],
  });
  const xff = (fields: Message = {}): Message => ({
    original_ip_detection_extensions: [typed('http.original_ip_detection.xff.v3.XffConfig', fields)],
  });

  it.each<[what: string, manager: Message, header: string, refusal: number]>([
    ['custom_header', custom(), 'x-client', 0],
    ['custom_header that refuses', custom({ reject_with_status: { code: 'Forbidden' } }), 'x-client', 403],
    ['custom_header that may be trusted', custom({ allow_extension_to_set_address_as_trusted: true }), 'x-client', 0],
    ['xff', xff({ xff_num_trusted_hops: 1 }), 'x-forwarded-for', 0],
    ['xff with CIDRs', xff({ xff_trusted_cidrs: { cidrs: [{ address_prefix: '127.0.0.0', prefix_len: 8 }] } }), 'x-forwarded-for', 0],
  ])('%s: every value is an address or none, and makes nobody internal that it may not', async (_, manager, header, refusal) => {
    await using upstream = await HttpUpstream.start(text('ok'));
    const trusted = JSON.stringify(manager).includes('"allow_extension');
    await withProxy({ upstream, manager }, async (proxy) => {
      for (const value of HOSTILE) {
        const before = upstream.requests.length;
        const { status } = await proxy.get('/', `${header}: ${value}\r\nx-envoy-retry-on: 5xx\r\n`);
        expect(refusal === 0 ? [200] : [200, refusal]).toContain(status);
        if (status !== 200) {
          expect(upstream.requests.length).toBe(before);
          continue;
        }
        const [request] = upstream.requests.slice(before);
        if (!trusted && header === 'x-client') expect(request?.header('x-envoy-internal')).not.toBe('true');
      }
    });
  }); // biome-ignore format: a table
});

describe('names of headers as they were spelled', () => {
  const options: Message = {
    http_protocol_options: {
      header_key_format: {
        stateful_formatter: typed('http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig'),
      },
    },
  };

  it.each([
    ['a name twice', 'X-A: 1\r\nx-a: 2\r\nX-a: 3\r\n', 200],
    ['framing', 'CONTENT-LENGTH: 0\r\n', 200],
    ['framing twice', 'Content-Length: 0\r\ncontent-length: 1\r\n', 400],
    ['both framings', 'CONTENT-length: 5\r\nTRANSFER-Encoding: chunked\r\n', 400],
    ['a hop', 'CONNECTION: X-Gone, close\r\nX-Gone: 1\r\n', 200],
    ['forged', 'X-Envoy-Internal: true\r\nX-ENVOY-RETRY-ON: 5xx\r\n', 200],
    ['__proto__', '__Proto__: 1\r\nConstructor: 2\r\n', 200],
    ['a space', 'X-A : 1\r\n', 400],
    ['thousands', 'X-A: 1\r\n'.repeat(5000), 431],
  ])('%s', async (_, headers, status) => {
    await using upstream = await HttpUpstream.start(text('ok'));
    await withProxy({ upstream, manager: { use_remote_address: true, ...options } }, async (proxy) => {
      const response = await proxy.get('/', headers);
      expect(response.status).toBe(status);
      const names = upstream.requests[0]?.rawHeaders.map(([name]) => name.toLowerCase()) ?? [];
      expect(names).not.toContain('x-gone');
      expect(names.filter((name) => name === 'content-length').length).toBeLessThan(2);
    });
  });
});

describe('scopes that a stranger chooses', () => {
  const scoped: Message = {
    route_config: undefined,
    scoped_routes: {
      name: 's',
      scope_key_builder: {
        fragments: [
          {
            header_value_extractor: {
              name: 'x-scope',
              element_separator: ';',
              element: { key: 'v', separator: '=' },
            },
          },
        ],
      },
      scoped_route_configurations_list: {
        scoped_route_configurations: [
          {
            name: 'one',
            key: { fragments: [{ string_key: 'one' }] },
            route_configuration: {
              name: 'r',
              virtual_hosts: [{ name: 'v', domains: ['*'], routes: [prefixRoute('/', 'upstream')] }],
            },
          },
        ],
      },
    },
  };

  it.each([
    ['v=one', 200],
    ['a=b;v=one', 200],
    ['v=two', 404],
    ['v=', 404],
    ['v', 404],
    ['', 404],
    ['v=One', 404],
    ['v=one;v=two', 200],
    ['v=two;v=one', 404],
    ['v==one', 404],
    [';'.repeat(10_000), 404],
    // As in Envoy, the first line of the header counts.
    ['v=one\r\nx-scope: v=two', 200],
    ['v=two\r\nx-scope: v=one', 404],
    ['__proto__=one', 404],
    ['v=__proto__', 404],
  ])('%s: %i', async (value, expected) => {
    await using upstream = await HttpUpstream.start(text('ok'));
    await withProxy({ upstream, manager: scoped }, async (proxy) => {
      const { status } = await proxy.get('/', `x-scope: ${value}\r\n`);
      expect(status).toBe(expected);
      expect(upstream.requests.length).toBe(expected === 200 ? 1 : 0);
    });
  });
});
