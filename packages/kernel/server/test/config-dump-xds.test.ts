import { eventually, type TestProxy } from '@dragoman/testing';
import { expect, test } from 'vitest';
import { assignment, ControlPlane, edsCluster, rdsListener, routesTo } from './control-plane.ts';

/** JSON, as far as it is looked at. */
interface Part {
  readonly [field: string]: Part;
}

async function parts(proxy: TestProxy, query: string): Promise<readonly Part[]> {
  const { body } = await proxy.admin(`/config_dump${query}`);
  return (JSON.parse(body.toString()) as { configs?: Part[] }).configs ?? [];
}

test('/config_dump tells what control planes have given, and what of it nobody could read', async () => {
  await using plane = await ControlPlane.start();
  const world = {
    clusters: [
      edsCluster('web', { eds_cluster_config: { eds_config: { ads: {} }, service_name: 'service' } }),
    ],
    endpoints: [assignment('service', 1)],
    listeners: [rdsListener('in', 'r')],
    routes: [routesTo('r', 'web')],
  };
  const version = plane.set(world);
  await using proxy = await plane.startProxy();
  const [clusters] = await parts(proxy, '?mask=version_info,dynamic_active_clusters');
  expect(clusters).toMatchObject({
    version_info: version,
    dynamic_active_clusters: [{ version_info: version, client_status: 'ACKED', cluster: { name: 'web' } }],
  });
  const endpoints = () => parts(proxy, '?include_eds&resource=dynamic_endpoint_configs');
  const [first] = await endpoints();
  expect(first).toMatchObject({
    version_info: version,
    client_status: 'ACKED',
    endpoint_config: { cluster_name: 'service', endpoints: [{ lb_endpoints: [{}] }] },
  });
  expect(Date.parse(String(first?.last_updated))).toBeGreaterThan(0);
  expect(await parts(proxy, '?include_eds&resource=static_endpoint_configs')).toMatchObject([
    { endpoint_config: { cluster_name: 'xds' } },
  ]);
  // A rule of the API is broken: the subscribers hear nothing of such a resource.
  const worse = plane.set({
    ...world,
    clusters: [...world.clusters, { name: 'bad', connect_timeout: '-1s', type: 'STATIC' }],
    endpoints: [{ ...assignment('service', 1), policy: { overprovisioning_factor: 0 } }],
    listeners: [...world.listeners, { name: 'bad', stat_prefix: 'x', address: {} }],
    routes: [{ ...routesTo('r', 'web'), virtual_hosts: [{ name: '', domains: ['*'] }] }],
  });
  await eventually(() => expect(plane.nacks.length).toBeGreaterThanOrEqual(4));
  const [failed] = await parts(proxy, '?resource=dynamic_warming_clusters');
  expect(failed).toMatchObject({
    client_status: 'NACKED',
    error_state: {
      version_info: worse,
      details: expect.stringContaining('connect_timeout'),
      failed_configuration: { name: 'bad' },
    },
  });
  expect(await endpoints()).toMatchObject([
    {
      version_info: version,
      client_status: 'NACKED',
      error_state: { version_info: worse, details: expect.stringContaining('overprovisioning_factor') },
    },
  ]);
  expect(await parts(proxy, '?resource=dynamic_listeners&name_regex=bad')).toMatchObject([
    { name: 'bad', client_status: 'NACKED', error_state: { version_info: worse } },
  ]);
  expect(await parts(proxy, '?resource=dynamic_route_configs')).toMatchObject([
    {
      version_info: version,
      client_status: 'NACKED',
      route_config: { name: 'r', virtual_hosts: [{ name: 'all' }] },
      error_state: { version_info: worse, details: expect.stringContaining('virtual_hosts[0].name') },
    },
  ]);
  // It is mended.
  plane.set({ ...world, endpoints: [assignment('service', 2)] });
  await eventually(async () => expect((await endpoints())[0]?.client_status).toBe('ACKED'));
  await eventually(async () => {
    expect(await parts(proxy, '?resource=dynamic_warming_clusters')).toEqual([]);
    expect(await parts(proxy, '?resource=dynamic_listeners&name_regex=bad')).toEqual([]);
    expect((await parts(proxy, '?resource=dynamic_route_configs'))[0]?.client_status).toBe('ACKED');
  });
});
