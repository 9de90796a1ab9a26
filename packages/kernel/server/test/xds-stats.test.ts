import { eventually } from '@dragoman/testing';
import { expect, test } from 'vitest';
import { assignment, ControlPlane, edsCluster, rdsListener, routesTo } from './control-plane.ts';

/** Envoy's, of every subscription, as its page on management servers lists them. */
const SUBSCRIPTION = [
  'init_fetch_timeout',
  'update_attempt',
  'update_success',
  'update_failure',
  'update_rejected',
  'update_time',
  'update_duration',
  'version',
  'version_text',
];
const RELOADS = ['config_reload', 'config_reload_time_ms'];
const CONTROL_PLANE = ['connected_state', 'rate_limit_enforced', 'pending_requests', 'identifier'];
const CLUSTER_MANAGER = [
  'cluster_added',
  'cluster_modified',
  'cluster_removed',
  'cluster_updated',
  'cluster_updated_via_merge',
  'update_merge_cancelled',
  'update_out_of_merge_window',
  'active_clusters',
  'warming_clusters',
];
const LISTENER_MANAGER = [
  'listener_added',
  'listener_modified',
  'listener_removed',
  'listener_stopped',
  'listener_create_success',
  'listener_create_failure',
  'listener_in_place_updated',
  'total_filter_chains_draining',
  'total_listeners_warming',
  'total_listeners_active',
  'total_listeners_draining',
  'workers_started',
];

/** By what stands before them. */
const DOCUMENTED: readonly (readonly [prefix: string, names: readonly string[]])[] = [
  ['control_plane.', CONTROL_PLANE],
  ['cluster_manager.', CLUSTER_MANAGER],
  ['cluster_manager.cds.', [...SUBSCRIPTION, ...RELOADS]],
  ['listener_manager.', LISTENER_MANAGER],
  ['listener_manager.lds.', [...SUBSCRIPTION, ...RELOADS]],
  [
    'cluster.web.',
    [...SUBSCRIPTION, 'update_empty', 'update_no_rebuild', 'assignment_stale', 'warming_state'],
  ],
  ['http.ingress.rds.r.', [...SUBSCRIPTION, ...RELOADS, 'update_empty']],
];

test('what Envoy documents of management servers is counted', async () => {
  await using plane = await ControlPlane.start();
  const world = {
    clusters: [edsCluster('web')],
    endpoints: [assignment('web', 1)],
    listeners: [rdsListener('in', 'r')],
    routes: [routesTo('r', 'web')],
  };
  plane.set(world);
  await using proxy = await plane.startProxy();
  const stats = async () => {
    const { body } = await proxy.admin('/stats?text_readouts');
    const lines = body.toString().trimEnd().split('\n');
    return new Map(lines.map((line) => line.split(': ', 2) as [string, string]));
  };
  const before = await stats();
  const missing = DOCUMENTED.flatMap(([prefix, names]) =>
    names.map((name) => prefix + name).filter((name) => !before.has(name)),
  );
  expect(missing).toEqual([]);
  for (const prefix of [
    'cluster_manager.cds.',
    'listener_manager.lds.',
    'cluster.web.',
    'http.ingress.rds.r.',
  ])
    expect(before.get(`${prefix}version_text`)).toBe('"1"');
  expect(before.get('control_plane.connected_state')).toBe('1');
  const reloads = async (what: string) => proxy.stat(`${what}.config_reload`);
  expect([await reloads('cluster_manager.cds'), await reloads('listener_manager.lds')]).toEqual([1, 1]);

  // The same again is no reload.
  plane.set({
    ...world,
    clusters: [edsCluster('web'), edsCluster('more')],
    endpoints: [assignment('web', 1), assignment('more', 1)],
  });
  await eventually(async () => expect((await stats()).get('listener_manager.lds.version_text')).toBe('"2"'));
  await eventually(async () => expect(await reloads('cluster_manager.cds')).toBe(2));
  expect(await reloads('listener_manager.lds')).toBe(1);
  plane.set({ ...world, listeners: [] });
  await eventually(async () => expect(await reloads('listener_manager.lds')).toBe(2));
  await eventually(async () => expect(await reloads('cluster_manager.cds')).toBe(3));
});
