import { CaresDnsResolverConfigSchema } from '@dragoman/api';
import { defineDnsResolver, type DnsResult } from '@dragoman/core';
import {
  clusterConfig,
  eventually,
  Gate,
  gated,
  HttpUpstream,
  httpBootstrap,
  type JsonObject,
  type RawResponse,
  rawClient,
  requestText,
  type TestProxy,
  text,
  trackLeaks,
} from '@dragoman/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clusterOf, start, THREADS } from './dynamic.ts';
import { EXTENSIONS } from './extensions.ts';

/** Names are resolved when a test says so. */
class Names {
  private readonly answers = new Map<string, PromiseWithResolvers<DnsResult>>();
  private closed = false;
  readonly extension = defineDnsResolver({
    name: 'envoy.network.dns_resolver.cares',
    config: CaresDnsResolverConfigSchema,
    create: () => ({
      resolve: (name) => (this.closed ? new Promise(() => {}) : this.of(name).promise),
      close: () => {
        this.closed = true;
      },
    }),
  });

  /** From now on the name has these addresses. */
  set(name: string, ...ips: string[]): void {
    const addresses = ips.map((ip) => ({ ip, ttlSeconds: 60 }));
    this.of(name).resolve({ ok: true, addresses });
    this.answers.set(name, Promise.withResolvers());
    this.of(name).resolve({ ok: true, addresses });
  }

  fail(name: string): void {
    this.of(name).resolve({ ok: false, reason: 'SERVFAIL' });
  }

  private of(name: string): PromiseWithResolvers<DnsResult> {
    const found = this.answers.get(name) ?? Promise.withResolvers<DnsResult>();
    this.answers.set(name, found);
    return found;
  }
}

const bootstrap = (more: JsonObject = {}): JsonObject =>
  httpBootstrap({ routes: [{ match: { prefix: '/' }, route: { cluster_header: 'x-cluster' } }], ...more });

const named = (name: string, host: string, port: number, more: JsonObject = {}): JsonObject => ({
  name,
  type: 'STRICT_DNS',
  dns_refresh_rate: '0.02s',
  load_assignment: {
    cluster_name: name,
    endpoints: [
      {
        lb_endpoints: [{ endpoint: { address: { socket_address: { address: host, port_value: port } } } }],
      },
    ],
  },
  ...more,
});

describe.each(THREADS)('%s', (_name, threads) => {
  const names = new Names();
  const extensions = [...EXTENSIONS.filter(({ category }) => category !== 'dns-resolvers'), names.extension];
  let proxy: TestProxy;
  let a: HttpUpstream;
  let b: HttpUpstream;
  beforeAll(async () => {
    [a, b] = [await HttpUpstream.start(text('a')), await HttpUpstream.start(text('b'))];
    proxy = await start(bootstrap({ clusters: { static: a.port } }), { threads, extensions });
  });
  afterAll(async () => {
    await proxy.close();
    await a.stop();
    await b.stop();
  });

  const put = (cluster: JsonObject) => proxy.proxy.addOrUpdateCluster(clusterOf(cluster));
  const remove = (cluster: string) => proxy.proxy.removeCluster(cluster);
  const said = ({ status, body }: RawResponse): string => (status === 200 ? body.toString() : `${status}`);
  const get = async (cluster: string) => said(await proxy.get('/', `x-cluster: ${cluster}`));
  /** Whichever worker gets the connection. */
  const all = async (cluster: string, count = 16) =>
    [...new Set(await Promise.all(Array.from({ length: count }, () => get(cluster))))].sort();
  const stat = (short: string) => proxy.stat(`cluster_manager.${short}`);
  const dump = async () => {
    const { configs } = JSON.parse((await proxy.admin('/config_dump')).body.toString());
    const part = configs.find((one: JsonObject) => `${one['@type']}`.endsWith('.ClustersConfigDump'));
    const list = (field: string) =>
      (part[field] ?? []).map((one: { cluster: JsonObject }) => one.cluster.name).sort();
    return {
      statics: list('static_clusters'),
      dynamic: list('dynamic_active_clusters'),
      warming: list('dynamic_warming_clusters'),
    };
  };

  test('adds, changes and removes', async () => {
    expect(await all('x')).toEqual(['503']);
    const before = ['cluster_added', 'cluster_modified', 'cluster_removed', 'active_clusters'].map(stat);
    expect(await put(clusterConfig('x', a.port))).toBe(true);
    expect(await all('x')).toEqual(['a']);
    expect(await put(clusterConfig('x', a.port))).toBe(false);
    expect(await put(clusterConfig('x', b.port))).toBe(true);
    expect(await all('x')).toEqual(['b']);
    expect((await proxy.admin('/clusters')).body.toString()).toMatch(/^x::added_via_api::true$/m);
    expect((await proxy.admin('/clusters')).body.toString()).toMatch(/^static::added_via_api::false$/m);
    expect(await dump()).toMatchObject({ statics: ['static'], dynamic: ['x'], warming: [] });
    expect([await remove('x'), await remove('x')]).toEqual([true, false]);
    expect(await all('x')).toEqual(['503']);
    expect((await proxy.admin('/clusters')).body.toString()).not.toMatch(/^x::/m);
    expect(['cluster_added', 'cluster_modified', 'cluster_removed', 'active_clusters'].map(stat)).toEqual(
      [1, 1, 1, 0].map((more, i) => (before[i] as number) + more),
    );
  });

  test('requests under way end where they began', async () => {
    const gate = new Gate();
    await using slow = await HttpUpstream.start(gated(gate, text('slow')));
    await put(clusterConfig('busy', slow.port));
    const [first, second] = [get('busy'), get('busy')];
    await gate.reached(2);
    await put(clusterConfig('busy', b.port));
    expect(await all('busy')).toEqual(['b']);
    gate.letPass();
    expect(await Promise.race([first, second])).toBe('slow');
    await remove('busy');
    expect(await all('busy')).toEqual(['503']);
    gate.open();
    expect(await Promise.all([first, second])).toEqual(['slow', 'slow']);
    await eventually(() => slow.openConnections === 0);
  });

  test('no request fails while a cluster changes 20 times', async () => {
    await put(clusterConfig('often', a.port));
    let changing = true;
    const seen = new Set<string>();
    const client = async () => {
      await using connection = await rawClient({ port: proxy.port });
      while (changing) {
        await connection.write(requestText('GET', '/', ['x-cluster: often']));
        seen.add(said(await connection.readResponse()));
      }
    };
    const clients = Promise.all([client(), client(), client()]);
    for (let i = 1; i <= 20; i++) {
      await put({ ...clusterConfig('often', i % 2 === 0 ? a.port : b.port), connect_timeout: `${i}s` });
      expect(await get('often')).toBe(i % 2 === 0 ? 'a' : 'b');
    }
    changing = false;
    await clients;
    expect([...seen].sort()).toEqual(['a', 'b']);
  });

  test('a new version waits for its hosts, and keeps nobody else waiting', async () => {
    await put(clusterConfig('waits', a.port));
    const waiting = put(named('waits', 'late.test', b.port));
    await eventually(() => stat('warming_clusters') === 1);
    expect(await dump()).toMatchObject({ warming: ['waits'] });
    expect(await put(clusterConfig('other', b.port))).toBe(true);
    expect([await all('waits'), await all('other')]).toEqual([['a'], ['b']]);
    names.set('late.test', '127.0.0.1');
    expect(await waiting).toBe(true);
    expect([await all('waits'), stat('warming_clusters')]).toEqual([['b'], 0]);
  });

  test('one whose name cannot be resolved begins without hosts', async () => {
    names.fail('nobody.test');
    expect(await put(named('empty', 'nobody.test', 1))).toBe(true);
    expect(await all('empty')).toEqual(['503']);
  });

  test('the later of two changes stays, whichever has its hosts first', async () => {
    const [first, second, third] = [
      put(named('race', 'first.test', a.port)),
      put(named('race', 'second.test', b.port)),
      put(named('race', 'second.test', b.port)),
    ];
    names.set('second.test', '127.0.0.1');
    expect(await second).toBe(true);
    expect([await first, await third]).toEqual([false, false]);
    names.set('first.test', '127.0.0.1');
    expect(await all('race')).toEqual(['b']);
    const [older, newer] = [
      put(named('race', 'third.test', a.port)),
      put(named('race', 'fourth.test', b.port, { connect_timeout: '1s' })),
    ];
    names.set('third.test', '127.0.0.1');
    expect(await older).toBe(true);
    expect(await all('race')).toEqual(['a']);
    names.set('fourth.test', '127.0.0.1');
    expect(await newer).toBe(true);
    expect(await all('race')).toEqual(['b']);
    expect(stat('warming_clusters')).toBe(0);
  });

  test('back to what is there ends the wait, and so does removal', async () => {
    await put(clusterConfig('back', a.port));
    const waiting = put(named('back', 'never.test', 1));
    expect(await put(clusterConfig('back', a.port))).toBe(false);
    expect([await waiting, stat('warming_clusters'), await all('back')]).toEqual([false, 0, ['a']]);
    const again = put(named('back', 'never.test', 1));
    const fresh = put(named('fresh', 'never.test', 1));
    expect([await remove('back'), await remove('fresh')]).toEqual([true, true]);
    expect([await again, await fresh, stat('warming_clusters')]).toEqual([false, false, 0]);
    expect([await all('back'), await all('fresh')]).toEqual([['503'], ['503']]);
  });

  test('many at once are in place together; those that go meanwhile, and come again, in their order', async () => {
    const names = Array.from({ length: 50 }, (_, i) => `many-${i}`);
    const bad = clusterConfig('many-bad', {
      ...clusterConfig('x', a.port),
      name: 'many-bad',
      cluster_type: { name: 'no' },
    });
    const first = names.map((name) => put(clusterConfig(name, a.port)));
    const refused = put(bad);
    const gone = [remove('many-3'), remove('many-40'), remove('many-41')];
    const again = [put(clusterConfig('many-3', b.port)), put(clusterConfig('many-4', b.port))];
    await expect(refused).rejects.toThrow('no');
    await Promise.all([...first, ...gone, ...again]);
    expect(await Promise.all(['many-2', 'many-3', 'many-4', 'many-40', 'many-49'].map(get))).toEqual([
      'a',
      'b',
      'b',
      '503',
      'a',
    ]);
    await Promise.all(names.map(remove));
    expect((await dump()).dynamic.filter((name: string) => name.startsWith('many'))).toEqual([]);
  });

  test('one that does not compile changes nothing; the hosts of the old one still move', async () => {
    names.set('moves.test', '127.0.0.1');
    await put(named('moves', 'moves.test', a.port));
    expect(await all('moves')).toEqual(['a']);
    names.set('elsewhere.test', '127.0.0.2');
    // Found by main, and by the workers.
    await expect(put({ ...clusterConfig('moves', 1), type: 'EDS' })).rejects.toThrow(
      /^type: .*envoy\.cluster\.eds/,
    );
    const wrong = named('moves', 'elsewhere.test', a.port, { lb_policy: 'RING_HASH' });
    await expect(put(wrong)).rejects.toThrow(/^lb_policy: .*ring_hash/);
    await expect(put({ ...clusterConfig('none', 1), lb_policy: 'RING_HASH' })).rejects.toThrow(
      /^lb_policy: /,
    );
    expect([await all('moves'), await all('none'), stat('warming_clusters')]).toEqual([['a'], ['503'], 0]);
    await using other = await HttpUpstream.start(text('other'), { port: a.port, host: '127.0.0.2' });
    names.set('moves.test', '127.0.0.2');
    await eventually(async () => expect(await all('moves')).toEqual(['other']));
    names.set('moves.test', '127.0.0.1');
    await eventually(async () => expect(await all('moves')).toEqual(['a']));
    expect(other.requests.length).toBeGreaterThan(0);
  });

  test('the budgets of a new version are its own', async () => {
    const gate = new Gate();
    await using slow = await HttpUpstream.start(gated(gate, text('slow')));
    const thresholds = { circuit_breakers: { thresholds: [{ max_requests: 1 }] } };
    await put({ ...clusterConfig('tight', slow.port), ...thresholds });
    const open = 'cluster.tight.circuit_breakers.default.rq_open';
    const held = get('tight');
    await gate.reached();
    expect(await all('tight')).toEqual(['503']);
    expect(proxy.stat(open)).toBe(1);
    await put({ ...clusterConfig('tight', slow.port), ...thresholds, connect_timeout: '1s' });
    expect(proxy.stat(open)).toBe(0);
    const next = get('tight');
    await gate.reached(2);
    expect(proxy.stat(open)).toBe(1);
    gate.open();
    expect([await held, await next, await get('tight')]).toEqual(['slow', 'slow', 'slow']);
    expect(proxy.stat(open)).toBe(0);
  });

  test('one of the bootstrap is dynamic once it was changed', async () => {
    await put(clusterConfig('static', b.port));
    expect(await all('static')).toEqual(['b']);
    expect(await dump()).toMatchObject({ statics: [] });
    expect(await remove('static')).toBe(true);
    expect(await all('static')).toEqual(['503']);
  });
});

test.each(THREADS)(
  'what waits when the proxy closes fails, and leaves nothing behind, %s',
  async (_name, threads) => {
    const leaks = trackLeaks();
    const names = new Names();
    const extensions = [
      ...EXTENSIONS.filter(({ category }) => category !== 'dns-resolvers'),
      names.extension,
    ];
    const proxy = await start(bootstrap({ admin: false }), { threads, extensions });
    const { proxy: served } = proxy;
    const changes = [
      served.addOrUpdateCluster(clusterOf(named('a', 'never.test', 1))),
      served.addOrUpdateCluster(clusterOf(clusterConfig('b', 1))),
      served.addOrUpdateCluster(clusterOf(clusterConfig('b', 2))),
      served.removeCluster('b'),
    ].map((change) => change.then(() => 'done').catch((error: Error) => error.message));
    await proxy.close();
    for (const result of await Promise.all(changes)) expect(result).toMatch(/^done$|^the proxy was closed$/);
    expect(await changes[0]).toBe('the proxy was closed');
    await expect(served.addOrUpdateCluster(clusterOf(clusterConfig('c', 1)))).rejects.toThrow(
      'the proxy was closed',
    );
    await expect(served.removeCluster('c')).rejects.toThrow('the proxy was closed');
    await leaks.expectNone();
  },
);
