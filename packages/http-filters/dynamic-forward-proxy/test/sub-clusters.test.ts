import { type Bootstrap, type Cluster, loadConfig } from '@dragoman/api';
import {
  eventually,
  HttpUpstream,
  httpBootstrap,
  type JsonObject,
  reply,
  requestText,
  type StartProxyOptions,
  startProxy,
  text,
} from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { NAME, TYPES } from './config-parts.ts';
import { extensions } from './thread-extensions.ts';

type Threads = StartProxyOptions['threads'];

const THREADS: readonly (readonly [string, Threads])[] = [
  ['on one thread', 'inline'],
  ['on two worker threads', { extensions: new URL('./thread-extensions.ts', import.meta.url) }],
];

const filter: JsonObject = {
  name: NAME,
  typed_config: {
    '@type': `${TYPES}.filters.http.dynamic_forward_proxy.v3.FilterConfig`,
    sub_cluster_config: {},
  },
};

const cluster = (config: JsonObject): JsonObject => ({
  lb_policy: 'CLUSTER_PROVIDED',
  cluster_type: {
    name: 'envoy.clusters.dynamic_forward_proxy',
    typed_config: {
      '@type': `${TYPES}.clusters.dynamic_forward_proxy.v3.ClusterConfig`,
      sub_clusters_config: config,
    },
  },
});

const start = (threads: Threads, config: JsonObject = {}, fields: JsonObject = {}) =>
  startProxy(
    httpBootstrap({ clusters: { anywhere: { ...cluster(config), ...fields } }, httpFilters: [filter] }),
    {
      extensions,
      threads,
      flags: { concurrency: 2 },
    },
  );

describe.each(THREADS)('a cluster for each host, %s', (_name, threads) => {
  test('requests go to the hosts that they name, each with a cluster of its own', async () => {
    await using one = await HttpUpstream.start(text('one'));
    await using other = await HttpUpstream.start(text('other'));
    await using proxy = await start(threads);
    for (let i = 0; i < 3; i++) {
      const first = await proxy.get('/', `host: 127.0.0.1:${one.port}`);
      expect([first.status, first.body.toString()]).toEqual([200, 'one']);
      const second = await proxy.get('/', `host: 127.0.0.1:${other.port}`);
      expect(second.body.toString()).toBe('other');
    }
    expect(proxy.stat(`cluster.DFPCluster_127.0.0.1_${one.port}.upstream_cx_total`)).toBeGreaterThan(0);
    const lines = (await proxy.admin('/clusters')).body.toString().split('\n');
    expect(lines).toContain(`DFPCluster:127.0.0.1:${one.port}::127.0.0.1:${one.port}::rq_success::3`);
    expect(proxy.stat('cluster_manager.active_clusters')).toBe(3);
  });

  test('one that is asked for too much is refused', async () => {
    await using one = await HttpUpstream.start(text('one'));
    await using proxy = await start(threads, { max_sub_clusters: 1 });
    expect((await proxy.get('/', `host: 127.0.0.1:${one.port}`)).status).toBe(200);
    const second = await proxy.get('/', 'host: 127.0.0.2:9');
    expect([second.status, second.body.toString()]).toEqual([503, 'Sub cluster overflow']);
    expect((await proxy.get('/', `host: 127.0.0.1:${one.port}`)).status).toBe(200);
  });

  test('one that nobody uses goes, and comes again', async () => {
    await using one = await HttpUpstream.start(text('one'));
    await using proxy = await start(threads, { sub_cluster_ttl: '0.1s' });
    const host = `host: 127.0.0.1:${one.port}`;
    expect((await proxy.get('/', host)).status).toBe(200);
    await eventually(() => expect(proxy.stat('cluster_manager.active_clusters')).toBe(1));
    expect(proxy.stat('cluster_manager.cluster_removed')).toBe(1);
    expect((await proxy.get('/', host)).status).toBe(200);
    expect(proxy.stat('cluster_manager.cluster_added')).toBe(3);
  });

  test('those that are named in the config are there before anybody asks', async () => {
    await using one = await HttpUpstream.start(text('one'));
    const preresolve_clusters = [{ address: '127.0.0.1', port_value: one.port }];
    await using proxy = await start(threads, { preresolve_clusters });
    await eventually(() => expect(proxy.stat('cluster_manager.active_clusters')).toBe(2));
    expect((await proxy.get('/', `host: 127.0.0.1:${one.port}`)).status).toBe(200);
    expect(proxy.stat('cluster_manager.cluster_added')).toBe(2);
  });

  test('they come again when their parent has changed', async () => {
    await using one = await HttpUpstream.start(text('one'));
    const config = { preresolve_clusters: [{ address: '127.0.0.1', port_value: one.port }] };
    await using proxy = await start(threads, config);
    await eventually(() => expect(proxy.stat('cluster_manager.active_clusters')).toBe(2));
    const changed = { name: 'anywhere', ...cluster(config), connect_timeout: '2s' };
    const { message } = loadConfig({ text: JSON.stringify({ static_resources: { clusters: [changed] } }) });
    const [parent] = (message as Bootstrap).staticResources?.clusters ?? [];
    expect(await proxy.proxy.addOrUpdateCluster(parent as Cluster)).toBe(true);
    await eventually(() => expect(proxy.stat('cluster_manager.cluster_removed')).toBe(1));
    await eventually(() => expect(proxy.stat('cluster_manager.active_clusters')).toBe(2));
    expect((await proxy.get('/', `host: 127.0.0.1:${one.port}`)).status).toBe(200);
    expect(proxy.stat('cluster_manager.cluster_added')).toBe(3);
  });

  test('they have what their parent says of hosts', async () => {
    await using one = await HttpUpstream.start(reply({ status: 500 }));
    const outlier_detection = {
      consecutive_5xx: 2,
      enforcing_consecutive_5xx: 100,
      max_ejection_percent: 100,
    };
    const fields = {
      outlier_detection,
      dns_lookup_family: 'V4_ONLY',
      common_lb_config: { healthy_panic_threshold: {}, update_merge_window: '0s' },
    };
    await using proxy = await start(threads, {}, fields);
    const host = `host: 127.0.0.1:${one.port}`;
    await eventually(async () => expect((await proxy.get('/', host)).status).toBe(503));
    // Main decides, and workers hear of it: a few may come meanwhile.
    expect(one.requests.length).toBeLessThan(20);
  });

  test('a name that no DNS knows has no hosts', async () => {
    await using proxy = await start(threads);
    const response = await proxy.get('/', 'host: nobody.invalid');
    expect([response.status, response.body.toString()]).toEqual([503, 'no healthy upstream']);
  });

  test('hosts that are none are refused, and harm nobody', async () => {
    await using one = await HttpUpstream.start(text('one'));
    await using proxy = await start(threads);
    for (const host of ['a:99999', '[::1', `${'x'.repeat(300)}.example`]) {
      await using client = await proxy.connect();
      await client.write(requestText('GET', '/', [`host: ${host}`]));
      const { status } = await client.readResponse();
      expect([400, 503], host).toContain(status);
    }
    expect((await proxy.get('/', `host: 127.0.0.1:${one.port}`)).status).toBe(200);
  });
});
