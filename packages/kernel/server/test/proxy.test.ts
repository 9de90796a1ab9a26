import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '@dragoman/api';
import { silentLogger } from '@dragoman/core';
import { ENVOY_STATS } from '@dragoman/stats';
import {
  clusterRoute,
  exchange,
  Gate,
  gated,
  type HttpBootstrapOptions,
  HttpUpstream,
  httpBootstrap,
  type JsonObject,
  localAddress,
  rawClient,
  refusedPort,
  requestText,
  startProxy,
  text,
  trackLeaks,
} from '@dragoman/testing';
import { afterAll, describe, expect, test } from 'vitest';
import { createProxy, silentServerLog, validateBootstrap } from '../src/index.ts';
import { EXTENSIONS, says } from './extensions.ts';

const extensions = EXTENSIONS;
const folder = mkdtempSync(join(tmpdir(), 'dragoman-proxy-'));
afterAll(() => rmSync(folder, { recursive: true }));

const start = (options: HttpBootstrapOptions = {}) => startProxy(httpBootstrap(options), { extensions });

describe('life of a proxy', () => {
  test('requests, then close, twice: nothing is left', async () => {
    const leaks = trackLeaks();
    {
      await using upstream = await HttpUpstream.start(text('hello'));
      const proxy = await start({ clusters: { web: upstream.port } });
      await using idle = await proxy.connect();
      await idle.write(requestText('GET', '/'));
      await idle.readResponse();
      expect((await proxy.get('/')).body.toString()).toBe('hello');
      await Promise.all([proxy.close(), proxy.close()]);
      await proxy.close();
      await idle.readUntilClose();
      await expect(rawClient({ port: proxy.port })).rejects.toThrow('ECONNREFUSED');
    }
    await leaks.expectNone();
  });

  test('close in the middle of a request ends it', async () => {
    const leaks = trackLeaks();
    const gate = new Gate();
    {
      await using upstream = await HttpUpstream.start(gated(gate, text('x')));
      const proxy = await start({ clusters: { web: upstream.port } });
      await using client = await proxy.connect();
      await client.write(requestText('GET', '/'));
      await gate.reached();
      await proxy.close();
      expect(await client.readUntilClose()).toBe('');
      gate.open();
    }
    await leaks.expectNone();
  });

  test('drain: nothing new is accepted, idle connections end, requests are finished', async () => {
    const gate = new Gate();
    await using upstream = await HttpUpstream.start(gated(gate, text('late')));
    await using proxy = await start({ clusters: { web: upstream.port } });
    const { port } = proxy;
    await using busy = await proxy.connect();
    await busy.write(requestText('GET', '/'));
    await gate.reached();
    await using idle = await proxy.connect();
    await proxy.untilStat('http.ingress.downstream_cx_active', 2);
    const drained = proxy.proxy.drain();
    await idle.readUntilClose();
    await expect(rawClient({ port })).rejects.toThrow('ECONNREFUSED');
    expect(proxy.stat('server.state')).toBe(1);
    gate.open();
    const response = await busy.readResponse();
    expect([response.body.toString(), response.header('connection')]).toEqual(['late', 'close']);
    busy.end();
    await drained;
    expect(proxy.stat('http.ingress.downstream_cx_drain_close')).toBe(2);
    expect(proxy.stat('listener_manager.listener_stopped')).toBe(1);
  });

  test('drain gives up when its time is over', async () => {
    await using upstream = await HttpUpstream.start(gated(new Gate(), text('never')));
    await using proxy = await start({ clusters: { web: upstream.port } });
    await using client = await proxy.connect();
    await client.write(requestText('GET', '/'));
    await upstream.request();
    await proxy.proxy.drain({ timeMs: 1 });
    expect(proxy.stat('http.ingress.downstream_rq_active')).toBe(1);
  });

  test('a failed start leaves nothing behind, with the problems of all parts', async () => {
    const leaks = trackLeaks();
    const bootstrap = httpBootstrap({
      clusters: { web: 1 },
      listener: { transparent: true },
      bootstrap: {
        hds_config: {},
        layered_runtime: { layers: [{ name: 'r', disk_layer: { subdirectory: '..', symlink_root: '/x' } }] },
      },
    });
    await expect(startProxy(bootstrap, { extensions })).rejects.toThrow(
      /(?=[\s\S]*health discovery \(HDS\) is not supported)(?=[\s\S]*layered_runtime\.layers\[0\]\.disk_layer\.subdirectory: )(?=[\s\S]*listeners\[0\]\.transparent: )/,
    );
    await expect(createProxy({ bootstrap: 'static_resources: [', extensions })).rejects.toThrow();
    await leaks.expectNone();
  });

  test('a listener that cannot be bound takes the admin interface down with it', async () => {
    const leaks = trackLeaks();
    {
      await using taken = await HttpUpstream.start();
      await expect(start({ listener: { address: localAddress(taken.port) } })).rejects.toThrow(
        'Address already in use',
      );
    }
    await leaks.expectNone();
  });

  test('a taken admin port says so', async () => {
    await using taken = await HttpUpstream.start();
    await expect(start({ bootstrap: { admin: { address: localAddress(taken.port) } } })).rejects.toThrow(
      `admin.address: cannot listen on 127.0.0.1:${taken.port}: Address already in use`,
    );
  });

  test('validateBootstrap binds nothing, and finds what createProxy finds', async () => {
    const leaks = trackLeaks();
    await using taken = await HttpUpstream.start();
    const good = httpBootstrap({ clusters: { web: 1 }, listener: { address: localAddress(taken.port) } });
    await validateBootstrap({ bootstrap: JSON.stringify(good), extensions });
    const bad = httpBootstrap({ routes: [{ match: { prefix: '/' }, route: { cluster: 'nobody' } }] });
    await expect(validateBootstrap({ bootstrap: JSON.stringify(bad), extensions })).rejects.toThrow('nobody');
    await taken.stop();
    await leaks.expectNone();
  });

  test('deprecated fields, where runtime forbids them', async () => {
    const strict = { 'envoy.features.fail_on_any_deprecated_feature': true };
    const bootstrap = (values: object) =>
      JSON.stringify({
        admin: { access_log_path: '/dev/null', address: localAddress() },
        layered_runtime: { layers: [{ name: 'base', static_layer: values }] },
      });
    await validateBootstrap({ bootstrap: bootstrap({}), extensions });
    for (const start of [createProxy, validateBootstrap])
      await expect(start({ bootstrap: bootstrap(strict), extensions })).rejects.toThrow(
        /admin\.access_log_path: field envoy\.config\.bootstrap\.v3\.Admin\.access_log_path is deprecated, and/,
      );
    const allowed = 'envoy.deprecated_features:envoy.config.bootstrap.v3.Admin.access_log_path';
    await validateBootstrap({ bootstrap: bootstrap({ ...strict, [allowed]: true }), extensions });
  });

  test('disabledExtensions are as if they were not there', async () => {
    const flags = { disabledExtensions: ['http-filters/envoy.filters.http.router'] };
    await expect(startProxy(httpBootstrap(), { extensions, flags })).rejects.toThrow(
      '@dragoman/http-filter-router',
    );
  });
});

describe('runtime', () => {
  const layers = (...all: JsonObject[]): HttpBootstrapOptions => ({
    bootstrap: { layered_runtime: { layers: all } },
  });

  test('later layers win; the admin layer changes values while it runs', async () => {
    await using proxy = await start(
      layers(
        { name: 'base', static_layer: { health_check: { min_interval: 5 }, a: 1 } },
        { name: 'over', static_layer: { a: 2, f: { numerator: 1, denominator: 'TEN_THOUSAND' } } },
        { name: 'admin', admin_layer: {} },
      ),
    );
    const read = async () => JSON.parse((await proxy.admin('/runtime')).body.toString());
    expect((await read()).entries.a).toEqual({ final_value: '2', layer_values: ['1', '2', ''] });
    expect((await read()).entries['health_check.min_interval'].final_value).toBe('5');
    expect((await proxy.admin('/runtime_modify?a=9', 'POST')).body.toString()).toBe('OK\n');
    expect((await read()).entries.a.final_value).toBe('9');
    expect([proxy.stat('runtime.num_layers'), proxy.stat('runtime.admin_overrides_active')]).toEqual([3, 1]);
    await proxy.admin('/runtime_modify?a=', 'POST');
    expect((await read()).entries.a.final_value).toBe('2');
  });

  test.each([
    [
      'two admin layers',
      [
        { name: 'a', admin_layer: {} },
        { name: 'b', admin_layer: {} },
      ],
      'there can be one admin_layer',
    ],
    [
      'two of a name',
      [
        { name: 'a', static_layer: {} },
        { name: 'a', static_layer: {} },
      ],
      'there are two layers named "a"',
    ],
    ['a list', [{ name: 'a', static_layer: { x: [1] } }], 'static_layer.x: a list is no runtime value'],
    [
      'RTDS',
      [{ name: 'a', rtds_layer: { name: 'x', rtds_config: { ads: {} } } }],
      'layered_runtime.layers[0].rtds_layer.rtds_config.ads: there is no aggregated stream',
    ],
  ])('%s: refused', async (_, all, message) => {
    await expect(start(layers(...(all as JsonObject[])))).rejects.toThrow(message);
  });
});

describe('the admin interface of a running proxy', () => {
  const pages: readonly [path: string, found: RegExp][] = [
    ['/', /<title>|<html/i],
    ['/help', /admin commands are:/],
    ['/ready', /^LIVE\n$/],
    ['/server_info', /"state": "LIVE"/],
    ['/stats', /^http\.ingress\.downstream_rq_total: 1$/m],
    ['/stats?format=json', /"name":"http.ingress.downstream_rq_total"/],
    ['/stats/prometheus', /envoy_http_downstream_rq_total\{envoy_http_conn_manager_prefix="ingress"\} 1/],
    ['/clusters', /^web::default_priority::max_connections::1024$/m],
    ['/clusters?format=json', /"name": "web"/],
    ['/listeners', /^http::127\.0\.0\.1:\d+\n$/],
    ['/listeners?format=json', /"name": "http"/],
    ['/config_dump', /type.googleapis.com\/envoy.admin.v3.BootstrapConfigDump/],
    ['/config_dump?resource=dynamic_listeners', /\{/],
    ['/certs', /"certificates": \[\]/],
    ['/memory', /"allocated": "\d+"/],
    ['/runtime', /"layers": \[/],
    [
      '/explain?request=GET%20http://x/',
      /^=> goes to the cluster "web", by virtual_hosts\[0\]\.routes\[0\]$/m,
    ],
    ['/explain?request=http://x/&format=json', /"hosts": \{\n +"total": 1,\n +"healthy": 1/],
    [
      '/explain?request=http://x/&headers=a:b%0Ax-c:%20d&from=8.8.8.8&sni=s&listener=http&random=7',
      /^GET http:\/\/x\/ from 8\.8\.8\.8:0$/m,
    ],
    ['/stats/recentlookups', /Lookup tracking|lookup/i],
  ];
  const changes: readonly [path: string, found: RegExp][] = [
    ['/logging', /active loggers:/],
    ['/logging?level=debug', /active loggers:/],
    ['/reset_counters', /^OK\n$/],
    ['/healthcheck/fail', /^OK\n$/],
    ['/healthcheck/ok', /^OK\n$/],
    ['/reopen_logs', /^OK\n$/],
    ['/drain_listeners', /^OK\n$/],
  ];

  test('every page answers', async () => {
    await using upstream = await HttpUpstream.start(text('x'));
    await using proxy = await start({ clusters: { web: upstream.port } });
    await proxy.get('/');
    for (const [path, found] of pages) {
      const page = await proxy.admin(path);
      expect(
        [path, page.status, found.test(page.body.toString())],
        page.body.toString().slice(0, 300),
      ).toEqual([path, 200, true]);
    }
    for (const [path, found] of changes) {
      expect([path, (await proxy.admin(path)).status]).toEqual([path, 405]);
      const page = await proxy.admin(path, 'POST');
      expect([path, page.status, found.test(page.body.toString())], page.body.toString()).toEqual([
        path,
        200,
        true,
      ]);
    }
    expect((await proxy.admin('/nothing')).status).toBe(404);
  });

  test("/reopen_logs opens the server's own log too", async () => {
    let reopened = 0;
    const log = { ...silentServerLog(), logger: () => silentLogger, reopen: () => void reopened++ };
    await using proxy = await startProxy(httpBootstrap(), { extensions, log });
    await proxy.admin('/reopen_logs', 'POST');
    expect(reopened).toBe(1);
  });

  test('/drain_listeners?graceful&inboundonly leaves outbound connections alone', async () => {
    const bootstrap = httpBootstrap() as { static_resources: { listeners: JsonObject[] } };
    const [listener] = bootstrap.static_resources.listeners as [JsonObject];
    bootstrap.static_resources.listeners = ['INBOUND', 'OUTBOUND'].map((direction) => ({
      ...listener,
      name: direction,
      traffic_direction: direction,
    }));
    await using proxy = await startProxy(bootstrap as JsonObject, {
      extensions,
      flags: { drainStrategy: 'immediate' },
    });
    await proxy.admin('/drain_listeners?graceful&inboundonly', 'POST');
    const closing = async (name: string) => {
      await using client = await rawClient({ port: proxy.proxy.address(name).port });
      await client.write(requestText('GET', '/'));
      return (await client.readResponse()).header('connection');
    };
    expect([await closing('INBOUND'), await closing('OUTBOUND')]).toEqual(['close', undefined]);
  });

  test('a failed health check drains connections and shows in state', async () => {
    await using upstream = await HttpUpstream.start(text('x'));
    await using proxy = await start({ clusters: { web: upstream.port } });
    await proxy.admin('/healthcheck/fail', 'POST');
    expect((await proxy.admin('/ready')).body.toString()).not.toBe('LIVE\n');
    expect((await proxy.get('/')).header('connection')).toBe('close');
    expect([proxy.stat('server.live'), proxy.stat('server.state')]).toEqual([0, 1]);
    await proxy.admin('/healthcheck/ok', 'POST');
    expect((await proxy.get('/')).header('connection')).toBeUndefined();
    expect(proxy.stat('server.live')).toBe(1);
  });

  test('/drain_listeners stops listening, /quitquitquit ends the proxy', async () => {
    const proxy = await start();
    const { port } = proxy;
    const { adminAddress } = proxy.proxy;
    await proxy.admin('/drain_listeners', 'POST');
    await expect(rawClient({ port })).rejects.toThrow('ECONNREFUSED');
    await proxy.admin('/quitquitquit', 'POST');
    await proxy.close();
    await expect(rawClient({ port: adminAddress?.port as number })).rejects.toThrow('ECONNREFUSED');
  });

  test('/config_dump tells inline scopes', async () => {
    const scope = {
      name: 'one',
      key: { fragments: [{ string_key: '1' }] },
      route_configuration: { name: 'r', virtual_hosts: [{ name: 'v', domains: ['*'] }] },
    };
    const scoped_routes = {
      name: 'scopes',
      scope_key_builder: { fragments: [{ header_value_extractor: { name: 'x', index: 0 } }] },
      scoped_route_configurations_list: { scoped_route_configurations: [scope] },
    };
    await using proxy = await start({ manager: { route_config: undefined, scoped_routes } as never });
    const { configs } = JSON.parse((await proxy.admin('/config_dump')).body.toString());
    const parts = configs.filter(({ '@type': type }: JsonObject) => `${type}`.endsWith('RoutesConfigDump'));
    expect(parts).toEqual([
      {
        '@type': 'type.googleapis.com/envoy.admin.v3.ScopedRoutesConfigDump',
        inline_scoped_route_configs: [
          {
            name: 'scopes',
            scoped_route_configs: [
              { '@type': 'type.googleapis.com/envoy.config.route.v3.ScopedRouteConfiguration', ...scope },
            ],
            last_updated: expect.any(String),
          },
        ],
      },
      { '@type': 'type.googleapis.com/envoy.admin.v3.RoutesConfigDump' },
    ]);
  });

  test('/config_dump?include_eds and /clusters tell localities and health', async () => {
    const address = (port: number) => ({ address: localAddress(port) });
    const locality = { region: 'r', zone: 'z' };
    const endpoints: JsonObject[] = [
      {
        locality,
        lb_endpoints: [{ endpoint: address(1) }, { endpoint: address(2), health_status: 'DRAINING' }],
      },
      {
        priority: 1,
        lb_endpoints: [{ endpoint: address(3), load_balancing_weight: 5, health_status: 'DEGRADED' }],
      },
    ];
    const web = {
      load_assignment: { cluster_name: 'web', endpoints },
      circuit_breakers: { thresholds: [{ max_connections: 7 }] },
    };
    await using proxy = await start({ clusters: { web } });
    const { configs } = JSON.parse((await proxy.admin('/config_dump?include_eds')).body.toString());
    expect(configs.map((part: JsonObject) => `${part['@type']}`.split('.').at(-1))).toEqual([
      'BootstrapConfigDump',
      'ClustersConfigDump',
      'EndpointsConfigDump',
      'ListenersConfigDump',
      'ScopedRoutesConfigDump',
      'RoutesConfigDump',
      'SecretsConfigDump',
    ]);
    const dump = configs[2];
    const host = (port: number, health: string, weight = 1) => ({
      endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } },
      health_status: health,
      metadata: {},
      load_balancing_weight: weight,
    });
    expect(dump.static_endpoint_configs).toEqual([
      {
        endpoint_config: {
          '@type': 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
          cluster_name: 'web',
          endpoints: [
            { locality, lb_endpoints: [host(1, 'HEALTHY'), host(2, 'UNHEALTHY')] },
            { locality: {}, priority: 1, lb_endpoints: [host(3, 'DEGRADED', 5)] },
          ],
          policy: { overprovisioning_factor: 140 },
        },
      },
    ]);
    const clusters = (await proxy.admin('/clusters')).body.toString();
    expect(clusters).toMatch(/:2::health_flags::\/eds_status_draining$/m);
    const json = JSON.parse((await proxy.admin('/clusters?format=json')).body.toString());
    expect(
      json.cluster_statuses[0].host_statuses.map(
        ({ health_status }: { health_status: JsonObject }) => health_status['eds_health_status'],
      ),
    ).toEqual(['HEALTHY', 'DRAINING', 'DEGRADED']);
  });

  test('what cannot be opened is named as it stands in the config', async () => {
    const admin = (fields: JsonObject) =>
      start({ bootstrap: { admin: { address: localAddress(0), ...fields } } });
    await expect(admin({ access_log_path: '/nonexistent/log' })).rejects.toThrow(
      /admin\.access_log_path: cannot open log file/,
    );
    await expect(admin({ address: { pipe: { path: '/nonexistent/socket' } } })).rejects.toThrow(
      /admin\.address: cannot listen on \/nonexistent\/socket: .*its folder must exist/,
    );
  });

  test('an address that is not the loopback is warned about; requests are logged', async () => {
    const path = join(folder, 'admin.log');
    await using proxy = await start({
      bootstrap: { admin: { address: localAddress(0, '0.0.0.0'), access_log_path: path } },
    });
    expect(proxy.log.find('can be reached from other machines')).toHaveLength(1);
    await proxy.admin('/ready');
    await proxy.close();
    expect(readFileSync(path, 'utf8')).toMatch(/"GET \/ready HTTP\/1\.1" 200/);
  });
});

describe('stats', () => {
  test('messages with unknown fields that were let through are counted', async () => {
    const text = 'nodes: 1\nnode: {idd: a, clusterr: b}\n';
    const overlay = { text: 'node: {foo: 1}', format: 'yaml', file: '--config-yaml' } as const;
    const bootstrap = loadConfig({ text, format: 'yaml' }, { allowUnknownStaticFields: true, overlay });
    await using proxy = await createProxy({ bootstrap, extensions });
    // The bootstrap, and a node in each of the two texts.
    expect(proxy.stats.counters.get('server.static_unknown_fields')?.value).toBe(3);
  });

  /** Names of the trees with what stands for `<…>` here. */
  const PLACES: Readonly<Record<string, string>> = {
    '<address>': '127.0.0.1_0',
    '<stat_prefix>': 'ingress',
    '<name>': 'web',
    '<virtual_host>': 'all',
  };

  test('every documented stat of what is configured is under /stats', async () => {
    await using upstream = await HttpUpstream.start(text('x'));
    await using proxy = await startProxy(
      httpBootstrap({
        clusters: {
          web: {
            load_assignment: {
              cluster_name: 'web',
              endpoints: [{ lb_endpoints: [{ endpoint: { address: localAddress(upstream.port) } }] }],
            },
            circuit_breakers: {
              thresholds: [
                { priority: 'DEFAULT', track_remaining: true },
                { priority: 'HIGH', track_remaining: true },
              ],
            },
            track_cluster_stats: { timeout_budgets: true, request_response_sizes: true },
          },
          named: {
            type: 'STRICT_DNS',
            load_assignment: {
              cluster_name: 'named',
              endpoints: [
                { lb_endpoints: [{ endpoint: { address: localAddress(upstream.port, 'localhost') } }] },
              ],
            },
          },
        },
        virtualHosts: [
          {
            name: 'all',
            domains: ['*'],
            routes: [{ ...clusterRoute('/', 'web'), stat_prefix: 'ingress' }],
            virtual_clusters: [
              { name: 'web', headers: [{ name: ':path', string_match: { prefix: '/web' } }] },
            ],
          },
        ],
        manager: {
          access_log: [
            {
              name: 'envoy.access_loggers.file',
              typed_config: {
                '@type': 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog',
                path: join(folder, 'access.log'),
              },
            },
          ],
        },
        listeners: [
          {
            name: 'tcp',
            address: localAddress(),
            listener_filters: [
              {
                name: 'envoy.filters.listener.proxy_protocol',
                typed_config: {
                  '@type':
                    'type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol',
                  allow_requests_without_proxy_protocol: true,
                },
              },
              {
                name: 'envoy.filters.listener.tls_inspector',
                typed_config: {
                  '@type':
                    'type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector',
                },
              },
              {
                name: 'envoy.filters.listener.http_inspector',
                typed_config: {
                  '@type':
                    'type.googleapis.com/envoy.extensions.filters.listener.http_inspector.v3.HttpInspector',
                },
              },
            ],
            filter_chains: [
              {
                filters: [
                  {
                    name: 'envoy.filters.network.tcp_proxy',
                    typed_config: {
                      '@type': 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy',
                      stat_prefix: 'ingress',
                      cluster: 'web',
                    },
                  },
                ],
              },
            ],
          },
        ],
      }),
      { extensions },
    );
    await proxy.get('/');
    expect(
      await exchange({ port: proxy.portOf('tcp') }, requestText('GET', '/', ['connection: close'])),
    ).toContain('x');
    // Histograms show after a flush; the admin page does one.
    proxy.proxy.stats.flush();
    const page = (await proxy.admin('/stats')).body.toString();
    const names = new Set(page.split('\n').map((line) => line.slice(0, line.indexOf(': '))));
    const { counters, gauges, histograms } = proxy.proxy.stats;
    const missing: string[] = [];
    for (const { prefix, stats, condition } of ENVOY_STATS) {
      // This proxy runs on the test's own thread, and has no TLS; the sidecar's tests look at that.
      if (condition === 'threads' || condition === 'tls' || condition === 'http2') continue;
      if (condition === 'load_stats_config') continue;
      const place = prefix.replaceAll(/<\w+>/g, (part) => PLACES[part] as string);
      for (const { name, kind } of stats) {
        const full = place + name;
        const exists = { counter: counters, gauge: gauges, histogram: histograms }[kind].has(full);
        if (!exists || !names.has(full)) missing.push(`${kind} ${full}`);
      }
    }
    expect(missing).toEqual([]);
  });

  test('of failures to connect', async () => {
    await using proxy = await start({ clusters: { web: await refusedPort() } });
    await proxy.get('/');
    expect(proxy.stat('cluster.web.upstream_cx_connect_fail')).toBe(1);
    expect(proxy.stat('server.total_connections')).toBeGreaterThanOrEqual(0);
  });

  test('listeners without a name or a stat prefix', async () => {
    await using proxy = await startProxy(
      { static_resources: { listeners: [{ address: localAddress(), filter_chains: [says('x')] }] } },
      { extensions },
    );
    expect(await exchange({ port: proxy.port })).toBe('x');
    expect(proxy.stat('listener.127.0.0.1_0.downstream_cx_total')).toBe(1);
  });
});
