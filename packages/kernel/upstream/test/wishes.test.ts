import {
  Address,
  ExtensionRegistry,
  type Host,
  type PoolWishes,
  PROXY_PROTOCOL_STATE,
  ProxyProtocolState,
  RequestHeaders,
  StreamInfo,
  type TransportOptions,
} from '@dragoman/core';
import { connectionInfo } from '@dragoman/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  endpoint,
  fakeTls,
  hostList,
  httpOptions,
  inOrder,
  TLS,
  type World,
  world,
} from './support/clusters.ts';
import { FakeRequest, settleCloses } from './support/fake-upstream.ts';

const proxied = {
  ...fakeTls,
  createUpstream: () => ({ name: 'proxy', secure: false, usesProxyProtocol: true }),
};

function tlsWorld(upstream: object = {}, config: object = {}): World {
  return world(
    {
      transport_socket: TLS,
      ...httpOptions({
        explicit_http_config: { http_protocol_options: {} },
        upstream_http_protocol_options: upstream,
      }),
      ...config,
    },
    { registry: new ExtensionRegistry([inOrder, fakeTls]) },
  );
}

const LOCALITY = { locality: { region: '', zone: '', subZone: '' }, weight: 0, priority: 0 };

const info = () => new StreamInfo(connectionInfo(), 0, 0);

function headersFor(authority: string, more: Readonly<Record<string, string>> = {}): RequestHeaders {
  const headers = new RequestHeaders();
  headers.authority = authority;
  for (const [name, value] of Object.entries(more)) headers.append(name, value);
  return headers;
}

function optionsFor(here: World, headers?: RequestHeaders, stream = info()): TransportOptions | undefined {
  return here.cluster.info.transportOptions?.(headers, stream);
}

function send(from: World, wishes?: PoolWishes) {
  const request = new FakeRequest();
  const host = from.cluster.chooseHost(undefined) as Host;
  from.cluster.httpPool(host, 'default', wishes).newStream(request, request);
  return request;
}

describe('what streams ask of TLS', () => {
  it('is nothing on plain connections', () => {
    const plain = world({ ...httpOptions({ upstream_http_protocol_options: { auto_sni: true } }) });
    expect(plain.cluster.info.transportOptions).toBeUndefined();
  });

  it.each([
    ['one.example', undefined, 'one.example'],
    ['one.example', { key: 'k', serverName: 'asked.example' }, 'asked.example'],
    ['', undefined, undefined],
  ] as const)('a host named %j, with %j: SNI is %j (auto_host_sni)', (hostname, transport, expected) => {
    const naming = { ...fakeTls, createUpstream: () => ({ name: 'tls', secure: true, usesHostName: true }) };
    const here = world(
      { transport_socket: TLS },
      {
        registry: new ExtensionRegistry([inOrder, naming]),
        hosts: { localities: [{ ...LOCALITY, endpoints: [{ ...endpoint('10.0.0.1:80'), hostname }] }] },
      },
    );
    send(here, transport === undefined ? undefined : { transport });
    expect(here.connector.connections[0]?.options.transport?.serverName).toBe(expected);
  });

  it('is nothing unless the config or a filter says so', () => {
    expect(optionsFor(tlsWorld(), headersFor('a.example'))).toBeUndefined();
  });

  it.each([
    ['a.example', 'a.example'],
    ['a.example:8443', 'a.example'],
    ['a.example:x', 'a.example:x'],
    ['127.0.0.1:80', undefined],
    ['[::1]:80', undefined],
    ['[::1]', undefined],
    ['', undefined],
  ])('auto_sni: %j gives %j', (authority, serverName) => {
    const options = optionsFor(tlsWorld({ auto_sni: true }), headersFor(authority));
    expect(options?.serverName).toBe(serverName);
  });

  it('auto_san_validation: the host, an address too', () => {
    const here = tlsWorld({ auto_sni: true, auto_san_validation: true });
    expect(optionsFor(here, headersFor('a.example:1'))).toMatchObject({
      serverName: 'a.example',
      verifySubjectAltNames: ['a.example'],
    });
    const byAddress = optionsFor(here, headersFor('[::1]:80'));
    expect([byAddress?.serverName, byAddress?.verifySubjectAltNames]).toEqual([undefined, ['::1']]);
  });

  it('override_auto_sni_header goes before the host, where it is there', () => {
    const here = tlsWorld({ auto_sni: true, override_auto_sni_header: 'X-Host' });
    expect(optionsFor(here, headersFor('a.example', { 'x-host': 'b.example:1' }))?.serverName).toBe(
      'b.example',
    );
    expect(optionsFor(here, headersFor('a.example', { 'x-host': '' }))?.serverName).toBe('a.example');
    expect(optionsFor(here, headersFor('a.example'))?.serverName).toBe('a.example');
  });

  it('filters say it in filter state, and go before the config', () => {
    const here = tlsWorld({ auto_sni: true, auto_san_validation: true });
    const stream = info();
    const say = (name: string, text: string) => stream.filterState.set(name, { toText: () => text });
    say('envoy.network.upstream_server_name', 'f.example');
    say('envoy.network.upstream_subject_alt_names', 'g.example,h.example');
    say('envoy.network.application_protocols', 'h2,x');
    expect(optionsFor(here, headersFor('a.example'), stream)).toMatchObject({
      serverName: 'f.example',
      verifySubjectAltNames: ['g.example', 'h.example'],
      applicationProtocols: ['h2', 'x'],
    });
    expect(optionsFor(tlsWorld(), undefined, stream)?.serverName).toBe('f.example');
  });

  it('has one key for one wish, and is one object for neighbours', () => {
    const here = tlsWorld({ auto_sni: true });
    const [a, b, c] = ['a.example', 'a.example:1', 'c.example'].map((name) =>
      optionsFor(here, headersFor(name)),
    );
    expect(a).toBe(b);
    expect(a?.key).not.toBe(c?.key);
    expect(a?.key).not.toBe('');
  });

  it('never has one key for two wishes, whatever their texts hold', () => {
    const here = tlsWorld();
    const text = fc.stringMatching(/^[a:1\0]{0,4}(san:1:1:a|alpn:1:1:a)?$/);
    const state = fc.tuple(fc.option(text), fc.option(text), fc.option(text));
    fc.assert(
      fc.property(state, state, (left, right) => {
        const [a, b] = [left, right].map((texts) => {
          const stream = info();
          texts.forEach((said, i) => {
            if (said !== null) stream.filterState.set(`envoy.network.${STATES[i]}`, { toText: () => said });
          });
          return optionsFor(here, undefined, stream)?.key;
        });
        expect(a === b).toBe(JSON.stringify(left) === JSON.stringify(right));
      }),
    );
  });
});

const STATES = ['upstream_server_name', 'upstream_subject_alt_names', 'application_protocols'];

describe('the PROXY protocol', () => {
  const proxy = () =>
    world({ transport_socket: TLS }, { registry: new ExtensionRegistry([inOrder, proxied]) });

  it('tells of the client’s connection', () => {
    const stream = info();
    expect(optionsFor(proxy(), undefined, stream)?.proxyProtocol).toEqual({
      source: stream.connection.remoteAddress,
      destination: stream.connection.localAddress,
      tlvs: [],
    });
  });

  it('tells what the client’s own header said', () => {
    const stream = info();
    const [source, destination] = [Address.ip('10.1.1.1', 1), Address.ip('10.1.1.2', 2)];
    const tlvs = [{ type: 0xea, value: Buffer.from('x') }];
    stream.connection.filterState = new Map([
      [PROXY_PROTOCOL_STATE, new ProxyProtocolState(2, source, destination, tlvs)],
    ]);
    const options = optionsFor(proxy(), undefined, stream);
    expect(options?.proxyProtocol).toEqual({ source, destination, tlvs });
    expect(options?.key).not.toBe(optionsFor(proxy(), undefined, info())?.key);
  });
});

describe('pools', () => {
  it('are shared by streams with the same wish only', () => {
    const here = tlsWorld({ auto_sni: true });
    const wish = (name: string) => ({ transport: optionsFor(here, headersFor(name)) });
    send(here, wish('a.example'));
    here.connector.last.accept();
    here.connector.last.receive('done');
    expect(send(here, wish('a.example')).events).toEqual(['ready']);
    expect(send(here, wish('b.example')).events).toEqual([]);
    expect(send(here).events).toEqual([]);
    expect(here.connector.connections.map(({ options }) => options.transport?.serverName)).toEqual([
      'a.example',
      'b.example',
      undefined,
    ]);
    expect(here.connector.connections[1]?.options.transport?.applicationProtocolsFallback).toEqual([
      'http/1.1',
    ]);
    expect(here.cluster.info.resources('default').connectionPools.used).toBe(3);
  });

  it('for wishes that nobody has any more are gone', () => {
    const here = tlsWorld({ auto_sni: true }, {});
    for (let i = 0; i < 50; i++) {
      send(here, { transport: optionsFor(here, headersFor(`${i}.example`)) });
      here.connector.last.accept();
      here.connector.last.receive('close');
      settleCloses();
    }
    expect(here.cluster.info.resources('default').connectionPools.used).toBe(0);
    const host = here.cluster.chooseHost(undefined) as unknown as { wishedPools?: Map<string, unknown> };
    expect(host.wishedPools?.size).toBe(0);
  });

  it('end with their host', () => {
    const here = tlsWorld({ auto_sni: true });
    const request = send(here, { transport: optionsFor(here, headersFor('a.example')) });
    here.connector.last.accept();
    here.manager.updateHosts('web', hostList());
    here.connector.last.receive('done');
    settleCloses();
    expect([request.events.at(-1), here.connector.last.open]).toEqual(['body:done', false]);
    expect(here.cluster.info.resources('default').connectionPools.used).toBe(0);
  });

  it('may be forbidden', () => {
    const here = tlsWorld(
      { auto_sni: true },
      { circuit_breakers: { thresholds: [{ max_connection_pools: 1 }] } },
    );
    send(here, { transport: optionsFor(here, headersFor('a.example')) });
    expect(send(here, { transport: optionsFor(here, headersFor('b.example')) }).failure).toBe('overflow');
    expect(here.counts()['upstream_cx_pool_overflow']).toBe(1);
  });

  it('follow the protocol of the request', () => {
    const here = world(httpOptions({ use_downstream_protocol_config: { http2_protocol_options: {} } }));
    expect(here.cluster.info.usesDownstreamProtocol).toBe(true);
    const requests = (['HTTP/2', 'HTTP/1.1', 'HTTP/1.0', undefined] as const).map((downstreamProtocol) => {
      const request = send(here, { downstreamProtocol });
      here.connector.last.accept();
      here.connector.last.receive('settings:9');
      return request;
    });
    expect(requests.map(({ connection }) => connection?.protocol)).toEqual([
      'HTTP/2',
      'HTTP/1.1',
      'HTTP/1.1',
      'HTTP/1.1',
    ]);
  });
});

describe('transport_socket_matches', () => {
  const matched = (criteria: object, socket: object) => ({ match: criteria, transport_socket: socket });
  const plain = {
    name: 'envoy.transport_sockets.raw_buffer',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer',
    },
  };

  it('choose by the metadata of the host, the first that fits', () => {
    const here = world(
      {
        transport_socket_matches: [
          { name: 'both', ...matched({ tls: true, n: 1 }, TLS) },
          { name: 'secure', ...matched({ tls: true }, TLS) },
        ],
      },
      { registry: new ExtensionRegistry([inOrder, fakeTls]) },
    );
    const of = (values: Record<string, unknown>) => ({ 'envoy.transport_socket_match': values }) as never;
    here.manager.updateHosts(
      'web',
      hostList(
        endpoint('10.0.0.1:80', { metadata: of({ tls: true, n: 1 }) }),
        endpoint('10.0.0.2:80', { metadata: of({ tls: true }) }),
        endpoint('10.0.0.3:80', { metadata: of({ tls: false }) }),
        '10.0.0.4:80',
      ),
    );
    const hosts = here.cluster.hostSets[0]?.hosts ?? [];
    expect(hosts.map(({ secure }) => secure)).toEqual([true, true, false, false]);
    for (const host of hosts)
      here.cluster.httpPool(host, 'default').newStream(new FakeRequest(), new FakeRequest());
    expect(here.connector.connections.map(({ options }) => options.transportSocket?.name)).toEqual([
      'tls',
      'tls',
      undefined,
      undefined,
    ]);
    const count = (name: string) =>
      here.stats.value(`cluster.web.transport_socket_match.${name}.total_match_count`);
    // The host of the world’s first list had none either.
    expect([count('both'), count('secure'), count('default')]).toEqual([1, 1, 3]);
  });

  it('need a transport socket that is known', () => {
    expect(() => world({ transport_socket_matches: [{ name: 'x', ...matched({}, plain) }] })).toThrow(
      'transport_socket_matches[0].transport_socket',
    );
  });

  it('are chosen anew for new metadata', () => {
    const here = world(
      { transport_socket_matches: [{ name: 'secure', ...matched({ a: ['x', { b: null }] }, TLS) }] },
      { registry: new ExtensionRegistry([inOrder, fakeTls]) },
    );
    const metadata = { 'envoy.transport_socket_match': { a: ['x', { b: null }] } };
    const secure = () => here.cluster.hostSets[0]?.hosts[0]?.secure;
    expect(secure()).toBe(false);
    here.manager.updateHosts('web', hostList(endpoint('10.0.0.1:80', { metadata })));
    expect(secure()).toBe(true);
    here.manager.updateHosts('web', hostList(endpoint('10.0.0.1:80', { metadata: { ...metadata } })));
    here.manager.updateHosts('web', hostList(endpoint('10.0.0.1:80')));
    expect(secure()).toBe(false);
  });
});
