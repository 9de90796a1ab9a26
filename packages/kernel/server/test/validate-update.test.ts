import {
  anyPack,
  create,
  DiscoveryResponseSchema,
  fromJson,
  type JsonValue,
  registry,
  RouteConfigurationSchema,
  toConfigJson,
} from '@dragoman/api';
import { eds } from '@dragoman/discovery-eds';
import {
  clusterConfig,
  eventually,
  type FakeSubscription,
  FakeSubscriptions,
  httpBootstrap,
  type JsonObject,
  localAddress,
  type TestProxy,
} from '@dragoman/testing';
import { ConfigError } from '@dragoman/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readUpdate } from '../src/validate-update/read-update.ts';
import { ADS, assignment, edsCluster, rdsListener, routesTo } from './control-plane.ts';
import { clusterOf, listenerOf, start, THREADS } from './dynamic.ts';
import { EXTENSIONS } from './extensions.ts';

interface Answer {
  readonly status: number;
  readonly text: string;
}

async function ask(proxy: TestProxy, body: string, query = ''): Promise<Answer> {
  const { adminAddress } = proxy.proxy;
  const response = await fetch(`http://${adminAddress?.text}/validate_update${query}`, {
    method: 'POST',
    body,
  });
  return { status: response.status, text: await response.text() };
}

const json = (message: JsonObject) => JSON.stringify(message);
const typed = (type: string, message: JsonObject): JsonObject => ({
  '@type': `type.googleapis.com/${type}`,
  ...message,
});
const CLUSTER = 'envoy.config.cluster.v3.Cluster';

describe.each(THREADS)('%s', (_name, threads) => {
  /** A proxy with a cluster `web`, a listener `in` that takes the routes `r`, and static ones. */
  async function scene(): Promise<{
    proxy: TestProxy;
    rds: FakeSubscription;
    subscriptions: FakeSubscriptions;
  }> {
    const subscriptions = new FakeSubscriptions();
    const of = (typeName: string): Promise<FakeSubscription> =>
      eventually(() => {
        const found = subscriptions.active.find(({ options }) => options.type.typeName === typeName);
        if (found === undefined) throw new Error(`nobody asks for ${typeName}`);
        return found;
      });
    const starting = start(
      {
        ...httpBootstrap({ routes: [], clusters: { fixed: 1 } }),
        admin: { address: localAddress() },
        dynamic_resources: { cds_config: ADS, lds_config: ADS },
      },
      { threads, extensions: [...EXTENSIONS, eds], subscriptions, flags: { drainTimeMs: 20 } },
    );
    starting.catch(() => {});
    const one = (message: { readonly name: string }) =>
      ({ name: message.name, version: '1', message }) as never;
    const cds = await of(CLUSTER);
    await cds.update({ changed: [one(clusterOf({ name: 'web', ...clusterConfig('web', 1) }))], full: true });
    const lds = await of('envoy.config.listener.v3.Listener');
    await lds.update({ changed: [one(listenerOf(rdsListener('in', 'r')))], full: true });
    const rds = await of(RouteConfigurationSchema.typeName);
    await rds.resources({
      r: fromJson(RouteConfigurationSchema, routesTo('r', 'web') as JsonValue, { registry }),
    });
    return { proxy: await starting, rds, subscriptions };
  }

  test('an update is checked as it would be taken over, and changes nothing', async () => {
    const { proxy: running, rds, subscriptions } = await scene();
    await using proxy = running;
    const before = {
      dump: (await proxy.admin('/config_dump?include_eds')).body.toString(),
      subscriptions: subscriptions.all.length,
    };
    const ok = async (type: string, message: JsonObject): Promise<string> => {
      const { status, text } = await ask(proxy, json(message), `?type=${type}`);
      expect({ status, text }).toMatchObject({ status: 200 });
      return text;
    };
    const web = { name: 'web', ...clusterConfig('web', 1) };
    expect(await ok('Cluster', web)).toBe(`ok: ${CLUSTER} "web": unchanged\n`);
    expect(await ok('Cluster', { ...web, connect_timeout: '9s' })).toContain('"web": changed');
    expect(await ok('Cluster', edsCluster('more'))).toContain('"more": new');
    expect(await ok('Cluster', { name: 'fixed', ...clusterConfig('fixed', 2) })).toContain(
      '"fixed": changed; the bootstrap has',
    );
    expect(await ok('Listener', rdsListener('in', 'r'))).toContain('"in": unchanged');
    expect(await ok('Listener', rdsListener('out', 'q'))).toContain('"out": new');
    expect(await ok('RouteConfiguration', routesTo('r', 'other'))).toContain('"r": changed');
    expect(await ok('RouteConfiguration', routesTo('q', 'other'))).toContain('"q": unused; nobody who runs');
    expect(await ok('ClusterLoadAssignment', assignment('nobody', 1))).toContain(
      '"nobody": unused; no cluster',
    );

    const refused = async (type: string, message: JsonObject): Promise<string> => {
      const { status, text } = await ask(
        proxy,
        JSON.stringify(message, null, 1),
        `?type=${type}&file=f.json`,
      );
      expect({ status, text }).toMatchObject({ status: 400 });
      return text;
    };
    expect(await refused('Cluster', { ...web, lb_policy: 'CLUSTER_PROVIDED' })).toMatch(
      /^f\.json:\d+:\d+: lb_policy: extension/m,
    );
    expect(await refused('Cluster', { ...edsCluster('e'), eds_cluster_config: {} })).toMatch(
      /^f\.json:\d+:\d+: eds_cluster_config\.eds_config: is missing/m,
    );
    expect(await refused('Cluster', { ...web, connect_timeout: '-1s' })).toMatch(
      /^f\.json:\d+:\d+: connect_timeout: /m,
    );
    expect(
      await refused('Listener', {
        name: 'x',
        address: localAddress(),
        filter_chains: [{ filters: [{ name: 'no' }] }],
      }),
    ).toMatch(/^f\.json:\d+:\d+: filter_chains\[0\]\.filters\[0\]/m);
    const wrong = {
      ...routesTo('r', 'web'),
      request_headers_to_add: [{ header: { key: ':path', value: 'x' } }],
    };
    expect(await refused('RouteConfiguration', wrong)).toMatch(
      /^f\.json:\d+:\d+: request_headers_to_add\[0\]/m,
    );
    const named = {
      ...assignment('web', 1),
      endpoints: [
        {
          lb_endpoints: [
            { endpoint: { address: { socket_address: { address: 'name.test', port_value: 1 } } } },
          ],
        },
      ],
    };
    expect(await refused('ClusterLoadAssignment', named)).toMatch(
      /^f\.json:\d+:\d+: endpoints\[0\]\.lb_endpoints\[0\]/m,
    );
    expect(await refused('Runtime', { name: 'rt', layer: { a: [1] } })).toMatch(
      /^f\.json:\d+:\d+: layer\.a: a list/m,
    );

    expect((await proxy.admin('/config_dump?include_eds')).body.toString()).toBe(before.dump);
    expect(subscriptions.all).toHaveLength(before.subscriptions);
    // What is refused here is refused there, and what is not is not.
    const send = (message: JsonObject) =>
      rds.resources({ r: fromJson(RouteConfigurationSchema, message as JsonValue, { registry }) });
    await expect(send(wrong)).rejects.toThrow(/request_headers_to_add/);
    await send(routesTo('r', 'other'));
    expect(await ok('RouteConfiguration', routesTo('r', 'other'))).toContain('"r": unchanged');
  });

  test('checks and updates of one resource do not disturb each other', async () => {
    const { proxy: running, rds } = await scene();
    await using proxy = running;
    const wrong = json({
      ...routesTo('r', 'web'),
      request_headers_to_add: [{ header: { key: ':path', value: 'x' } }],
    });
    const rounds = Array.from({ length: 8 }, async (_, i) => {
      const message = fromJson(RouteConfigurationSchema, routesTo('r', `c${i}`) as JsonValue, { registry });
      const [, { status }] = await Promise.all([
        rds.resources({ r: message }),
        ask(proxy, wrong, '?type=RouteConfiguration'),
      ]);
      expect(status).toBe(400);
    });
    await Promise.all(rounds);
    const { text } = await ask(proxy, json(routesTo('r', 'c7')), '?type=RouteConfiguration');
    expect(text).toContain('"r": unchanged');
  });
});

describe('the document', () => {
  const starting = start({ ...httpBootstrap({}), admin: { address: localAddress() } });

  test('says what it is, and may hold several', async () => {
    const proxy = await starting;
    const yaml = `# a cluster\n"@type": type.googleapis.com/${CLUSTER}\nname: a\nconnect_timeout: 1s\nlb_policy: NO\n`;
    expect(await ask(proxy, yaml, '?file=a.yaml')).toMatchObject({
      status: 400,
      text: expect.stringMatching(/^a\.yaml:5:12: lb_policy: /),
    });
    expect((await ask(proxy, yaml.replace('NO', 'ROUND_ROBIN'))).text).toBe(`ok: ${CLUSTER} "a": new\n`);
    const good = clusterOf({ name: 'a', ...clusterConfig('a', 1) });
    const response = create(DiscoveryResponseSchema, {
      versionInfo: '1',
      resources: [anyPack(registry.getMessage(CLUSTER) as never, good as never)],
    });
    const body = toConfigJson(response) as JsonObject;
    const bad = typed(CLUSTER, { name: 'b', ...clusterConfig('b', 1), lb_policy: 'CLUSTER_PROVIDED' });
    const both = JSON.stringify({ ...body, resources: [...(body.resources as JsonObject[]), bad] }, null, 1);
    expect(await ask(proxy, both)).toMatchObject({
      status: 400,
      text: expect.stringMatching(/^\d+:\d+: resources\[1\]\.lb_policy: .*\nok: \S+ "a": new\n$/),
    });
    const delta = { system_version_info: '1', resources: [{ name: 'b', version: '1', resource: bad }] };
    expect((await ask(proxy, json(delta))).text).toContain('resources[0].resource.lb_policy: ');
    const answer = JSON.parse((await ask(proxy, both, '?format=json')).text);
    expect(answer).toMatchObject({
      ok: false,
      resources: [{ name: 'a', state: 'new' }],
      problems: [{ path: 'resources[1].lb_policy' }],
    });
  });

  test.each([
    ['name: a', '', /cannot be told: write "@type"/],
    ['name: a', '?type=Clusters', /type "Clusters" is none .*; did you mean "Cluster"\?/],
    [
      '{"@type": "type.googleapis.com/envoy.config.bootstrap.v3.Bootstrap"}',
      '',
      /Bootstrap is nothing that config sources give/,
    ],
    ['a: [', '?type=Cluster', /^1:/],
    ['', '', /cannot be told/],
  ])('%s %s is refused', async (body, query, message) => {
    expect(await ask(await starting, body, query)).toMatchObject({
      status: 400,
      text: expect.stringMatching(message),
    });
  });

  test('whatever it is, it is read or refused', () => {
    const read = (text: string, type: string | undefined) => {
      try {
        readUpdate({ text, file: 'f', type, name: undefined, allowUnknownFields: true });
      } catch (error) {
        expect(error).toBeInstanceOf(ConfigError);
      }
    };
    const types = fc.constantFrom(
      undefined,
      'Cluster',
      'Secret',
      'DiscoveryResponse',
      'DeltaDiscoveryResponse',
    );
    const resources = fc.array(
      fc.record({ '@type': fc.constantFrom(CLUSTER, `x/${CLUSTER}`, '', 'a/b'), name: fc.jsonValue() }),
    );
    const bodies = fc.oneof(
      fc.string(),
      fc.json(),
      resources.map((list) => JSON.stringify({ resources: list })),
    );
    fc.assert(fc.property(bodies, types, read));
  });

  test('a field that is not known is a warning, as in an update', async () => {
    const { status, text } = await ask(
      await starting,
      `{"name":"a","connect_timeout":"1s","nothing":1}`,
      '?type=Cluster',
    );
    expect(status).toBe(200);
    expect(text).toMatch(/^warning: .*nothing/);
  });

  test('POST only, and no more than 16 MiB', async () => {
    const proxy = await starting;
    expect((await proxy.admin('/validate_update')).status).toBe(405);
    expect((await ask(proxy, `# ${'x'.repeat(100_000)}\n{}`, '?type=Cluster')).status).toBe(400);
    expect((await ask(proxy, 'x'.repeat(17 * 1024 * 1024))).status).toBe(413);
    await proxy.close();
  });
});
