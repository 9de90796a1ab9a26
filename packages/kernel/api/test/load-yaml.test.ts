import { ConfigError } from '@dragoman/core';
import { describe, expect, it } from 'vitest';
import { type Bootstrap, loadConfig, toConfigJson } from '../src/index.ts';

const load = (text: string, file = 'test.yaml') => loadConfig({ text, file });

/** The lines of the error that loading this text ends in. */
function errors(text: string, file = 'test.yaml'): string[] {
  try {
    load(text, file);
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n');
    throw error;
  }
  return [];
}

const cluster = (body: string) =>
  `static_resources:\n  clusters:\n  - name: c\n${body.replace(/^/gm, '    ')}\n`;
const firstCluster = (text: string, file?: string) => {
  const bootstrap: Bootstrap = load(text, file).message;
  return toConfigJson(bootstrap.staticResources!.clusters[0]) as Record<string, unknown>;
};

describe('what the loader forgives', () => {
  it.each<[what: string, yaml: string, field: string, expected: unknown]>([
    [
      'a lone value for a list',
      'health_checks:\n  timeout: 1s\n  interval: 1s\n  tcp_health_check: {}\n  healthy_threshold: 1\n  unhealthy_threshold: 1',
      'health_checks',
      [{ timeout: '1s', interval: '1s', unhealthy_threshold: 1, healthy_threshold: 1, tcp_health_check: {} }],
    ],
    ['null for a message', 'load_assignment: null\nlb_policy: RANDOM', 'load_assignment', undefined],
    ['an empty value for a message', 'load_assignment:\nlb_policy: RANDOM', 'lb_policy', 'RANDOM'],
    ['null in a list', 'health_checks:\n- null', 'health_checks', undefined],
    ['an enum in lower case', 'lb_policy: least_request', 'lb_policy', 'LEAST_REQUEST'],
    ['an enum by number', 'lb_policy: 3', 'lb_policy', 'RANDOM'],
    ['a boolean as a string', 'respect_dns_ttl: "true"', 'respect_dns_ttl', true],
    ['yes', 'respect_dns_ttl: yes', 'respect_dns_ttl', true],
    ['On', 'respect_dns_ttl: On', 'respect_dns_ttl', true],
    ['a duration as seconds', 'connect_timeout: {seconds: 30}', 'connect_timeout', '30s'],
    [
      'a duration as seconds and nanos',
      'connect_timeout: {seconds: "1", nanos: 500000000}',
      'connect_timeout',
      '1.500s',
    ],
    ['a fraction of a second', 'connect_timeout: 0.25s', 'connect_timeout', '0.250s'],
    [
      'a wrapper as a map',
      'per_connection_buffer_limit_bytes: {value: 3}',
      'per_connection_buffer_limit_bytes',
      3,
    ],
    [
      'a number as a string',
      'per_connection_buffer_limit_bytes: "32768"',
      'per_connection_buffer_limit_bytes',
      32768,
    ],
    [
      'an integral float',
      'per_connection_buffer_limit_bytes: 32768.0',
      'per_connection_buffer_limit_bytes',
      32768,
    ],
    ['octal', 'per_connection_buffer_limit_bytes: 0644', 'per_connection_buffer_limit_bytes', 420],
    ['hexadecimal', 'per_connection_buffer_limit_bytes: 0x10', 'per_connection_buffer_limit_bytes', 16],
    ['the JSON name of a field', 'lbPolicy: RANDOM', 'lb_policy', 'RANDOM'],
    ['the last of equal keys', 'lb_policy: RANDOM\nlb_policy: MAGLEV', 'lb_policy', 'MAGLEV'],
    ['keys tagged !ignore', '!ignore templates:\n- &t 7s\nconnect_timeout: *t', 'connect_timeout', '7s'],
    [
      'an empty Any',
      'transport_socket: {name: x, typed_config: {}}',
      'transport_socket',
      { name: 'x', typed_config: {} },
    ],
    ['a quoted number for a string', 'alt_stat_name: "10"', 'alt_stat_name', '10'],
  ])('%s', (_, yaml, field, expected) => {
    expect(firstCluster(cluster(yaml))[field]).toEqual(expected);
  });

  it('takes defaults where Envoy has them', () => {
    const text = cluster('load_assignment: {cluster_name: another}');
    expect(firstCluster(text)).toEqual({ name: 'c', load_assignment: { cluster_name: 'another' } });
  });

  it('reads an empty document as an empty bootstrap', () => {
    for (const text of ['', '\n', '---\n', '# nothing\n', '{}'])
      expect(toConfigJson(load(text).message)).toEqual({});
  });

  it('guesses the types inside a Struct', () => {
    const { message } = load(
      'node:\n  metadata: {a: 1, b: yes, c: 1.5, d: text, e: null, f: "1", g: [0x1F, .inf], h: 2017-01-01, __proto__: {x: 1}}\n',
    );
    const metadata = message.node!.metadata!;
    expect(Object.entries(metadata)).toEqual([
      ['a', 1],
      ['b', true],
      ['c', 1.5],
      ['d', 'text'],
      ['e', null],
      ['f', '1'],
      ['g', [31, 'Infinity']],
      ['h', '2017-01-01'],
      ['__proto__', { x: 1 }],
    ]);
    expect(({} as { x?: number }).x).toBeUndefined();
  });

  it('reads .json by the rules of JSON', () => {
    const text =
      '{"static_resources": {"clusters": [{"name": "yes", "lb_policy": "random", "lb_policy": "maglev"}]}}';
    expect(firstCluster(text, 'a.json')).toEqual({ name: 'yes', lb_policy: 'MAGLEV' });
  });

  it('warns of a deprecated field once', () => {
    const { warnings } = load(
      `${cluster('dns_refresh_rate: 5s\ntrack_timeout_budgets: true')}  - name: d\n    track_timeout_budgets: true\n`,
    );
    expect(warnings.map((w) => `${w.line}:${w.column} ${w.path} ${w.message}`)).toEqual([
      '5:5 static_resources.clusters[0].track_timeout_budgets field envoy.config.cluster.v3.Cluster.track_timeout_budgets is deprecated',
    ]);
  });

  it('makes unknown fields warnings when asked to', () => {
    const loaded = loadConfig(
      { text: cluster('nonsense: 1'), file: 'x.yaml' },
      { allowUnknownStaticFields: true },
    );
    expect(loaded.warnings).toMatchObject([
      { line: 4, column: 5, path: 'static_resources.clusters[0].nonsense', severity: 'warning' },
    ]);
    expect(loaded.message.staticResources?.clusters[0].name).toBe('c');
  });
});

describe('errors and their places', () => {
  const at = 'static_resources.clusters[0]';
  it.each<[what: string, yaml: string, expected: string[]]>([
    [
      'an unknown field',
      'conect_timeout: 1s',
      [
        `test.yaml:4:5: ${at}.conect_timeout: no such field in envoy.config.cluster.v3.Cluster; did you mean "connect_timeout"?`,
      ],
    ],
    [
      'a field of the v2 API',
      'hosts: []',
      [
        `test.yaml:4:5: ${at}.hosts: no such field in envoy.config.cluster.v3.Cluster; did you mean "load_assignment"?`,
      ],
    ],
    [
      'a field named like a property of every object',
      'constructor: 1',
      [`test.yaml:4:5: ${at}.constructor: no such field in envoy.config.cluster.v3.Cluster`],
    ],
    [
      '__proto__',
      '__proto__: {name: x}',
      [`test.yaml:4:5: ${at}.__proto__: no such field in envoy.config.cluster.v3.Cluster`],
    ],
    [
      'a number for a string',
      'alt_stat_name: 10',
      [`test.yaml:4:20: ${at}.alt_stat_name: expected a string, got the number 10; put it in quotes`],
    ],
    [
      'a list for a string',
      'alt_stat_name: [a]',
      [`test.yaml:4:5: ${at}.alt_stat_name: expected a string, got a list`],
    ],
    [
      'a string for a message',
      'load_assignment: x',
      [
        `test.yaml:4:22: ${at}.load_assignment: expected a map (envoy.config.endpoint.v3.ClusterLoadAssignment), got the string "x"`,
      ],
    ],
    [
      'milliseconds',
      'connect_timeout: 250ms',
      [
        `test.yaml:4:22: ${at}.connect_timeout: the string "250ms" is not a duration: write seconds with an s, such as "0.25s"; did you mean "0.25s"?`,
      ],
    ],
    [
      'a bare number for a duration',
      'connect_timeout: 5',
      [
        `test.yaml:4:22: ${at}.connect_timeout: the number 5 is not a duration: write seconds with an s, such as "0.25s"; did you mean "5s"?`,
      ],
    ],
    [
      'a wrong enum name',
      'lb_policy: ROUND_ROBBIN',
      [
        `test.yaml:4:16: ${at}.lb_policy: "ROUND_ROBBIN" is not one of ROUND_ROBIN, LEAST_REQUEST, RING_HASH, RANDOM, MAGLEV, CLUSTER_PROVIDED, LOAD_BALANCING_POLICY_CONFIG; did you mean "ROUND_ROBIN"?`,
      ],
    ],
    [
      'an enum number that is not defined',
      'lb_policy: 77',
      [`test.yaml:4:16: ${at}.lb_policy: 77 is no value of envoy.config.cluster.v3.Cluster.LbPolicy`],
    ],
    [
      'a number out of range',
      'per_connection_buffer_limit_bytes: 4294967296',
      [
        `test.yaml:4:40: ${at}.per_connection_buffer_limit_bytes: 4294967296 is out of range for an unsigned 32-bit integer (0 to 4294967295)`,
      ],
    ],
    [
      'a negative number',
      'per_connection_buffer_limit_bytes: -1',
      [
        `test.yaml:4:40: ${at}.per_connection_buffer_limit_bytes: -1 is out of range for an unsigned 32-bit integer (0 to 4294967295)`,
      ],
    ],
    [
      'a fraction for an integer',
      'per_connection_buffer_limit_bytes: 1.5',
      [
        `test.yaml:4:40: ${at}.per_connection_buffer_limit_bytes: expected an unsigned 32-bit integer, got the number 1.5`,
      ],
    ],
    [
      'two of a oneof',
      'type: STATIC\ncluster_type: {name: x}',
      [`test.yaml:5:5: ${at}.cluster_type: only one of type and cluster_type can be set`],
    ],
    [
      'an unknown type',
      'transport_socket:\n  name: tls\n  typed_config:\n    "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContex',
      [
        `test.yaml:7:18: ${at}.transport_socket.typed_config.@type: unknown type envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContex; did you mean "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"?`,
      ],
    ],
    [
      'a type of the v2 API',
      'transport_socket:\n  name: tls\n  typed_config: {"@type": type.googleapis.com/envoy.api.v2.auth.UpstreamTlsContext}',
      [
        `test.yaml:6:31: ${at}.transport_socket.typed_config.@type: unknown type envoy.api.v2.auth.UpstreamTlsContext (the v2 API is gone; use v3); did you mean "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"?`,
      ],
    ],
    [
      'a type name without its URL',
      'transport_socket: {name: t, typed_config: {"@type": google.protobuf.Empty}}',
      [
        `test.yaml:4:57: ${at}.transport_socket.typed_config.@type: "google.protobuf.Empty" is not a type URL; did you mean "type.googleapis.com/google.protobuf.Empty"?`,
      ],
    ],
    [
      'no @type',
      'transport_socket:\n  name: tls\n  typed_config: {sni: x}',
      [
        `test.yaml:6:7: ${at}.transport_socket.typed_config: "@type" is missing: it names the message type, as in "type.googleapis.com/…"`,
      ],
    ],
    [
      'a field inside an Any',
      'transport_socket:\n  name: tls\n  typed_config:\n    "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext\n    snii: x',
      [
        `test.yaml:8:9: ${at}.transport_socket.typed_config.snii: no such field in envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext; did you mean "sni"?`,
      ],
    ],
    [
      'a constraint inside an Any',
      `transport_socket:\n  name: tls\n  typed_config:\n    "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext\n    sni: ${'x'.repeat(256)}`,
      [`test.yaml:8:14: ${at}.transport_socket.typed_config.sni: must be at most 255 bytes long`],
    ],
    [
      'a constraint by alias',
      'connect_timeout: &t 0s\ncluster_type: {name: c, typed_config: {"@type": type.googleapis.com/google.protobuf.Duration, value: *t}}',
      [`test.yaml:4:25: ${at}.connect_timeout: must be greater than 0s, is 0s`],
    ],
    [
      'several at once',
      'lb_policy: x\nconnect_timeout: 0s\nfoo: 1',
      [
        `test.yaml:4:16: ${at}.lb_policy: "x" is not one of ROUND_ROBIN, LEAST_REQUEST, RING_HASH, RANDOM, MAGLEV, CLUSTER_PROVIDED, LOAD_BALANCING_POLICY_CONFIG`,
        `test.yaml:5:22: ${at}.connect_timeout: must be greater than 0s, is 0s`,
        `test.yaml:6:5: ${at}.foo: no such field in envoy.config.cluster.v3.Cluster`,
      ],
    ],
  ])('%s', (_, yaml, expected) => {
    expect(errors(cluster(yaml))).toEqual(expected);
  });

  it('finds constraints and shapes in one go, without echoes', () => {
    const text = `${cluster('lb_polici: x')}  - connect_timeout: 0s\n    name: d\nadmin: {address: {socket_address: {address: a, port_value: 70000}}}\n`;
    expect(errors(text)).toEqual([
      `test.yaml:4:5: ${at}.lb_polici: no such field in envoy.config.cluster.v3.Cluster; did you mean "lb_policy"?`,
      'test.yaml:5:22: static_resources.clusters[1].connect_timeout: must be greater than 0s, is 0s',
      'test.yaml:7:60: admin.address.socket_address.port_value: must be at most 65535, is 70000',
    ]);
  });

  it('keeps places right behind bad and null items of a list', () => {
    const text = 'static_resources:\n  clusters:\n  - null\n  - 7\n  - name: c\n    connect_timeout: 0s\n';
    expect(errors(text)).toEqual([
      'test.yaml:4:5: static_resources.clusters[0]: expected a map (envoy.config.cluster.v3.Cluster), got the number 7',
      'test.yaml:6:22: static_resources.clusters[1].connect_timeout: must be greater than 0s, is 0s',
    ]);
  });

  it.each<[what: string, text: string, file: string, expected: RegExp]>([
    ['YAML', 'a: [1,\nb: ]: 2', 'x.yaml', /^x\.yaml:\d+:\d+: not YAML: /],
    ['a tab for indentation', 'node:\n\tid: x', 'x.yaml', /^x\.yaml:2:\d+: not YAML: /],
    ['an alias without its anchor', 'node: *n', 'x.yaml', /^x\.yaml:1:7: .*n/],
    [
      'an alias inside its own anchor',
      'node: &n {metadata: {x: *n}}',
      'x.yaml',
      /^x\.yaml:1:25: the alias \*n stands inside its own anchor$/,
    ],
    ['a key that is no scalar', '? [a]\n: 1', 'x.yaml', /^x\.yaml:1:3: a key must be a scalar$/],
    ['JSON', '{"node":\n {"id": }}', 'x.json', /^x\.json:2:9: not JSON: /],
    ['JSON that ends early', '{"node":', 'x.json', /^x\.json:1:9: not JSON: /],
    [
      'a list as the document',
      '- a',
      'x.yaml',
      /^x\.yaml:1:1: expected a map \(envoy\.config\.bootstrap\.v3\.Bootstrap\), got a list$/,
    ],
  ])('text that is not %s', (_, text, file, expected) => {
    const lines = errors(text, file);
    expect(lines[0]).toMatch(expected);
  });

  it('places errors of JSON files too', () => {
    expect(errors('{\n  "node": {\n    "id": 5\n  }\n}', 'x.json')).toEqual([
      'x.json:3:11: node.id: expected a string, got the number 5; put it in quotes',
    ]);
  });

  it.each([
    ['a field', '{"node": {"id": "\\ud800"}}', 'node.id'],
    ['a list', '{"node": {"client_features": ["a", "\\udc00x"]}}', 'node.client_features[1]'],
    ['a Struct', '{"node": {"metadata": {"a": ["\\ud800"]}}}', 'node.metadata'],
    ['a key of a Struct', '{"node": {"metadata": {"\\ud800": 1}}}', 'node.metadata'],
    [
      'a key of a map',
      '{"node": {"dynamic_parameters": {"\\ud800": {}}}}',
      'node.dynamic_parameters["\\ud800"]',
    ],
  ])('places half of a surrogate pair, which is no text: %s', (_, text, path) => {
    const [line = ''] = errors(text, 'x.json');
    expect(line).toContain(`: ${path}: `);
    expect(line).toMatch(/half of a surrogate pair/);
  });

  it('names a file that is not there', () => {
    expect(() => loadConfig({ file: '/nowhere/envoy.yaml' })).toThrow(
      /^\/nowhere\/envoy\.yaml: cannot be read: ENOENT/,
    );
  });
});

describe('limits', () => {
  it.each<[what: string, text: string, file: string]>([
    ['YAML flow', `node: {metadata: {x: ${'['.repeat(20_000)}${']'.repeat(20_000)}}}`, 'x.yaml'],
    [
      'YAML blocks',
      `node:\n${Array.from({ length: 2_000 }, (_, i) => `${' '.repeat(i + 1)}a:`).join('\n')}`,
      'x.yaml',
    ],
    ['JSON', `{"node":{"metadata":${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}}}`, 'x.json'],
    ['text format', `node ${'{ metadata '.repeat(10_000)}`, 'x.pb_text'],
  ])('deep %s', (_, text, file) => {
    const [first] = errors(text, file);
    expect(first).toMatch(/nested|no such field/);
  });

  it('an alias bomb', () => {
    const levels = Array.from({ length: 12 }, (_, i) => {
      const item = i === 0 ? 'x' : `*l${i - 1}`;
      return `    l${i}: &l${i} [${Array.from({ length: 10 }, () => item).join(', ')}]`;
    });
    const started = performance.now();
    expect(errors(`node:\n  metadata:\n${levels.join('\n')}\n`).at(-1)).toMatch(
      /expands to more than 5000000 values/,
    );
    expect(performance.now() - started).toBeLessThan(15_000);
  });

  it('too many bytes', () => {
    expect(() => loadConfig({ text: `node: {id: ${'x'.repeat(100)}}` }, { maxBytes: 64 })).toThrow(
      /more than the 64/,
    );
  });

  it('thousands of problems', () => {
    const text = `static_resources:\n  clusters:\n${'  - 1\n'.repeat(5_000)}`;
    expect(errors(text)).toHaveLength(1_000);
  });
});
