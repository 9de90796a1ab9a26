import { BootstrapConfigDumpSchema, create, loadConfig } from '@dragoman/api';
import { describe, expect, it } from 'vitest';
import { Admin } from '../src/index.ts';
import { FakeState } from './fake-state.ts';

const state = new FakeState();
const admin = new Admin(state);
const get = (query: string) => admin.handle({ method: 'GET', path: `/config_dump${query}` });
const configs = async (query: string) => JSON.parse((await get(query)).body).configs;
const CLUSTER = 'type.googleapis.com/envoy.config.cluster.v3.Cluster';

it('prints every part, the type first', async () => {
  const { status, headers, body } = await get('');
  expect(status).toBe(200);
  expect(headers['content-type']).toBe('application/json');
  expect(
    body.startsWith(
      '{\n "configs": [\n  {\n   "@type": "type.googleapis.com/envoy.admin.v3.BootstrapConfigDump",',
    ),
  ).toBe(true);
  expect(
    JSON.parse(body).configs.map((part: Record<string, string>) => part['@type'].split('.').at(-1)),
  ).toEqual(['BootstrapConfigDump', 'ClustersConfigDump', 'ListenersConfigDump', 'SecretsConfigDump']);
});

it('prints no secret, wherever it is packed', async () => {
  for (const query of ['', '?resource=static_listeners', '?resource=static_secrets', '?name_regex=.*']) {
    const { body } = await get(query);
    expect(body).not.toContain('very secret');
    expect(body).not.toContain(Buffer.from('very secret').toString('base64'));
  }
  const [, , listeners] = await configs('');
  const { transport_socket } = listeners.static_listeners[0].listener.filter_chains[0];
  expect(transport_socket.typed_config.common_tls_context.tls_certificates).toEqual([
    { certificate_chain: { inline_string: 'public' }, private_key: { inline_string: '[redacted]' } },
  ]);
});

it('leaves the messages of the server as they are', async () => {
  const parts = state.configDumps();
  const fixed = new Admin(Object.assign(new FakeState(), { configDumps: () => parts }));
  await fixed.handle({ method: 'GET', path: '/config_dump?mask=version_info&name_regex=x' });
  expect(parts).toEqual(state.configDumps());
});

describe('values that a typed message keeps without a message around them', () => {
  const { message: bootstrap } = loadConfig({
    text: `
node: {id: node, metadata: {role: edge}}
layered_runtime: {layers: [{name: base, static_layer: {a: {b: 1}}}]}
static_resources:
  clusters:
  - name: c
    connect_timeout: 1s
    per_connection_buffer_limit_bytes: 1024
    circuit_breakers: {thresholds: [{max_connections: 3}]}
    metadata: {filter_metadata: {envoy.lb: {canary: true}}}
`,
  });
  const parts = () => [create(BootstrapConfigDumpSchema, { bootstrap })];
  const typed = new Admin(Object.assign(new FakeState(), { configDumps: parts }));
  const dump = async (query: string) => {
    const { status, body } = await typed.handle({ method: 'GET', path: `/config_dump${query}` });
    return status === 200 ? JSON.parse(body).configs[0].bootstrap : [status, body];
  };

  it('are printed', async () => {
    const { node, layered_runtime, static_resources } = await dump('');
    expect([node.metadata, layered_runtime.layers[0].static_layer]).toEqual([
      { role: 'edge' },
      { a: { b: 1 } },
    ]);
    expect(static_resources.clusters[0]).toMatchObject({
      per_connection_buffer_limit_bytes: 1024,
      circuit_breakers: { thresholds: [{ max_connections: 3 }] },
      metadata: { filter_metadata: { 'envoy.lb': { canary: true } } },
    });
  });

  it('are whole for a mask', async () => {
    expect(await dump('?mask=bootstrap.node.metadata')).toEqual({ node: { metadata: { role: 'edge' } } });
    expect(await dump('?mask=bootstrap.node.metadata.fields')).toEqual([
      400,
      'FieldMask bootstrap.node.metadata.fields could not be successfully applied to any configs.',
    ]);
  });
});

it('adds endpoints before listeners', async () => {
  const types = (await configs('?include_eds')).map((part: Record<string, string>) =>
    part['@type'].split('.').at(-1),
  );
  expect(types.slice(1, 4)).toEqual(['ClustersConfigDump', 'EndpointsConfigDump', 'ListenersConfigDump']);
});

it('prints one list', async () => {
  expect(await configs('?resource=static_clusters')).toEqual([
    {
      '@type': 'type.googleapis.com/envoy.admin.v3.ClustersConfigDump.StaticCluster',
      cluster: { '@type': CLUSTER, name: 'a', alt_stat_name: 'a-stat' },
    },
    {
      '@type': 'type.googleapis.com/envoy.admin.v3.ClustersConfigDump.StaticCluster',
      cluster: { '@type': CLUSTER, name: 'b', alt_stat_name: 'b-stat' },
    },
  ]);
});

it('cuts the elements of a list, into the resource', async () => {
  const cut = await configs('?resource=static_clusters&mask=cluster.name,last_updated');
  expect(cut.map(({ cluster }: { cluster: unknown }) => cluster)).toEqual([
    { '@type': CLUSTER, name: 'a' },
    { '@type': CLUSTER, name: 'b' },
  ]);
});

it('cuts parts, and leaves out those that do not have the field', async () => {
  expect(await configs('?mask=version_info')).toEqual([
    { '@type': 'type.googleapis.com/envoy.admin.v3.ClustersConfigDump', version_info: '7' },
    { '@type': 'type.googleapis.com/envoy.admin.v3.ListenersConfigDump' },
  ]);
  expect(await configs('?mask=bootstrap.node.id,bootstrap.node')).toEqual([
    {
      '@type': 'type.googleapis.com/envoy.admin.v3.BootstrapConfigDump',
      bootstrap: { node: { id: 'node' } },
    },
  ]);
});

it('keeps resources by their whole name', async () => {
  const [bootstrap, clusters, listeners, secrets] = await configs('?name_regex=b|dyn.*');
  expect(bootstrap.bootstrap.node.id).toBe('node');
  expect(clusters.static_clusters.map(({ cluster }: { cluster: { name: string } }) => cluster.name)).toEqual([
    'b',
  ]);
  expect(listeners.static_listeners).toBeUndefined();
  expect(listeners.dynamic_listeners).toHaveLength(1);
  expect(secrets.static_secrets).toBeUndefined();
});

it.each([
  ['?resource=nothing', 404, 'nothing not found in config dump'],
  [
    '?resource=version_info',
    400,
    'version_info is not a repeated field. Use ?mask=version_info to get only this field',
  ],
  [
    '?resource=static_clusters&mask=cluster.nothing',
    400,
    'FieldMask cluster.nothing could not be successfully used.',
  ],
  ['?resource=static_clusters&mask=nothing', 400, 'FieldMask nothing could not be successfully used.'],
  ['?mask=nothing', 400, 'FieldMask nothing could not be successfully applied to any configs.'],
  [
    '?mask=static_clusters.cluster',
    400,
    'FieldMask static_clusters.cluster could not be successfully applied to any configs.',
  ],
])('%s: %i', async (query, status, body) => {
  expect(await get(query)).toMatchObject({ status, body });
});

it('refuses a malformed name_regex', async () => {
  const { status, body } = await get('?name_regex=(');
  expect(status).toBe(400);
  expect(body).toMatch(/^Error while parsing name_regex from \(: /);
});
