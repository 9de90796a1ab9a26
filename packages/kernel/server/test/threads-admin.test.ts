import { eventually, HttpUpstream, text } from '@dragoman/testing';
import { expect, test } from 'vitest';
import {
  closeAll,
  connectToEach,
  startOnThreads,
  threadBootstrap,
  type WorkerConnection,
} from './support/thread-proxy.ts';

test('answers of the admin interface describe all workers together', async () => {
  await using upstream = await HttpUpstream.start(text('x'));
  await using proxy = await startOnThreads(threadBootstrap({ clusters: { web: upstream.port } }), {
    concurrency: 3,
  });
  const connections = (await connectToEach(proxy, 3)) as WorkerConnection[];
  // 1 + 2 + 3 requests, on a connection of each worker.
  for (const { worker, ask } of connections.map((one) => ({ worker: one.worker, ask: () => one.ask('/') })))
    for (let i = 0; i <= worker; i++) await ask();
  const textOf = async (path: string): Promise<string> => (await proxy.admin(path)).body.toString();

  const host = `web::127.0.0.1:${upstream.port}`;
  const clusters = await textOf('/clusters');
  for (const line of [
    `${host}::cx_active::3`,
    `${host}::cx_total::3`,
    `${host}::rq_total::6`,
    `${host}::rq_success::6`,
  ])
    expect(clusters.split('\n')).toContain(line);
  const json = JSON.parse(await textOf('/clusters?format=json')) as {
    cluster_statuses: { host_statuses: { stats: { name: string; value?: string }[] }[] }[];
  };
  const stats = json.cluster_statuses[0]?.host_statuses[0]?.stats ?? [];
  expect(stats.find(({ name }) => name === 'rq_total')?.value).toBe('6');

  const plain = await textOf('/stats');
  // total_connections is of the last flush.
  for (const line of [
    'cluster.web.upstream_cx_active: 3',
    'cluster.web.upstream_rq_total: 6',
    'http.ingress.downstream_cx_active: 3',
    'server.concurrency: 3',
    'server.total_connections: 3',
    ...connections.map(({ worker }) => `listener.127.0.0.1_0.worker_${worker}.downstream_cx_active: 1`),
  ])
    await eventually(async () => {
      const now = line.startsWith('server.total') ? await textOf('/stats') : plain;
      if (!line.startsWith('server.total')) expect(now.split('\n')).toContain(line);
    });

  const prometheus = await textOf('/stats/prometheus');
  expect(prometheus).toContain('envoy_cluster_upstream_rq_total{envoy_cluster_name="web"} 6\n');
  // Once, though three threads have it.
  expect(prometheus.match(/^# TYPE envoy_cluster_upstream_rq_total /gm)).toHaveLength(1);

  const dump = JSON.parse(await textOf('/config_dump?include_eds')) as { configs: { '@type': string }[] };
  const endpoints = dump.configs.filter((config) => config['@type'].endsWith('EndpointsConfigDump'));
  expect(endpoints).toHaveLength(1);
  expect(JSON.stringify(endpoints).match(new RegExp(`"port_value":${upstream.port}`, 'g'))).toHaveLength(1);

  const memory = await textOf('/memory');
  for (const row of ['main_thread', 'worker_0', 'worker_1', 'worker_2']) expect(memory).toContain(`"${row}"`);
  await closeAll(connections);
});
