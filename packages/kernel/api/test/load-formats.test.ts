import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '@dragoman/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  anyPack,
  BootstrapSchema,
  create,
  EchoSchema,
  EmptySchema,
  equals,
  loadConfig,
  locate,
  mergeBootstrap,
  RouteConfigurationSchema,
  TcpProxySchema,
  toBinary,
  toConfigJson,
  unpackAny,
  unpackAnyAs,
} from '../src/index.ts';

const TCP_PROXY = 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy';

const yaml = `
node: {id: "i\\n", metadata: {a: [1, {b: null}], c: true}}
static_resources:
  listeners:
  - name: l
    address: {socket_address: {address: 127.0.0.1, port_value: 80}}
    filter_chains:
    - filters:
      - name: tcp
        typed_config:
          "@type": ${TCP_PROXY}
          stat_prefix: s
          cluster: c
          idle_timeout: 5.5s
          max_connect_attempts: 3
  clusters:
  - name: c
    type: STATIC
    lb_policy: RANDOM
    typed_extension_protocol_options:
      some.name: {"@type": type.googleapis.com/google.protobuf.Duration, value: 2s}
`;

const text = `
# the same in text format
node { id: 'i' "\\n" metadata {
  fields { key: "a" value { list_value { values { number_value: 1 } values { struct_value { fields { key: "b" value { null_value: NULL_VALUE } } } } } } }
  fields: { key: "c", value: { bool_value: true } };
} }
static_resources <
  listeners: [{
    name: "l"
    address { socket_address { address: "\\x31\\062\\u0037.0.0.1" port_value: 0x50 } }
    filter_chains { filters {
      name: "tcp"
      typed_config {
        [${TCP_PROXY}] {
          stat_prefix: "s"
          cluster: "c"
          idle_timeout { seconds: 5 nanos: 500000000 }
          max_connect_attempts { value: 3 }
        }
      }
    } }
  }]
  clusters {
    name: "c"
    type: STATIC
    lb_policy: RANDOM
    typed_extension_protocol_options {
      key: "some.name"
      value { [type.googleapis.com/google.protobuf.Duration] { seconds: 2 } }
    }
  }
>
`;

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'dragoman-api-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('formats', () => {
  it('reads the same message from YAML, JSON, text format and binary files', () => {
    const expected = loadConfig({ text: yaml }).message;
    const json = JSON.stringify(toConfigJson(expected));
    const files = {
      'a.yaml': yaml,
      'a.json': json,
      'a.pb_text': text,
      'a.textproto': text,
      'a.pb': toBinary(BootstrapSchema, expected),
    };
    for (const [name, content] of Object.entries(files)) {
      const file = join(folder, name);
      writeFileSync(file, content);
      const loaded = loadConfig(file);
      expect(toConfigJson(loaded.message), name).toEqual(toConfigJson(expected));
      expect(equals(BootstrapSchema, loaded.message, expected), name).toBe(true);
      expect(loaded.file).toBe(file);
    }
  });

  it('reads other messages than the bootstrap', () => {
    const { message } = loadConfig(
      { text: 'name: r\nvirtual_hosts: {name: v, domains: "*"}' },
      { schema: RouteConfigurationSchema },
    );
    expect(message.virtualHosts[0].domains).toEqual(['*']);
  });

  it('takes JSON and YAML that come as text without a name', () => {
    expect(loadConfig({ text: '{"node": {"id": "off"}}' }).message.node?.id).toBe('off');
    expect(loadConfig({ text: 'node: {id: "x"}' }).format).toBe('yaml');
  });

  it('checks binary configs: bytes, constraints, types and fields that are not known', () => {
    const load = (bytes: Uint8Array) => loadConfig({ bytes, file: 'x.pb' });
    expect(() => load(Uint8Array.of(0xff, 0xff))).toThrow(
      /^x\.pb: not a binary envoy\.config\.bootstrap\.v3\.Bootstrap: /,
    );
    const bad = create(BootstrapSchema, {
      staticResources: {
        clusters: [
          {
            name: '',
            transportSocket: { name: 't', configType: { case: 'typedConfig', value: { typeUrl: 'a/b.C' } } },
          },
        ],
      },
    });
    expect(() => load(toBinary(BootstrapSchema, bad))).toThrow(
      'x.pb: static_resources.clusters[0].name: must not be empty\nx.pb: static_resources.clusters[0].transport_socket.typed_config: unknown type b.C',
    );
    const unknown = Uint8Array.of(0xfa, 0x7f, 1, 0x41);
    expect(() => load(unknown)).toThrow('envoy.config.bootstrap.v3.Bootstrap has no field number 2047');
    const { warnings } = loadConfig({ bytes: unknown, file: 'x.pb' }, { allowUnknownStaticFields: true });
    expect(warnings).toMatchObject([{ severity: 'warning' }]);
  });

  it.each<[what: string, text: string, expected: string]>([
    [
      'an unknown field',
      'node {\n  idd: "x"\n}',
      'x.pb_text:2:3: node.idd: no such field in envoy.config.core.v3.Node; did you mean "id"?',
    ],
    ['a value without quotes', 'node { id: x }', 'x.pb_text:1:12: expected a quoted string'],
    [
      'a quoted number',
      'static_resources { clusters { name: "c" lb_policy: "RANDOM" } }',
      'x.pb_text:1:52: a quoted string is no value for this field',
    ],
    ['a field twice', 'node { id: "a"\nid: "b" }', 'x.pb_text:2:1: id is set twice'],
    ['a missing brace', 'node { id: "a"', 'x.pb_text:1:15: expected }, got the end'],
    ['a wrong escape', 'node { id: "\\q" }', 'x.pb_text:1:13: no such escape: \\q'],
    ['a stray character', 'node { id: @ }', 'x.pb_text:1:12: unexpected "@"'],
    [
      'a constraint',
      'static_resources {\n clusters { name: "c" connect_timeout { seconds: -1 } }\n}',
      'x.pb_text:2:23: static_resources.clusters[0].connect_timeout: must be greater than 0s, is -1s',
    ],
    [
      'an unknown type',
      'static_resources { clusters { name: "c" transport_socket { name: "t"\n typed_config { [a/b.C] {} } } } }',
      'x.pb_text:2:17: static_resources.clusters[0].transport_socket.typed_config.@type: unknown type b.C',
    ],
  ])('reports %s in text format', (_, source, expected) => {
    expect(() => loadConfig({ text: source, file: 'x.pb_text' })).toThrow(
      expect.objectContaining({ name: 'ConfigError', message: expected }),
    );
  });

  it('reads raw Any bytes in text format', () => {
    const bytes = [
      ...toBinary(
        TcpProxySchema,
        create(TcpProxySchema, { statPrefix: 's', clusterSpecifier: { case: 'cluster', value: 'c' } }),
      ),
    ];
    const escaped = bytes.map((b) => `\\${b.toString(8).padStart(3, '0')}`).join('');
    const source = `static_resources { clusters { name: "c" transport_socket { name: "t" typed_config { type_url: "${TCP_PROXY}" value: "${escaped}" } } } }`;
    const socket = loadConfig({ text: source, format: 'pb_text' }).message.staticResources!.clusters[0]
      .transportSocket!;
    expect(socket.configType.case === 'typedConfig' && unpackAny(socket.configType.value)).toMatchObject({
      statPrefix: 's',
    });
  });
});

describe('TypedStruct', () => {
  const struct = (kind: string, value: string) => `
static_resources:
  listeners:
  - address: {pipe: {path: /x}}
    filter_chains:
    - filters:
      - name: tcp
        typed_config:
          "@type": type.googleapis.com/${kind}
          type_url: ${TCP_PROXY}
          value:
            ${value}
`;
  it.each(['xds.type.v3.TypedStruct', 'udpa.type.v1.TypedStruct'])('%s is unwrapped', (kind) => {
    const { message } = loadConfig({
      text: struct(kind, '{stat_prefix: s, cluster: c, idle_timeout: {seconds: 3}}'),
    });
    const filter = message.staticResources!.listeners[0].filterChains[0].filters[0];
    if (filter.configType.case !== 'typedConfig') throw new Error('no typed config');
    const any = filter.configType.value;
    expect(unpackAnyAs(any, TcpProxySchema)).toMatchObject({ statPrefix: 's', idleTimeout: { seconds: 3n } });
    expect(unpackAny(any)).toBe(unpackAny(any));
    expect(unpackAnyAs(any, EchoSchema)).toBeUndefined();
  });

  it('has its errors placed', () => {
    const load = (value: string) =>
      loadConfig({ text: struct('xds.type.v3.TypedStruct', value), file: 'x.yaml' });
    const at = 'static_resources.listeners[0].filter_chains[0].filters[0].typed_config';
    expect(() => load('{stat_prefx: s, cluster: c}')).toThrow(
      `x.yaml:12:14: ${at}.stat_prefx: no such field in envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy; did you mean "stat_prefix"?`,
    );
    expect(() => load('{stat_prefix: s, cluster: c, max_connect_attempts: 0}')).toThrow(
      `x.yaml:12:64: ${at}.max_connect_attempts: must be at least 1, is 0`,
    );
  });

  it('may have unknown fields when those are allowed', () => {
    const text = struct('xds.type.v3.TypedStruct', '{stat_prefix: s, cluster: c, more: 1}');
    const { message, warnings } = loadConfig({ text }, { allowUnknownStaticFields: true });
    const filter = message.staticResources!.listeners[0].filterChains[0].filters[0];
    if (filter.configType.case !== 'typedConfig') throw new Error('no typed config');
    expect(unpackAnyAs(filter.configType.value, TcpProxySchema)?.statPrefix).toBe('s');
    expect(warnings.map((warning) => warning.line)).toEqual([12]);
  });

  it('of an unknown type stays as it is, for the extension that knows it', () => {
    const { message } = loadConfig({
      text: struct('xds.type.v3.TypedStruct', '{a: 1}').replace(TCP_PROXY, 'my/own.Type'),
    });
    const filter = message.staticResources!.listeners[0].filterChains[0].filters[0];
    if (filter.configType.case !== 'typedConfig') throw new Error('no typed config');
    expect(unpackAny(filter.configType.value)).toMatchObject({ typeUrl: 'my/own.Type', value: { a: 1 } });
  });
});

describe('unpackAny', () => {
  it('knows empty, unknown and broken contents', () => {
    expect(unpackAny(anyPack(EmptySchema, create(EmptySchema)))).toEqual(create(EmptySchema));
    const any = anyPack(EmptySchema, create(EmptySchema));
    expect(unpackAny({ ...any, typeUrl: '' })).toBeUndefined();
    expect(unpackAny({ ...any, typeUrl: 'a/no.such.Type' })).toBeUndefined();
    expect(() => unpackAny({ ...any, typeUrl: TCP_PROXY, value: Uint8Array.of(0xff) })).toThrow(ConfigError);
  });
});

describe('merging', () => {
  it('follows MergeFrom and places problems of both texts', () => {
    const base =
      'node: {id: a, cluster: k}\nstatic_resources: {clusters: [{name: c1}]}\nadmin: {profile_path: p}\n';
    const overlay = 'node: {id: b}\nstatic_resources: {clusters: [{name: c2}]}\n';
    const { message } = loadConfig(
      { text: base, file: 'a.yaml' },
      { overlay: { text: overlay, format: 'yaml', file: '--config-yaml' } },
    );
    expect(toConfigJson(message)).toEqual({
      node: { id: 'b', cluster: 'k' },
      static_resources: { clusters: [{ name: 'c1' }, { name: 'c2' }] },
      admin: { profile_path: 'p' },
    });
    const load = (extra: string) =>
      loadConfig({ text: base, file: 'a.yaml' }, { overlay: { text: extra, file: '--config-yaml' } });
    expect(() => load('nod: {}')).toThrow('--config-yaml:1:1: nod: no such field');
    expect(() => load('admin:\n  address: {socket_address: {address: a, port_value: 65536}}')).toThrow(
      '--config-yaml:2:54: admin.address',
    );
  });

  it('places what is wrong with the overlay in the overlay', () => {
    const base = [
      'static_resources:',
      '  clusters:',
      '  - {name: a, connect_timeout: 1s}',
      '  - {name: b}',
      'admin: {profile_path: p}',
    ].join('\n');
    const overlay =
      'admin: {profile_path: q}\nstatic_resources: {clusters: [{name: c, connect_timeout: 2s}]}';
    const loaded = loadConfig(
      { text: base, file: 'a.yaml' },
      { overlay: { text: overlay, format: 'yaml', file: '--config-yaml' } },
    );
    const where = (path: string) => {
      const place = loaded.place(path);
      return `${place?.file}:${place?.line}:${place?.column}`;
    };
    expect({
      first: where('static_resources.clusters[0].connect_timeout'),
      second: where('static_resources.clusters[1].connect_timeout'),
      appended: where('static_resources.clusters[2].connect_timeout'),
      missing: where('static_resources.clusters[2].type'),
      replaced: where('admin.profile_path'),
      nowhere: where('static_resources.clusters[3]'),
    }).toEqual({
      first: 'a.yaml:3:32',
      second: 'a.yaml:4:5',
      appended: '--config-yaml:2:58',
      missing: '--config-yaml:2:31',
      replaced: '--config-yaml:1:23',
      nowhere: 'a.yaml:2:3',
    });
  });

  it('does not touch what it merges', () => {
    const base = create(BootstrapSchema, { node: { id: 'a' } });
    const merged = mergeBootstrap(base, create(BootstrapSchema, { node: { cluster: 'b' } }));
    expect([base.node?.cluster, merged.node?.id, merged.node?.cluster]).toEqual(['', 'a', 'b']);
  });
});

describe('locate', () => {
  const loaded = loadConfig({ text: yaml, file: 'x.yaml' });
  it.each<[path: string, line: number, column: number]>([
    ['static_resources.listeners[0].name', 5, 11],
    ['static_resources.listeners[0].filter_chains[0].filters[0].typed_config.stat_prefix', 12, 24],
    ['static_resources.listeners[0].filter_chains[0].filters[0].typed_config', 10, 9],
    ['static_resources.clusters[0].typed_extension_protocol_options["some.name"]', 21, 7],
    ['static_resources.clusters[0].connect_timeout', 17, 5],
    ['static_resources.clusters[7]', 16, 3],
    ['no.such.path', 2, 1],
    ['', 2, 1],
  ])('%s', (path, line, column) => {
    expect(locate(loaded, { path, message: 'm' })).toEqual({
      file: 'x.yaml',
      line,
      column,
      path,
      message: 'm',
    });
  });
});
