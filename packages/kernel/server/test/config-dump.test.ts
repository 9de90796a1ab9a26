import {
  create,
  type DescMessage,
  fromJson,
  type JsonValue,
  registry,
  RouteConfigurationSchema,
  ScopedRouteConfigurationSchema,
  SecretSchema,
  TypedExtensionConfigSchema,
  VirtualHostSchema,
} from '@dragoman/api';
import { onDemand } from '@dragoman/http-filter-on-demand';
import {
  clusterConfig,
  eventually,
  FakeSubscriptions,
  type FakeSubscription,
  httpManager,
  type JsonObject,
  localAddress,
  type TestProxy,
} from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { clusterOf, listenerOf, start } from './dynamic.ts';
import { EXTENSIONS } from './extensions.ts';

const SOURCE = { ads: {}, resource_api_version: 'V3' };
const extensions = [...EXTENSIONS, onDemand];

/** JSON, as far as it is looked at. */
interface Part {
  readonly [field: string]: Part;
}

/** A proxy with CDS and LDS that a test answers. */
class Scene implements AsyncDisposable {
  readonly subscriptions = new FakeSubscriptions();
  proxy!: TestProxy;

  static async start(more: JsonObject = {}): Promise<Scene> {
    const scene = new Scene();
    const starting = start(
      {
        admin: { address: localAddress() },
        ...more,
        dynamic_resources: { cds_config: SOURCE, lds_config: SOURCE },
      },
      { extensions, subscriptions: scene.subscriptions, flags: { drainTimeMs: 60_000 } },
    );
    starting.catch(() => {});
    await (await scene.of('envoy.config.cluster.v3.Cluster')).update({ full: true, versionInfo: 'c1' });
    await (await scene.of('envoy.config.listener.v3.Listener')).update({ full: true, versionInfo: 'l1' });
    scene.proxy = await starting;
    return scene;
  }

  of(typeName: string): Promise<FakeSubscription> {
    return eventually(() => {
      const found = this.subscriptions.active.find(({ options }) => options.type.typeName === typeName);
      if (found === undefined) throw new Error(`nobody asks for ${typeName}`);
      return found;
    });
  }

  async parts(query = ''): Promise<readonly Part[]> {
    const { status, body } = await this.proxy.admin(`/config_dump${query}`);
    expect(status).toBe(200);
    return (JSON.parse(body.toString()) as { configs?: Part[] }).configs ?? [];
  }

  async part(name: string, query = ''): Promise<Part> {
    const found = (await this.parts(query)).find((part) => String(part['@type']).endsWith(`.${name}`));
    if (found === undefined) throw new Error(`there is no ${name}`);
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy.close();
  }
}

const resource = (message: { readonly name: string }, version: string) =>
  ({ name: message.name, version, message }) as never;
const typed = (schema: DescMessage, json: JsonObject) =>
  fromJson(schema, json as JsonValue, { registry }) as never;
const manager = (more: JsonObject): JsonObject => {
  const { typed_config } = httpManager({ routes: [] }) as { typed_config: JsonObject };
  const { route_config: _, ...rest } = typed_config;
  return { name: 'envoy.filters.network.http_connection_manager', typed_config: { ...rest, ...more } };
};
const listenerWith = (more: JsonObject, name = 'in') =>
  listenerOf({ name, address: localAddress(), filter_chains: [{ filters: [manager(more)] }] });
const routes = (cluster: string): JsonObject => ({
  name: 'r',
  virtual_hosts: [{ name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster } }] }],
});

describe('/config_dump tells of clusters', () => {
  test('with versions, what is refused and why', async () => {
    await using scene = await Scene.start();
    const cds = await scene.of('envoy.config.cluster.v3.Cluster');
    const good = clusterOf({ name: 'a', ...clusterConfig('a', 1) });
    const bad = (name: string) =>
      clusterOf({ name, ...clusterConfig(name, 1), lb_policy: 'CLUSTER_PROVIDED' });
    await cds.update({ changed: [resource(good, '7')], full: true, versionInfo: 'c2' });
    await expect(
      cds.update({
        changed: [resource(bad('a'), '8'), resource(bad('b'), '9')],
        full: true,
        versionInfo: 'c3',
      }),
    ).rejects.toThrow(/lb_policy/);
    const dump = await scene.part('ClustersConfigDump');
    expect(dump.version_info).toBe('c2');
    expect(dump.dynamic_active_clusters).toMatchObject([
      {
        version_info: '7',
        cluster: { name: 'a' },
        client_status: 'NACKED',
        error_state: { version_info: '8', details: expect.stringMatching(/^lb_policy: /) },
      },
    ]);
    expect(dump.dynamic_active_clusters[0].error_state.failed_configuration).toMatchObject({
      name: 'a',
      lb_policy: 'CLUSTER_PROVIDED',
    });
    expect(dump.dynamic_warming_clusters).toMatchObject([
      { client_status: 'NACKED', error_state: { version_info: '9', failed_configuration: { name: 'b' } } },
    ]);
    expect(dump.dynamic_warming_clusters[0].cluster).toEqual({
      '@type': 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
      name: 'b',
    });
    // It is found by name, and cut to a mask.
    expect(
      await scene.parts('?resource=dynamic_warming_clusters&name_regex=b&mask=error_state.version_info'),
    ).toMatchObject([{ error_state: { version_info: '9' } }]);
    expect(await scene.parts('?resource=dynamic_warming_clusters&name_regex=c')).toEqual([]);
    // What is taken over, or taken back, is no failure any more.
    await cds.update({ changed: [resource(good, '10')], full: true, versionInfo: 'c4' });
    const mended = await scene.part('ClustersConfigDump');
    expect(mended.version_info).toBe('c4');
    expect(mended.dynamic_warming_clusters).toBeUndefined();
    expect(mended.dynamic_active_clusters[0].error_state).toBeUndefined();
    expect(mended.dynamic_active_clusters[0].client_status).toBe('ACKED');
  });
});

describe('/config_dump tells of listeners and routes', () => {
  test('that warm, serve, and are refused', async () => {
    await using scene = await Scene.start();
    const lds = await scene.of('envoy.config.listener.v3.Listener');
    const first = listenerWith({ rds: { route_config_name: 'r', config_source: SOURCE } });
    await lds.update({ changed: [resource(first, '1')], full: true, versionInfo: 'l2' });
    const warming = await scene.part('ListenersConfigDump');
    expect(warming.version_info).toBe('l2');
    expect(warming.dynamic_listeners).toMatchObject([
      { name: 'in', warming_state: { version_info: '1' }, client_status: 'ACKED' },
    ]);
    expect((await scene.part('RoutesConfigDump')).dynamic_route_configs).toMatchObject([
      { client_status: 'REQUESTED', route_config: { name: 'r' } },
    ]);
    const rds = await scene.of(RouteConfigurationSchema.typeName);
    await rds.update({ changed: [resource(typed(RouteConfigurationSchema, routes('a')), '3')] });
    await eventually(async () =>
      expect((await scene.part('ListenersConfigDump')).dynamic_listeners[0].active_state).toMatchObject({
        version_info: '1',
      }),
    );
    const wrong = { ...routes('a'), request_headers_to_add: [{ header: { key: ':path', value: 'x' } }] };
    const refused = typed(RouteConfigurationSchema, wrong);
    await expect(rds.update({ changed: [resource(refused, '4')] })).rejects.toThrow(/^r: /);
    const dynamic = (await scene.part('RoutesConfigDump')).dynamic_route_configs[0] as Part;
    expect(dynamic).toMatchObject({
      version_info: '3',
      client_status: 'NACKED',
      route_config: { name: 'r', virtual_hosts: [{ name: 'all' }] },
      error_state: { version_info: '4', failed_configuration: { name: 'r' } },
    });
    expect(dynamic.error_state.details).toContain('request_headers_to_add');
    expect(Date.parse(String(dynamic.last_updated))).toBeGreaterThan(0);
    const bad = listenerOf({
      name: 'in',
      address: localAddress(),
      filter_chains: [{ filters: [{ name: 'no' }] }],
    });
    await expect(lds.update({ changed: [resource(bad, '5')], full: true })).rejects.toThrow(/^in: /);
    expect((await scene.part('ListenersConfigDump')).dynamic_listeners).toMatchObject([
      {
        name: 'in',
        active_state: { version_info: '1' },
        error_state: { version_info: '5' },
        client_status: 'NACKED',
      },
    ]);
    await rds.update({ removed: ['r'] });
    expect((await scene.part('RoutesConfigDump')).dynamic_route_configs).toMatchObject([
      { client_status: 'DOES_NOT_EXIST' },
    ]);
    // Never taken over, refused, taken back.
    const other = listenerOf({
      name: 'out',
      address: localAddress(),
      filter_chains: [{ filters: [{ name: 'no' }] }],
    });
    await expect(
      lds.update({ changed: [resource(first, '6'), resource(other, '6')], full: true }),
    ).rejects.toThrow();
    expect((await scene.part('ListenersConfigDump', '?name_regex=out')).dynamic_listeners).toHaveLength(1);
    await lds.update({ changed: [resource(first, '7')], full: true });
    expect((await scene.part('ListenersConfigDump', '?name_regex=out')).dynamic_listeners).toBeUndefined();
  });

  test('whose virtual hosts and scopes are discovered', async () => {
    await using scene = await Scene.start();
    const lds = await scene.of('envoy.config.listener.v3.Listener');
    const scoped = {
      scoped_routes: {
        name: 'scopes',
        scope_key_builder: {
          fragments: [
            {
              header_value_extractor: {
                name: 'x',
                element_separator: ',',
                element: { separator: '=', key: 'a' },
              },
            },
          ],
        },
        rds_config_source: SOURCE,
        scoped_rds: { scoped_rds_config_source: SOURCE },
      },
    };
    await lds.update({ changed: [resource(listenerWith(scoped), '1')], full: true });
    expect((await scene.part('ScopedRoutesConfigDump')).dynamic_scoped_route_configs).toMatchObject([
      { name: 'scopes', client_status: 'REQUESTED' },
    ]);
    const srds = await scene.of(ScopedRouteConfigurationSchema.typeName);
    const scope = (name: string, key: string) =>
      typed(ScopedRouteConfigurationSchema, {
        name,
        route_configuration_name: 'r',
        key: { fragments: [{ string_key: key }] },
      });
    const update = srds.update({ changed: [resource(scope('s1', 'k'), '2')], full: true, versionInfo: '22' });
    const rds = await scene.of(RouteConfigurationSchema.typeName);
    const withVhds = { name: 'r', vhds: { config_source: SOURCE } };
    const routed = rds.update({ changed: [resource(typed(RouteConfigurationSchema, withVhds), '3')] });
    const vhds = await scene.of(VirtualHostSchema.typeName);
    const host = { name: 'late', domains: ['late.test'] };
    await vhds.update({
      changed: [{ name: 'r/late', version: '4', message: typed(VirtualHostSchema, host) }],
    });
    await routed;
    await update;
    expect((await scene.part('ScopedRoutesConfigDump')).dynamic_scoped_route_configs).toMatchObject([
      { name: 'scopes', version_info: '22', client_status: 'ACKED', scoped_route_configs: [{ name: 's1' }] },
    ]);
    expect((await scene.part('RoutesConfigDump')).dynamic_route_configs).toMatchObject([
      { version_info: '3', route_config: { name: 'r', virtual_hosts: [host] }, client_status: 'ACKED' },
    ]);
    // A scope by its own name, and the collection by its.
    for (const name of ['s1', 'scopes'])
      expect(await scene.parts(`?resource=dynamic_scoped_route_configs&name_regex=${name}`)).toHaveLength(1);
    expect(await scene.parts('?resource=dynamic_scoped_route_configs&name_regex=s2')).toEqual([]);
    const twice = [resource(scope('s1', 'k'), '5'), resource(scope('s2', 'k'), '5')];
    await expect(srds.update({ changed: twice, full: true })).rejects.toThrow(/s[12]: /);
    const failed = (await scene.part('ScopedRoutesConfigDump')).dynamic_scoped_route_configs[0];
    expect(failed).toMatchObject({
      version_info: '22',
      client_status: 'NACKED',
      error_state: { version_info: '5' },
    });
  });

  test('whose filters are discovered', async () => {
    await using scene = await Scene.start();
    expect((await scene.parts()).map((part) => part['@type'])).not.toContain(
      'type.googleapis.com/envoy.admin.v3.EcdsConfigDump',
    );
    const lds = await scene.of('envoy.config.listener.v3.Listener');
    const url = 'type.googleapis.com/envoy.extensions.filters.http.on_demand.v3.OnDemand';
    const [router] = (httpManager({ routes: [] }) as { typed_config: { http_filters: JsonObject[] } })
      .typed_config.http_filters;
    const discovered = { name: 'f', config_discovery: { config_source: SOURCE, type_urls: [url] } };
    const filters = { route_config: { name: 'x' }, http_filters: [discovered, router as JsonObject] };
    await lds.update({ changed: [resource(listenerWith(filters), '1')], full: true });
    expect(await scene.parts('?resource=ecds_filters')).toMatchObject([
      { ecds_filter: { name: 'f' }, client_status: 'REQUESTED' },
    ]);
    const ecds = await scene.of(TypedExtensionConfigSchema.typeName);
    const config = typed(TypedExtensionConfigSchema, { name: 'f', typed_config: { '@type': url } });
    await ecds.update({ changed: [resource(config, '2')] });
    expect((await scene.part('EcdsConfigDump')).ecds_filters).toMatchObject([
      {
        version_info: '2',
        ecds_filter: { name: 'f', typed_config: { '@type': url } },
        client_status: 'ACKED',
      },
    ]);
    expect(await scene.parts('?resource=ecds_filters&name_regex=g')).toEqual([]);
  });
});

describe('/config_dump tells of secrets', () => {
  const secrets: JsonObject[] = [
    {
      name: 'tls',
      tls_certificate: {
        certificate_chain: { inline_string: 'chain' },
        private_key: { inline_string: 'HIDE-key' },
        password: { inline_string: 'HIDE-password' },
        pkcs12: { inline_bytes: Buffer.from('HIDE-pkcs12').toString('base64') },
      },
    },
    { name: 'ca', validation_context: { trusted_ca: { inline_string: 'authority' } } },
    { name: 'tickets', session_ticket_keys: { keys: [{ inline_string: 'HIDE-ticket' }] } },
    { name: 'generic', generic_secret: { secret: { inline_string: 'HIDE-generic' } } },
  ];

  test('and hides what is secret in them', async () => {
    await using scene = await Scene.start({ static_resources: { secrets } });
    const dump = await scene.part('SecretsConfigDump');
    expect(Object.values(dump.static_secrets).map(({ name }) => name)).toEqual([
      'tls',
      'ca',
      'tickets',
      'generic',
    ]);
    const [tls, ca, tickets, generic] = Object.values(dump.static_secrets).map(({ secret }) => secret);
    expect(tls.tls_certificate).toEqual({
      certificate_chain: { inline_string: 'chain' },
      private_key: { inline_string: '[redacted]' },
      password: { inline_string: '[redacted]' },
      pkcs12: { inline_bytes: Buffer.from('[redacted]').toString('base64') },
    });
    expect(ca.validation_context).toEqual({ trusted_ca: { inline_string: 'authority' } });
    expect(tickets.session_ticket_keys).toEqual({ keys: [{ inline_string: '[redacted]' }] });
    expect(generic.generic_secret).toEqual({ secret: { inline_string: '[redacted]' } });
    const { body } = await scene.proxy.admin('/config_dump');
    expect(body.toString()).not.toMatch(/HIDE/);
    expect(await scene.parts('?resource=static_secrets&name_regex=ca&mask=name')).toEqual([
      { '@type': 'type.googleapis.com/envoy.admin.v3.SecretsConfigDump.StaticSecret', name: 'ca' },
    ]);
  });
});

test('a secret that has not come is uninitialized', async () => {
  const { configDumps, ServerStatus } = await import('../src/config-dump/index.ts');
  const failure = { message: undefined, version: '2', details: 'is bad', at: 5 };
  const one = (name: string, message: unknown, settled: boolean) =>
    ({
      settled,
      reference: { kind: 'single', type: SecretSchema, name },
      resources: [
        {
          name,
          message,
          version: message === undefined ? '' : '1',
          updatedAt: message && 9,
          failure: message && failure,
        },
      ],
    }) as never;
  const empty = { listeners: [], warming: [], draining: [], clusters: [], failures: [] } as never;
  const dumps = configDumps({
    bootstrap: create(registry.getMessage('envoy.config.bootstrap.v3.Bootstrap') as DescMessage) as never,
    loadedAt: 0,
    clusters: empty,
    listeners: empty,
    held: [one('here', create(SecretSchema, { name: 'here' }), true), one('late', undefined, false)],
    versions: { clusters: '', listeners: '' },
    server: new ServerStatus(undefined),
  });
  expect(dumps.at(-1)).toMatchObject({
    dynamicActiveSecrets: [
      { name: 'here', versionInfo: '1', errorState: { details: 'is bad', versionInfo: '2' } },
    ],
    dynamicWarmingSecrets: [{ name: 'late', versionInfo: 'uninitialized' }],
  });
});
