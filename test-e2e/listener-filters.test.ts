import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createProxy } from '@dragoman/server';
import {
  eventually,
  exchange,
  HttpUpstream,
  RawUpstream,
  RecordingLoggers,
  realClientHello,
  rawClient,
} from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { address, cluster, fileLog, httpListener, type Message } from './support/config.ts';
import { EXTENSIONS } from './support/extensions.ts';
import { withProxy } from './support/proxy.ts';
import { askOverTls, TlsEcho } from './support/tls-peers.ts';

const TYPES = 'type.googleapis.com/envoy.extensions.filters';
const listenerFilter = (name: string, message: string, config: Message = {}): Message => ({
  name: `envoy.filters.listener.${name}`,
  typed_config: { '@type': `${TYPES}.listener.${name}.v3.${message}`, ...config },
});
const tlsInspector = (config?: Message) => listenerFilter('tls_inspector', 'TlsInspector', config);
const httpInspector = (config?: Message) => listenerFilter('http_inspector', 'HttpInspector', config);
const proxyProtocol = (config?: Message) => listenerFilter('proxy_protocol', 'ProxyProtocol', config);

const tcpProxy = (to: string): Message => ({
  name: 'envoy.filters.network.tcp_proxy',
  typed_config: { '@type': `${TYPES}.network.tcp_proxy.v3.TcpProxy`, stat_prefix: to, cluster: to },
});
const echo: Message = {
  name: 'envoy.filters.network.echo',
  typed_config: { '@type': `${TYPES}.network.echo.v3.Echo` },
};
const says = (text: string): Message => ({
  name: 'envoy.filters.network.direct_response',
  typed_config: { '@type': `${TYPES}.network.direct_response.v3.Config`, response: { inline_string: text } },
});
/** A filter chain that tells its name. */
const telling = (name: string, match: Message): Message => ({
  name,
  filter_chain_match: match,
  filters: [says(name)],
});

const listener = (fields: Message): Message => ({
  name: 'tcp',
  address: address(0),
  stat_prefix: 'tcp',
  ...fields,
});
const log = (path: string, fields: Record<string, string>): Message => fileLog(path, { json_format: fields });
const parsed = (lines: readonly string[]) => lines.map((line) => JSON.parse(line) as Record<string, unknown>);

describe('the example of SNI pass-through', () => {
  async function withExample(body: (port: number) => Promise<void>): Promise<void> {
    const shop = await TlsEcho.start('shop', ['h2']);
    const others = await TlsEcho.start('others');
    const text = readFileSync(join(import.meta.dirname, '../examples/sni-passthrough.yaml'), 'utf8')
      .replace('port_value: 10000', 'port_value: 0')
      .replace('port_value: 9901', 'port_value: 0')
      .replace('port_value: 8443', `port_value: ${shop.port}`)
      .replace('port_value: 8444', `port_value: ${others.port}`)
      .replace('stream.v3.StdoutAccessLog', 'file.v3.FileAccessLog\n            path: /dev/null');
    const loggers = new RecordingLoggers();
    try {
      await using proxy = await createProxy({
        bootstrap: text,
        extensions: EXTENSIONS,
        log: { logger: (name) => loggers.logger(name), loggers: () => [], setLevel() {} },
      });
      await body(proxy.address('edge').port);
    } finally {
      await shop.stop();
      await others.stop();
    }
  }

  it('takes each client where it wants to go, however its ClientHello arrives', async () => {
    await withExample(async (port) => {
      for (const bytewise of [false, true]) {
        for (const [serverName, protocols, expected] of [
          ['shop.example', ['h2'], 'shop shop.example h2'],
          ['www.SHOP.example', undefined, 'shop www.SHOP.example -'],
          ['shop.example.org', undefined, 'others shop.example.org -'],
          [undefined, undefined, 'others - -'],
        ] as const) {
          const answer = await askOverTls({ port, serverName, protocols, bytewise }, 'ping pong');
          expect(answer).toBe(`${expected}\nping pong`);
        }
      }
    });
  });

  it('answers plaintext on the same port', async () => {
    await withExample(async (port) => {
      await using client = await rawClient({ port });
      await client.write('GET /cart HTTP/1.1\r\nho', 'st: shop.example\r\n\r\n');
      const response = await client.readResponse();
      expect([response.status, response.header('location')]).toEqual([301, 'https://shop.example/cart']);
      expect(await exchange({ port }, 'SSH-2.0-client\r\n')).toBe('TLS or HTTP, please\n');
    });
  });
});

describe('filter chains', () => {
  const tls = { transport_protocol: 'tls' };
  const chains = [
    telling('exact', { ...tls, server_names: ['a.example'] }),
    telling('wildcard', { ...tls, server_names: ['*.example'] }),
    telling('h2', { ...tls, server_names: ['b.example'], application_protocols: ['h2'] }),
    telling('tls', tls),
    telling('http/1.0', { application_protocols: ['http/1.0'] }),
    telling('http/1.1', { application_protocols: ['http/1.1'] }),
    telling('h2c', { application_protocols: ['h2c'] }),
  ];
  const edge = listener({
    listener_filters: [tlsInspector(), httpInspector()],
    filter_chains: chains,
    default_filter_chain: { name: 'default', filters: [says('default')] },
  });

  /** A chain's name comes in plaintext, which no TLS client understands. */
  async function tellingOf(port: number, serverName?: string, protocols?: string[]): Promise<string> {
    const hello = await realClientHello({
      ...(serverName === undefined ? {} : { servername: serverName }),
      ...(protocols === undefined ? {} : { ALPNProtocols: protocols }),
    });
    return exchange({ port }, hello);
  }

  it('are chosen by what the inspectors find', async () => {
    await withProxy({ listeners: [edge] }, async (proxy) => {
      const port = proxy.portOf('tcp');
      expect(await tellingOf(port, 'a.example')).toBe('exact');
      expect(await tellingOf(port, 'A.Example', ['h2'])).toBe('exact');
      expect(await tellingOf(port, 'c.d.example')).toBe('wildcard');
      expect(await tellingOf(port, 'b.example', ['http/1.1', 'h2'])).toBe('h2');
      // The name has decided already; Envoy does not look at less specific names then.
      expect(await tellingOf(port, 'b.example', ['http/1.1'])).toBe('default');
      expect(await tellingOf(port, 'elsewhere.test')).toBe('tls');
      expect(await tellingOf(port)).toBe('tls');
      expect(await exchange({ port }, 'GET / HTTP/1.0\r\n\r\n')).toBe('http/1.0');
      expect(await exchange({ port }, 'GET / HTTP/1.1\r\n\r\n')).toBe('http/1.1');
      expect(await exchange({ port }, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')).toBe('h2c');
      expect(await exchange({ port }, '\0\x01\x02\x03\x04')).toBe('default');
      expect(proxy.used(/^(tls|http)_inspector/)).toEqual({
        'tls_inspector.tls_found': 7,
        'tls_inspector.tls_not_found': 4,
        'tls_inspector.sni_found': 6,
        'tls_inspector.sni_not_found': 1,
        'tls_inspector.alpn_found': 3,
        'tls_inspector.alpn_not_found': 4,
        'http_inspector.http10_found': 1,
        'http_inspector.http11_found': 1,
        'http_inspector.http2_found': 1,
        'http_inspector.http_not_found': 1,
      });
    });
  });

  it('none: the listener logs what was asked for', async () => {
    const setup = (path: string) => [
      listener({
        listener_filters: [
          tlsInspector({ enable_ja3_fingerprinting: true, enable_ja4_fingerprinting: true }),
        ],
        filter_chains: [telling('a', { server_names: ['a.example'] })],
        access_log: [
          log(path, {
            name: '%REQUESTED_SERVER_NAME%',
            details: '%RESPONSE_CODE_DETAILS%',
            flags: '%RESPONSE_FLAGS%',
            ja3: '%TLS_JA3_FINGERPRINT%',
            ja4: '%TLS_JA4_FINGERPRINT%',
            failure: '%DOWNSTREAM_TRANSPORT_FAILURE_REASON%',
            reason: '%DYNAMIC_METADATA(envoy.filters.listener.tls_inspector:failure_reason)%',
          }),
        ],
      }),
    ];
    await withProxy({ listeners: setup }, async (proxy) => {
      expect(await tellingOf(proxy.portOf('tcp'), 'b.example', ['h2'])).toBe('');
      expect(await exchange({ port: proxy.portOf('tcp') }, 'GET / HTTP/1.1\r\n\r\n')).toBe('');
      await eventually(() => proxy.rawLog().length === 2);
      const none = { details: 'filter_chain_not_found', flags: 'NR' };
      expect(parsed(proxy.rawLog())).toEqual([
        {
          ...none,
          name: 'b.example',
          ja3: expect.stringMatching(/^[0-9a-f]{32}$/),
          ja4: expect.stringMatching(/^t13d\d{4}h2_/),
          failure: null,
          reason: null,
        },
        {
          ...none,
          name: null,
          ja3: null,
          ja4: null,
          failure: 'TLS_error|error:1000009c:SSL_routines:OPENSSL_internal:HTTP_REQUEST:TLS_error_end',
          reason: 'ClientHelloNotDetected',
        },
      ]);
      expect(proxy.stat('listener.tcp.no_filter_chain_match')).toBe(2);
      expect(proxy.stat('listener.tcp.downstream_cx_total')).toBe(0);
    });
  });
});

describe('a client that says nothing', () => {
  const silent = (more: Message): Message =>
    listener({
      listener_filters: [tlsInspector()],
      listener_filters_timeout: '0.05s',
      filter_chains: [{ filters: [says('welcome\n')] }],
      ...more,
    });

  it('is let go, or greeted', async () => {
    await withProxy({ listeners: [silent({})] }, async (proxy) => {
      expect(await exchange({ port: proxy.portOf('tcp') })).toBe('');
      expect(await exchange({ port: proxy.portOf('tcp') }, '\x16\x03\x01')).toBe('');
      expect(proxy.stat('listener.tcp.downstream_pre_cx_timeout')).toBe(2);
      await eventually(() => proxy.stat('listener.tcp.downstream_pre_cx_active') === 0);
    });
    await withProxy(
      { listeners: [silent({ continue_on_listener_filters_timeout: true })] },
      async (proxy) => {
        expect(await exchange({ port: proxy.portOf('tcp') })).toBe('welcome\n');
        expect(proxy.stat('listener.tcp.downstream_pre_cx_timeout')).toBe(1);
      },
    );
  });

  it('or too little, has what it said handed on', async () => {
    const goesOn = silent({
      continue_on_listener_filters_timeout: true,
      filter_chains: [{ filters: [echo] }],
    });
    await withProxy({ listeners: [goesOn] }, async (proxy) => {
      await using client = await rawClient({ port: proxy.portOf('tcp') });
      await client.write('\x16\x03', '\x01');
      expect(await client.read(3)).toEqual(Buffer.from('\x16\x03\x01', 'latin1'));
      client.end();
      expect(await client.readUntilClose()).toBe('');
    });
  });
});

const LINE = 'PROXY TCP4 203.0.113.7 198.51.100.9 4321 8080\r\n';
/** The same as version 2, with a TLV of type 2. */
const BINARY = Buffer.from(
  `0d0a0d0a000d0a515549540a2111${'0018'}cb007107c633640910e11f90020009${Buffer.from('a.example').toString('hex')}`,
  'hex',
);

describe('the PROXY protocol', () => {
  const STATE = 'envoy.network.proxy_protocol.tlv';
  const fields = {
    remote: '%DOWNSTREAM_REMOTE_ADDRESS%',
    direct: '%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%',
    local: '%DOWNSTREAM_LOCAL_ADDRESS%',
    metadata: '%DYNAMIC_METADATA(envoy.filters.listener.proxy_protocol:authority)%',
    state: `%FILTER_STATE(${STATE}:FIELD:authority)%`,
  };
  const rules = [{ tlv_type: 2, on_tlv_present: { key: 'authority' } }];
  const ADDRESSES = { remote: '203.0.113.7:4321', direct: '127.0.0.1', local: '198.51.100.9:8080' };

  it.each<[string, Buffer | string, unknown]>([
    ['version 1', LINE, null],
    ['version 2', BINARY, 'a.example'],
  ])('names the client to HTTP: %s', async (_, header, authority) => {
    await using upstream = await HttpUpstream.start();
    const options = {
      manager: { use_remote_address: true },
      listener: { listener_filters: [proxyProtocol({ rules, tlv_location: 'FILTER_STATE' })] },
    };
    const listeners = (path: string) => [
      httpListener({
        ...options,
        name: 'logged',
        manager: { ...options.manager, access_log: [log(path, fields)] },
      }),
    ];
    await withProxy({ upstream, listeners }, async (proxy) => {
      await using client = await rawClient({ port: proxy.portOf('logged') });
      const request = Buffer.from('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbody');
      await client.write(Buffer.concat([Buffer.from(header as string, 'latin1'), request]));
      expect((await client.readResponse()).status).toBe(200);
      expect(upstream.requests[0]?.header('x-forwarded-for')).toBe('203.0.113.7');
      expect(upstream.requests[0]?.header('x-envoy-external-address')).toBe('203.0.113.7');
      // A second request on the connection knows the same.
      await client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
      expect((await client.readResponse()).status).toBe(200);
      await eventually(() => proxy.rawLog().length === 2);
      const expected = { ...ADDRESSES, metadata: null, state: authority };
      expect(parsed(proxy.rawLog())).toEqual([expected, expected]);
    });
  });

  it('names the client to TCP, with dynamic metadata', async () => {
    await using upstream = await RawUpstream.start(async (connection) => {
      await connection.write((await connection.readUntilClose()).toUpperCase());
      connection.end();
    });
    const listeners = (path: string) => [
      listener({
        listener_filters: [proxyProtocol({ rules })],
        filter_chains: [{ filters: [tcpProxy('upstream')] }],
        access_log: [log(path, fields)],
      }),
    ];
    await withProxy({ upstream, listeners }, async (proxy) => {
      await using client = await rawClient({ port: proxy.portOf('tcp') });
      for (const byte of BINARY) await client.write(Buffer.from([byte]));
      await client.write('hello');
      client.end();
      expect(await client.readUntilClose()).toBe('HELLO');
      await eventually(() => proxy.rawLog().length === 1);
      expect(parsed(proxy.rawLog())).toEqual([{ ...ADDRESSES, metadata: 'a.example', state: null }]);
      expect(proxy.used(/proxy_proto/)).toEqual({ 'proxy_proto.versions.v2.found': 1 });
    });
  });

  it('decides the filter chain', async () => {
    const range = (prefix: string, length: number) => [{ address_prefix: prefix, prefix_len: length }];
    const edge = listener({
      listener_filters: [proxyProtocol({ allow_requests_without_proxy_protocol: true })],
      filter_chains: [
        telling('port', { destination_port: 8080 }),
        telling('destination', { prefix_ranges: range('198.51.100.0', 24) }),
        telling('source', { source_prefix_ranges: range('203.0.113.0', 24) }),
        telling('direct', { direct_source_prefix_ranges: range('127.0.0.0', 8) }),
      ],
    });
    await withProxy({ listeners: [edge] }, async (proxy) => {
      const port = proxy.portOf('tcp');
      const ask = (line: string) => exchange({ port }, line);
      expect(await ask(LINE)).toBe('port');
      expect(await ask('PROXY TCP4 203.0.113.7 198.51.100.9 4321 80\r\n')).toBe('destination');
      expect(await ask('PROXY TCP4 192.0.2.1 192.0.2.2 4321 80\r\n')).toBe('direct');
      expect(await ask('PROXY UNKNOWN\r\n')).toBe('direct');
      expect(await ask('hello')).toBe('direct');
      expect(proxy.used(/proxy_proto/)).toEqual({
        'proxy_proto.versions.v1.found': 4,
        'proxy_proto.not_found_allowed': 1,
      });
    });
  });

  it('comes before TLS, byte by byte', async () => {
    const shop = await TlsEcho.start('shop');
    const edge = listener({
      listener_filters: [proxyProtocol(), tlsInspector()],
      filter_chains: [
        { filter_chain_match: { server_names: ['shop.example'] }, filters: [tcpProxy('shop')] },
      ],
    });
    await withProxy(
      { upstream: shop, listeners: [edge], clusters: [cluster('shop', [shop.port])] },
      async (proxy) => {
        for (const bytewise of [false, true]) {
          const options = { port: proxy.portOf('tcp'), serverName: 'shop.example', bytewise, before: LINE };
          expect(await askOverTls(options, 'ping')).toBe('shop shop.example -\nping');
        }
      },
    );
  });

  it('is refused where it is none, malformed or disallowed', async () => {
    const edge = listener({
      listener_filters: [proxyProtocol({ disallowed_versions: ['V2'], stat_prefix: 'edge' })],
      filter_chains: [{ filters: [says('in')] }],
    });
    await withProxy({ listeners: [edge] }, async (proxy) => {
      const port = proxy.portOf('tcp');
      expect(await exchange({ port }, LINE)).toBe('in');
      for (const bytes of ['GET / HTTP/1.1\r\nhost: a\r\n\r\n', 'PROXY TCP4 a b c d\r\n', BINARY])
        expect(await exchange({ port }, bytes)).toBe('');
      expect(proxy.used(/proxy_proto/)).toEqual({
        'proxy_proto.edge.versions.v1.found': 1,
        'proxy_proto.edge.versions.v1.error': 1,
        'proxy_proto.edge.versions.v2.found': 1,
        'proxy_proto.edge.versions.v2.disallowed': 1,
        'proxy_proto.edge.not_found_disallowed': 1,
        downstream_cx_proxy_proto_error: 2,
      });
      await eventually(() => proxy.stat('listener.tcp.downstream_pre_cx_active') === 0);
    });
  });
});

it('HTTP through all three filters in one write is untouched', async () => {
  const body = 'x'.repeat(200_000);
  await using upstream = await HttpUpstream.start();
  const edge = httpListener({
    name: 'edge',
    listener: { listener_filters: [proxyProtocol(), tlsInspector(), httpInspector()] },
  });
  await withProxy({ upstream, listeners: [edge] }, async (proxy) => {
    await using client = await rawClient({ port: proxy.portOf('edge') });
    await client.write(`${LINE}POST / HTTP/1.1\r\nhost: a\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
    expect((await client.readResponse()).status).toBe(200);
    expect((await upstream.requests[0]?.body)?.toString()).toBe(body);
    client.end();
    await client.readUntilClose();
  });
});
