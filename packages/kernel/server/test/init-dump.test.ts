import {
  type DescMessage,
  fromJson,
  type JsonValue,
  registry,
  RouteConfigurationSchema,
  VirtualHostSchema,
} from '@dragoman/api';
import { eds } from '@dragoman/discovery-eds';
import {
  clusterConfig,
  eventually,
  type FakeSubscription,
  FakeSubscriptions,
  type JsonObject,
  localAddress,
} from '@dragoman/testing';
import { expect, test } from 'vitest';
import { ADS, edsCluster, rdsListener } from './control-plane.ts';
import { clusterOf, freePort, listenerOf, start } from './dynamic.ts';
import { EXTENSIONS } from './extensions.ts';

const typed = (schema: DescMessage, json: JsonObject) =>
  fromJson(schema, json as JsonValue, { registry }) as never;

test('/init_dump says what a start, and what is warming, waits for', async () => {
  const subscriptions = new FakeSubscriptions();
  const port = await freePort();
  const of = (typeName: string): Promise<FakeSubscription> =>
    eventually(() => {
      const found = subscriptions.active.find(({ options }) => options.type.typeName === typeName);
      if (found === undefined) throw new Error(`nobody asks for ${typeName}`);
      return found;
    });
  const dump = async (mask?: string) => {
    const query = mask === undefined ? '' : `?mask=${mask}`;
    const response = await fetch(`http://127.0.0.1:${port}/init_dump${query}`);
    const { unready_targets_dumps: dumps = [] } = (await response.json()) as {
      unready_targets_dumps?: { name: string; target_names: string[] }[];
    };
    return Object.fromEntries(
      dumps.map(({ name, target_names }) => [name.replace(/ \d+$/, ' <hash>'), target_names]),
    );
  };
  const starting = start(
    {
      admin: { address: localAddress(port) },
      layered_runtime: { layers: [{ name: 'l', rtds_layer: { name: 'rt', rtds_config: ADS } }] },
      static_resources: { clusters: [edsCluster('web')], listeners: [rdsListener('fixed', 'r0')] },
      dynamic_resources: { cds_config: ADS, lds_config: ADS },
    },
    { extensions: [...EXTENSIONS, eds], subscriptions, flags: { drainTimeMs: 20 } },
  );
  starting.catch(() => {});
  const rtds = await of('envoy.service.runtime.v3.Runtime');
  expect(await dump('server')).toEqual({
    'init manager Server': ['target RTDS rt', 'target CDS', 'target LDS'],
  });
  rtds.fail('timeout');
  const cds = await of('envoy.config.cluster.v3.Cluster');
  await cds.update({
    changed: [
      {
        name: 'more',
        version: '1',
        message: clusterOf({ name: 'more', ...clusterConfig('more', 1) }) as never,
      },
    ],
    full: true,
  });
  expect(await dump()).toEqual({
    'init manager Server': ['target LDS'],
    'init manager Cluster web': ['target EDS web'],
  });
  expect(await dump('listener')).toEqual({});
  (await of('envoy.config.endpoint.v3.ClusterLoadAssignment')).fail('timeout');
  const lds = await of('envoy.config.listener.v3.Listener');
  const fixed = {
    'init manager Listener-local-init-manager fixed <hash>': [
      'shared target RdsRouteConfigSubscription RDS init r0',
    ],
  };
  expect(await dump()).toEqual({ 'init manager Server': ['target LDS'], ...fixed });
  const message = listenerOf(rdsListener('late', 'r1'));
  await lds.update({ changed: [{ name: 'late', version: '1', message: message as never }], full: true });
  const late = (...targets: string[]) => ({
    'init manager Listener-local-init-manager late <hash>': targets,
  });
  const routes = 'shared target RdsRouteConfigSubscription RDS init r1';
  expect(await dump('listener')).toEqual({ ...fixed, ...late(routes) });
  expect(await dump('cluster')).toEqual({});
  // What came names something in its turn.
  const rds = subscriptions.active.filter(({ options }) => options.type === RouteConfigurationSchema);
  rds.find(({ names }) => names?.[0] === 'r0')?.fail('timeout');
  const withHosts = typed(RouteConfigurationSchema, { name: 'r1', vhds: { config_source: ADS } });
  const routed = rds.find(({ names }) => names?.[0] === 'r1')?.resources({ r1: withHosts });
  const vhds = await of(VirtualHostSchema.typeName);
  expect(await dump()).toEqual(late(routes, 'target VhdsConfigSubscription r1'));
  await vhds.update({ full: true });
  await routed;
  await using _proxy = await starting;
  expect(await dump()).toEqual({});
});
