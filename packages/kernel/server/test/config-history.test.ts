import { type Cluster, ClusterSchema, create, SecretSchema } from '@dragoman/api';
import { eventually, type TestProxy } from '@dragoman/testing';
import { describe, expect, test } from 'vitest';
import { ConfigHistory, type Delivery } from '../src/history/config-history.ts';
import { assignment, ControlPlane, edsCluster, rdsListener, routesTo } from './control-plane.ts';

const cluster = (name: string, altStatName = ''): Cluster => create(ClusterSchema, { name, altStatName });

function delivered(message: Cluster, version: string, more: Partial<Delivery> = {}): Delivery {
  return {
    type: ClusterSchema,
    name: message.name,
    source: 'ads',
    version,
    outcome: 'accepted',
    message,
    ...more,
  };
}

const numbers = (history: ConfigHistory) =>
  [...history.entries].map(({ version, outcome }) => `${version} ${outcome}`);

describe('the history', () => {
  test('keeps what differs, and counts what does not', () => {
    let now = 1;
    const history = new ConfigHistory({ wallTime: () => now });
    history.record(delivered(cluster('a'), '1'));
    history.record(delivered(cluster('a'), '1'));
    now = 5;
    history.record(delivered(cluster('a'), '2'));
    history.record(delivered(cluster('a', 'x'), '3', { outcome: 'rejected', reason: 'no' }));
    history.record(delivered(cluster('a', 'x'), '3', { outcome: 'rejected', reason: 'no' }));
    history.record(delivered(cluster('a'), '4'));
    history.record(delivered(cluster('a', 'y'), '5'));
    history.record(delivered(cluster('a'), '6', { outcome: 'removed', message: undefined }));
    history.record(delivered(cluster('a'), '7', { outcome: 'removed', message: undefined }));
    expect(numbers(history)).toEqual(['1 accepted', '3 rejected', '4 accepted', '5 accepted', '6 removed']);
    const [first, refused, , changed] = [...history.entries];
    expect(first?.again).toEqual({ times: 1, version: '2', at: 5 });
    expect(refused).toMatchObject({ reason: 'no', again: { times: 1, version: '3' } });
    expect(refused?.before).toBe(first);
    expect(changed?.message()).toEqual(cluster('a', 'y'));
    expect(changed?.before?.message()).toEqual(cluster('a'));
  });

  test('keeps so many versions of each, and what is in use', () => {
    const history = new ConfigHistory({ wallTime: () => 0, versions: 3 });
    history.record(delivered(cluster('a'), '1'));
    for (let i = 2; i < 9; i++)
      history.record(delivered(cluster('a', `${i}`), `${i}`, { outcome: 'rejected', reason: `${i}` }));
    expect(numbers(history)).toEqual(['1 accepted', '7 rejected', '8 rejected']);
    const none = new ConfigHistory({ wallTime: () => 0, versions: 0 });
    none.record(delivered(cluster('a'), '1'));
    expect(numbers(none)).toEqual([]);
  });

  test('is bounded over all', () => {
    const maxBytes = 20_000;
    const history = new ConfigHistory({ wallTime: () => 0, maxBytes });
    for (let i = 0; i < 50; i++)
      for (const name of ['a', 'b', 'c'])
        history.record(delivered(cluster(name, 'x'.repeat(1000) + i), `${i}`));
    expect(history.size).toBeLessThanOrEqual(maxBytes);
    const kept = [...history.entries];
    expect(kept.length).toBeGreaterThan(5);
    expect(kept.filter(({ version }) => version === '49')).toHaveLength(3);
    // A control plane with more resources than there is room for: those that came first stay.
    for (let i = 0; i < 1000; i++) history.record(delivered(cluster(`many-${i}`), '1'));
    expect(history.size).toBeLessThanOrEqual(maxBytes);
    expect([...history.entries].some(({ name }) => name === 'many-0')).toBe(true);
  });

  test('keeps no secret, and sees that it has changed', () => {
    const history = new ConfigHistory({ wallTime: () => 0 });
    const secret = (key: string, version: string) =>
      history.record({
        type: SecretSchema,
        name: 's',
        source: 'ads',
        version,
        outcome: 'accepted',
        message: create(SecretSchema, {
          name: 's',
          type: {
            case: 'genericSecret',
            value: { secret: { specifier: { case: 'inlineString', value: key } } },
          },
        }),
      });
    secret('one', '1');
    secret('one', '2');
    secret('two', '3');
    expect(numbers(history)).toEqual(['1 accepted', '3 accepted']);
    for (const entry of history.entries) expect(JSON.stringify(entry.message())).toContain('[redacted]');
  });
});

interface Shown {
  readonly version: string;
  readonly outcome: string;
  readonly name: string;
  readonly source: string;
  readonly reason?: string;
  readonly diff?: readonly string[];
  readonly note?: string;
}

describe('/config_history', () => {
  const ask = async (proxy: TestProxy, query: string) =>
    (await proxy.admin(`/config_history?${query}`)).body.toString();
  const entries = async (proxy: TestProxy, query: string) =>
    (JSON.parse(await ask(proxy, `format=json&${query}`)) as { entries: Shown[] }).entries;

  test('tells what a control plane has given, and what came of it', async () => {
    await using plane = await ControlPlane.start();
    const world = {
      clusters: [edsCluster('web')],
      endpoints: [assignment('web', 1)],
      listeners: [rdsListener('in', 'r')],
      routes: [routesTo('r', 'web')],
    };
    plane.set(world);
    await using proxy = await plane.startProxy();
    for (const type of ['Cluster', 'ClusterLoadAssignment', 'Listener', 'RouteConfiguration'])
      expect(await entries(proxy, `type=${type}`)).toMatchObject([
        { version: '1', outcome: 'accepted', source: 'ads', note: expect.stringContaining('nothing') },
      ]);
    plane.set({
      ...world,
      clusters: [edsCluster('web', { connect_timeout: '2s' })],
      endpoints: [assignment('web', 2)],
    });
    await eventually(async () => expect(await entries(proxy, 'type=Cluster')).toHaveLength(2));
    const [changed] = await entries(proxy, 'type=envoy.config.cluster.v3.Cluster&name=web');
    expect(changed).toMatchObject({ version: '2', outcome: 'accepted' });
    expect(changed?.diff).toEqual(expect.arrayContaining(['-connect_timeout: 1s', '+connect_timeout: 2s']));
    await eventually(async () => expect(await entries(proxy, 'type=ClusterLoadAssignment')).toHaveLength(2));
    const [endpoints] = await entries(proxy, 'type=ClusterLoadAssignment');
    expect(endpoints?.diff).toContainEqual(expect.stringMatching(/^\+ +port_value: 2$/));
    expect(endpoints?.diff?.[0]).toMatch(/^@@ endpoints: > - lb_endpoints: > /);
    // Refused: by who reads it, and by who uses it.
    const wrong = {
      ...routesTo('r', 'web'),
      request_headers_to_add: [{ header: { key: ':path', value: 'x' } }],
    };
    plane.set({
      ...world,
      clusters: [...world.clusters, { name: 'bad', connect_timeout: '-1s' }],
      routes: [wrong],
    });
    await eventually(async () => expect(await entries(proxy, 'outcome=rejected')).toHaveLength(2));
    const rejected = await entries(proxy, 'outcome=rejected');
    expect(rejected.find(({ name }) => name === 'bad')).toMatchObject({
      reason: expect.stringMatching(/^connect_timeout: /),
      note: 'it could not be read',
    });
    const routes = rejected.find(({ name }) => name === 'r');
    expect(routes).toMatchObject({
      version: '3',
      reason: expect.stringMatching(/^request_headers_to_add\[0\]/),
    });
    expect(routes?.diff).toContainEqual('+request_headers_to_add:');
    const text = await ask(proxy, 'name=r');
    expect(text).toMatch(
      /^#\d+ \S+Z envoy\.config\.route\.v3\.RouteConfiguration "r" from ads\n {4}version "3" rejected:\n {6}request_headers_to_add/,
    );
    expect(text).toContain('    since version "1" (#');
    plane.set({ ...world, clusters: [] });
    await eventually(async () =>
      expect((await entries(proxy, 'type=Cluster&name=web'))[0]).toMatchObject({ outcome: 'removed' }),
    );
    expect(await ask(proxy, 'limit=1')).toMatch(/\(\d+ older ones; see limit\)\n$/);
    expect(await ask(proxy, 'name=nobody')).toBe('nothing\n');
    expect((await proxy.admin('/config_history?limit=0')).status).toBe(400);
  });
});
