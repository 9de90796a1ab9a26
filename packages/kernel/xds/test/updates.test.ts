import {
  ClusterLoadAssignmentSchema as EDS,
  ClusterSchema as CDS,
  create,
  ListenerSchema as LDS,
  RouteConfigurationSchema as RDS,
  ScopedRouteConfigurationSchema as SRDS,
  VirtualHostSchema as VHDS,
  anyPack,
} from '@dragoman/api';
import { ConfigError } from '@dragoman/core';
import { describe, expect, it } from 'vitest';
import { ADS, Rig, settled, source } from './support/rig.ts';

const wrongType = anyPack(LDS, create(LDS, { name: 'a' }));
const noName = anyPack(CDS, create(CDS, {}));
const rubbish = {
  ...wrongType,
  typeUrl: 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
  value: new Uint8Array([255]),
};

describe('a response that holds everything', () => {
  const open = () => {
    const rig = new Rig('sotw');
    const subscriber = rig.subscribe(CDS, undefined);
    rig.send(CDS, { changed: { a: '1', b: '1', c: '1' }, version: '1' });
    rig.sent();
    subscriber.take();
    return { rig, subscriber };
  };

  it('keeps the old version of what is bad, and drops what is missing', () => {
    const { rig, subscriber } = open();
    // A Cluster with a stat name of 1 and a connect timeout below zero.
    const bad = anyPack(CDS, create(CDS, { name: 'a', altStatName: '2', connectTimeout: { seconds: -1n } }));
    rig.send(CDS, { changed: { a: bad, b: '2' }, version: '2' });
    expect(subscriber.take()).toEqual([
      'full +a=1 +b=2 v2',
      'rejected: a: connect_timeout: must be greater than 0s, is -1s',
    ]);
    expect(rig.sent()).toEqual(['CDS v1 n2 [] NACK 3: a: connect_timeout: must be greater than 0s, is -1s']);
    // And it goes on from there.
    rig.send(CDS, { changed: { a: '3', b: '2' }, version: '3' });
    expect(subscriber.take()).toEqual(['full +a=3 +b=2 v3']);
    expect(rig.sent()).toEqual(['CDS v3 n3 []']);
  });

  it.each([
    [
      'that cannot be read',
      rubbish,
      /^rejected: resources\[0\]: not a valid envoy\.config\.cluster\.v3\.Cluster/,
    ],
    [
      'of another type',
      wrongType,
      'rejected: resources[0]: is a envoy.config.listener.v3.Listener, and should be a envoy.config.cluster.v3.Cluster',
    ],
    ['without a name', noName, /^rejected: resources\[0\]: name/],
  ])('removes nothing when there is one %s', (_, bad, text) => {
    const { rig, subscriber } = open();
    rig.send(CDS, { changed: { x: bad, b: '2' }, version: '2' });
    expect(subscriber.take()).toEqual([
      'full +a=1 +b=2 +c=1 v2',
      typeof text === 'string' ? text : expect.stringMatching(text),
    ]);
  });

  it('brings nothing when nothing in it is good', () => {
    const { rig, subscriber } = open();
    rig.send(CDS, { changed: { x: rubbish }, version: '2' });
    expect(subscriber.take()).toEqual([expect.stringMatching(/^rejected/)]);
    expect(rig.stat('test.update_rejected')).toBe(1);
    expect(rig.stat('test.update_success')).toBe(1);
  });

  it('takes heartbeats for what they are', async () => {
    const rig = new Rig('sotw');
    const subscriber = rig.subscribe(CDS, undefined);
    rig.send(CDS, { changed: { a: '1', b: '1' }, version: '1', ttlMs: 1000 });
    subscriber.take();
    rig.sent();
    rig.context.clock.advance(800);
    rig.send(CDS, { changed: { a: undefined, b: undefined }, version: '1', ttlMs: 1000 });
    expect(subscriber.take()).toEqual([]);
    expect(rig.sent()).toEqual(['CDS v1 n2 []']);
    await rig.context.clock.advanceAsync(800);
    expect(subscriber.take()).toEqual([]);
    await rig.context.clock.advanceAsync(300);
    expect(subscriber.take()).toEqual(['-a -b v1']);
  });

  it('is applied once where several have come meanwhile', async () => {
    const { rig, subscriber } = open();
    const held = subscriber.hold();
    for (let i = 2; i <= 1000; i++) rig.send(CDS, { changed: { a: String(i) }, version: String(i) });
    expect(subscriber.take()).toEqual(['full +a=2 v2']);
    expect(rig.stream.pauses).toEqual([]);
    await held.accept();
    expect(subscriber.take()).toEqual(['full +a=1000 v1000']);
    await held.accept();
    expect(rig.sent()).toEqual(['CDS v2 n2 []', 'CDS v1000 n1000 []']);
    expect(rig.xds.report().types[0].skipped).toBe(997);
  });

  it('is told in full to those who ask by name, too', () => {
    const rig = new Rig('sotw');
    const subscriber = rig.subscribe(CDS, ['a', 'b']);
    rig.send(CDS, { changed: {} });
    expect(subscriber.take()).toEqual([]);
    rig.send(CDS, { changed: { a: '1', b: '1' } });
    rig.send(CDS, { changed: { a: '1' } });
    rig.send(CDS, { changed: {} });
    rig.send(CDS, { changed: {} });
    expect(subscriber.take()).toEqual(['full +a=1 +b=1 v1', 'full +a=1 v1', 'full v1']);
  });

  it('is full for other types of which everything is wanted', () => {
    const rig = new Rig('sotw');
    const subscriber = rig.subscribe(SRDS, undefined);
    const scoped = (name: string) =>
      anyPack(
        SRDS,
        create(SRDS, {
          name,
          routeConfigurationName: 'r',
          key: { fragments: [{ type: { case: 'stringKey', value: name } }] },
        }),
      );
    rig.send(SRDS, { changed: { a: scoped('a'), b: scoped('b') } });
    rig.send(SRDS, { changed: { b: scoped('b') } });
    expect(subscriber.take()).toEqual(['full +a=a +b=b v1', 'full +b=b v1']);
  });
});

describe('an update', () => {
  it('says which resource a subscriber refuses, and keeps the others', () => {
    const rig = new Rig('delta');
    const subscriber = rig.subscribe(CDS, undefined);
    rig.send(CDS, { changed: { a: '1', b: '1' } });
    subscriber.answer = () => {
      throw ConfigError.at('a: lb_policy', 'no');
    };
    rig.send(CDS, { changed: { a: '2', b: '2' }, version: '2' });
    expect(rig.xds.report().types[0].resources).toMatchObject([
      { name: 'a', version: '1', status: 'NACKED', error: { details: 'a: lb_policy: no', version: '2' } },
      { name: 'b', version: '2', status: 'ACKED' },
    ]);
    rig.stream.end(14);
    rig.sent();
    rig.stream.open();
    expect(rig.sent()).toEqual(['CDS {a:1,b:2}']);
  });

  it('is refused as a whole by who does not say what is wrong', () => {
    const rig = new Rig('delta');
    const subscriber = rig.subscribe(CDS, undefined);
    subscriber.answer = () => {
      throw new TypeError('a bug');
    };
    rig.send(CDS, { changed: { a: '1', b: '1' } });
    expect(rig.sent().at(-1)).toBe('CDS n1 NACK 3: a bug');
    rig.stream.end(14);
    rig.stream.open();
    expect(rig.sent()).toEqual(['CDS']);
  });

  it('tells of an endless error what a server bears', () => {
    const rig = new Rig('delta');
    rig.subscribe(CDS, undefined).answer = () => {
      throw new Error('x'.repeat(100_000));
    };
    rig.send(CDS, { changed: { a: '1' } });
    const text = rig.sent().at(-1) ?? '';
    expect(text).toHaveLength('CDS n1 NACK 3: '.length + 4096 + '...(truncated)'.length);
  });

  it('is refused where a name stands twice; the first one counts', () => {
    const rig = new Rig('sotw');
    const subscriber = rig.subscribe(EDS, ['a']);
    const twice = (zone: string) =>
      anyPack(EDS, create(EDS, { clusterName: 'a', endpoints: [{ locality: { zone } }] }));
    rig.send(EDS, { changed: { one: twice('1'), two: twice('2') } });
    expect(subscriber.take()).toEqual(['+a=1 v1', 'rejected: a: stands more than once in one response']);
  });

  it('of several responses is one where the server does not wait', async () => {
    const rig = new Rig('sotw');
    const subscriber = rig.subscribe(EDS, ['a', 'b', 'c']);
    const held = subscriber.hold();
    rig.send(EDS, { changed: { a: '1' }, version: '1' });
    rig.send(EDS, { changed: { a: '2', b: '2' }, version: '2' });
    rig.send(EDS, { changed: { b: '3', c: '3' }, version: '3' });
    rig.sent();
    subscriber.take();
    await held.accept();
    expect(subscriber.take()).toEqual(['+a=2 +b=3 +c=3 v3']);
    await held.accept();
    expect(rig.sent()).toEqual(['EDS v1 n1 [a,b,c]', 'EDS v3 n3 [a,b,c]']);
  });

  it('is silent about what nobody asked for', () => {
    const rig = new Rig('delta');
    const subscriber = rig.subscribe(EDS, ['a']);
    rig.send(EDS, { changed: { z: rubbish }, removed: ['y'] });
    expect(subscriber.take()).toEqual([]);
    expect(rig.sent().at(-1)).toBe('EDS n1');
    rig.send(CDS, { changed: { z: 'x' } });
    expect(rig.sent()).toEqual([]);
  });

  it('says that a resource does not exist', () => {
    const rig = new Rig('delta');
    const subscriber = rig.subscribe(EDS, ['a', 'b']);
    rig.send(EDS, { removed: ['a'] });
    expect(subscriber.take()).toEqual(['-a v1']);
    rig.context.clock.advance(20_000);
    expect(rig.xds.report().types[0].resources).toMatchObject([
      { name: 'a', status: 'DOES_NOT_EXIST' },
      { name: 'b', status: 'REQUESTED' },
    ]);
  });

  it('reaches those who ask by another name', () => {
    const rig = new Rig('delta');
    const subscriber = rig.subscribe(VHDS, ['routes/one.example', 'routes/two.example']);
    rig.send(VHDS, {
      changed: { 'routes/v': anyPack(VHDS, create(VHDS, { name: 'v', domains: ['one.example'] })) },
      aliases: { 'routes/v': ['routes/one.example'] },
    });
    rig.send(VHDS, { changed: { 'routes/w': undefined }, aliases: { 'routes/w': ['routes/two.example'] } });
    expect(subscriber.take()).toEqual(['+routes/v=v v1', '-routes/two.example v1']);
  });

  it('reaches those who ask for all below a name', () => {
    const rig = new Rig('delta');
    const host = anyPack(VHDS, create(VHDS, { name: 'v', domains: ['v.example'] }));
    const subscriber = rig.subscribe(VHDS, ['routes'], 'test', ADS, true);
    const other = rig.subscribe(VHDS, ['other/routes'], 'other', ADS, true);
    expect(rig.sent()).toEqual(['VHDS +routes', 'VHDS +other/routes']);
    rig.send(VHDS, { changed: { 'routes/v': host, 'other/routes/v': host, 'routes/v/v': host } });
    expect([subscriber.take(), other.take()]).toEqual([['+routes/v=v v1'], ['+other/routes/v=v v1']]);
    // One more by its name does not end that.
    subscriber.subscription.setNames(['routes', 'routes/x.example']);
    expect(rig.sent().at(-1)).toBe('VHDS +routes/x.example');
    rig.send(VHDS, { changed: { 'routes/w': host }, removed: ['routes/v'], version: '2' });
    expect(subscriber.take()).toEqual(['+routes/w=v -routes/v v2']);
    subscriber.subscription.stop();
    rig.send(VHDS, { changed: { 'routes/z': host, 'other/routes/z': host }, version: '3' });
    expect([subscriber.take(), other.take()]).toEqual([[], ['+other/routes/z=v v3']]);
  });

  it('counts and warns once of fields that are not known, or refuses them', () => {
    const unknown = anyPack(CDS, create(CDS, { name: 'a', altStatName: '1' }));
    // Field 1000, a varint of 1.
    const newer = { ...unknown, value: Buffer.concat([unknown.value, Buffer.from([0xc0, 0x3e, 1])]) };
    for (const unknownFields of ['warn', 'ignore', 'reject'] as const) {
      const rig = new Rig('delta', { unknownFields });
      const subscriber = rig.subscribe(CDS, undefined);
      rig.send(CDS, { changed: { a: newer } });
      rig.send(CDS, { changed: { a: newer } });
      const refused = 'rejected: a: envoy.config.cluster.v3.Cluster has no field number 1000';
      expect(subscriber.take()).toEqual(
        unknownFields === 'reject' ? [refused, refused] : ['+a=1 v1', '+a=1 v1'],
      );
      expect(rig.stat('server.dynamic_unknown_fields')).toBe(unknownFields === 'warn' ? 2 : 0);
      expect(rig.context.warnings).toHaveLength(unknownFields === 'warn' ? 1 : 0);
    }
  });

  it('goes on when a subscriber is stopped by another, or throws where it must not', () => {
    const rig = new Rig('delta');
    const first = rig.subscribe(EDS, ['a'], 'first');
    const second = rig.subscribe(EDS, ['a'], 'second');
    first.answer = () => second.subscription.stop();
    rig.send(EDS, { changed: { a: '1' } });
    expect(second.take()).toEqual([]);
    first.onFailure = () => {
      throw new Error('oops');
    };
    rig.stream.end(14);
    expect(rig.context.loggers.lines.some((line) => line.includes('oops'))).toBe(true);
  });

  it('is empty for who is told of nothing', () => {
    const rig = new Rig('delta');
    rig.subscribe(EDS, undefined);
    rig.send(EDS, {});
    expect(rig.stat('test.update_empty')).toBe(1);
  });
});

describe('a resource that is dropped and wanted again', () => {
  const again = async (variant: 'sotw' | 'delta', ms: number) => {
    const rig = new Rig(variant);
    const subscriber = rig.subscribe(EDS, ['a', 'b']);
    rig.send(EDS, { changed: { a: '1', b: '1' } });
    subscriber.subscription.setNames(['b']);
    rig.context.clock.advance(ms);
    subscriber.take();
    subscriber.subscription.setNames(['a', 'b']);
    await settled();
    return subscriber.take();
  };

  it('is there again, since the server may never have heard of it', async () => {
    expect(await again('sotw', 10_000)).toEqual(['+a=1 v1']);
  });

  it('comes from the server when it was long ago, or when the server cannot have missed it', async () => {
    expect(await again('sotw', 10_001)).toEqual([]);
    expect(await again('delta', 0)).toEqual([]);
  });
});

describe('types on one stream', () => {
  const open = (variant: 'sotw' | 'delta' = 'delta') => {
    const rig = new Rig(variant);
    const clusters = rig.subscribe(CDS, undefined, 'cds');
    rig.sent();
    return { rig, clusters };
  };

  it('wait for the one whose update is applied', async () => {
    const { rig, clusters } = open();
    const held = clusters.hold();
    rig.send(CDS, { changed: { a: '1', b: '1' } });
    rig.subscribe(EDS, ['a']);
    rig.subscribe(EDS, ['b']);
    rig.subscribe(RDS, ['r']);
    expect(rig.sent()).toEqual(['RDS +r']);
    await held.accept();
    expect(rig.sent()).toEqual(['CDS n1', 'EDS +a +b']);
  });

  it('do not wait forever: what an update waits for may be what it has asked for', () => {
    const { rig, clusters } = open();
    clusters.hold();
    rig.send(CDS, { changed: { a: '1' } });
    rig.subscribe(EDS, ['a']);
    rig.context.clock.advance(99);
    expect(rig.sent()).toEqual([]);
    rig.context.clock.advance(1);
    expect(rig.sent()).toEqual(['EDS +a']);
  });

  it('wait while their owner says so', () => {
    const { rig } = open('sotw');
    const url = 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment';
    const resume = rig.xds.pause(url);
    const again = rig.xds.pause(url);
    rig.subscribe(EDS, ['a']);
    rig.subscribe(EDS, ['b']);
    resume();
    resume();
    expect(rig.sent()).toEqual([]);
    again();
    expect(rig.sent()).toEqual(['EDS v [a,b]']);
  });

  it('name the node in each request, or in the first of a stream', () => {
    for (const first of [false, true]) {
      const rig = new Rig('sotw', { ads: { set_node_on_first_message_only: first } });
      rig.subscribe(EDS, ['a']);
      rig.subscribe(CDS, undefined);
      rig.stream.end(14);
      rig.stream.open();
      expect(rig.stream.requests.map(({ node }) => node?.id)).toEqual(
        first ? ['node', undefined, 'node', undefined] : ['node', 'node', 'node', 'node'],
      );
    }
  });

  it('stop reading when too much waits', async () => {
    const { rig, clusters } = open();
    const held = clusters.hold();
    for (let i = 0; i < 20; i++) rig.send(CDS, { changed: { a: String(i) } });
    expect(rig.stream.pauses).toEqual([true]);
    for (let i = 0; i < 20; i++) await held.accept();
    expect(rig.stream.pauses).toEqual([true, false]);
    expect(clusters.take()).toHaveLength(20);
    expect(rig.sent()).toHaveLength(20);
  });

  it('go on being read while an update waits for what another type brings', async () => {
    const rig = new Rig('delta');
    const clusters = rig.subscribe(CDS, undefined);
    const routes = rig.subscribe(RDS, ['r']);
    const held = clusters.hold();
    for (let i = 0; i < 18; i++) rig.send(CDS, { changed: { a: String(i) } });
    expect(rig.stream.pauses).toEqual([true]);
    rig.context.clock.advance(100);
    expect(rig.stream.pauses).toEqual([true, false]);
    rig.send(RDS, { changed: { r: '' } });
    expect(routes.take()).toEqual(['+r=r v1']);
    await held.accept();
    for (let i = 18; i < 200; i++) rig.send(CDS, { changed: { a: String(i) } });
    rig.context.clock.advance(100);
    expect(rig.stream.pauses).toEqual([true, false, true]);
  });

  it('send no more than the connection takes', () => {
    const { rig } = open();
    rig.stream.full = true;
    rig.send(CDS, { changed: { a: '1' } });
    rig.subscribe(EDS, ['a']);
    expect(rig.sent()).toEqual([]);
    expect(rig.stat('control_plane.pending_requests')).toBe(2);
    rig.stream.drain();
    expect(rig.sent()).toEqual(['CDS n1', 'EDS +a']);
    expect(rig.stat('control_plane.pending_requests')).toBe(0);
  });

  it('send no more than they may', () => {
    const rig = new Rig('sotw', { ads: { rate_limit_settings: { max_tokens: 2, fill_rate: 10 } } });
    const subscriber = rig.subscribe(EDS, ['a']);
    subscriber.subscription.setNames(['b']);
    subscriber.subscription.setNames(['c']);
    subscriber.subscription.setNames(['d']);
    expect(rig.sent()).toEqual(['EDS v [a]', 'EDS v [b]']);
    expect(rig.stat('control_plane.rate_limit_enforced')).toBe(2);
    expect(rig.stat('control_plane.pending_requests')).toBe(1);
    rig.context.clock.advance(99);
    expect(rig.sent()).toEqual([]);
    rig.context.clock.advance(1);
    expect(rig.sent()).toEqual(['EDS v [d]']);
    expect(rig.stat('control_plane.pending_requests')).toBe(0);
  });
});

describe.each(['sotw', 'delta'] as const)('what several want (%s)', (variant) => {
  it('is asked for once, and as long as one of them wants it', async () => {
    const rig = new Rig(variant);
    const names = Array.from({ length: 500 }, (_, i) => `e${i}`);
    const first = names.map((name) => rig.subscribe(EDS, [name], `first.${name}`));
    rig.send(EDS, { changed: Object.fromEntries(names.map((name) => [name, '1'])) });
    rig.sent();
    const second = names.map((name) => rig.subscribe(EDS, [name], `second.${name}`));
    await settled();
    for (const [i, { subscription }] of first.entries()) {
      subscription.stop();
      expect(second[i]?.take()).toEqual([`+e${i}=1 v1`]);
    }
    expect(rig.sent()).toEqual([]);
    second[0]?.subscription.stop();
    expect(rig.sent()).toHaveLength(1);
    rig.send(EDS, { changed: { e1: '2' }, version: '2' });
    expect(second[1]?.take()).toEqual(['+e1=2 v2']);
  });
});

describe('collections', () => {
  it.each(['sotw', 'delta'] as const)('match what is in them (%s)', async (variant) => {
    const rig = new Rig(variant);
    const base = 'xdstp://auth/envoy.config.endpoint.v3.ClusterLoadAssignment';
    const all = rig.subscribe(EDS, [`${base}/foo/*?b=2&a=1`], 'all');
    const one = rig.subscribe(EDS, [`${base}/foo/two?b=2&a=1`], 'one');
    expect(rig.sent().at(-1)).toContain(`${base}/foo/two?a=1&b=2`);
    rig.send(EDS, {
      changed: {
        [`${base}/foo/one?b=2&a=1`]: '1',
        [`${base}/foo/two?a=1&b=2`]: '2',
        [`${base}/bar/one`]: '3',
      },
    });
    expect(one.take()).toEqual([`+${base}/foo/two?b=2&a=1=2 v1`]);
    expect(all.take()).toEqual([`+${base}/foo/one?a=1&b=2=1 +${base}/foo/two?a=1&b=2=2 v1`]);
    const late = rig.subscribe(EDS, [`${base}/foo/*?a=1&b=2`], 'late');
    await settled();
    expect(late.take()).toEqual([`+${base}/foo/one?a=1&b=2=1 +${base}/foo/two?a=1&b=2=2 v1`]);
  });
});

describe('sources', () => {
  it('are shared where they are the same', () => {
    const rig = new Rig('sotw');
    const own = (type: string, cluster = 'xds') =>
      source({
        api_config_source: {
          api_type: type,
          transport_api_version: 'V3',
          grpc_services: [{ envoy_grpc: { cluster_name: cluster } }],
        },
      });
    rig.subscribe(EDS, ['a'], 'a', own('GRPC'));
    rig.subscribe(EDS, ['b'], 'b', own('GRPC'));
    rig.subscribe(CDS, undefined, 'c', own('GRPC'));
    rig.subscribe(EDS, ['a'], 'd', own('GRPC', 'other'));
    rig.subscribe(EDS, ['a'], 'e', own('AGGREGATED_DELTA_GRPC'));
    rig.subscribe(CDS, undefined, 'f', own('AGGREGATED_DELTA_GRPC'));
    rig.subscribe(CDS, undefined, 'g', ADS);
    expect(rig.grpc.streams.map(({ method, destination }) => `${method} ${destination}`)).toEqual([
      'EndpointDiscoveryService.StreamEndpoints xds',
      'ClusterDiscoveryService.StreamClusters xds',
      'EndpointDiscoveryService.StreamEndpoints other',
      'AggregatedDiscoveryService.DeltaAggregatedResources xds',
      'AggregatedDiscoveryService.StreamAggregatedResources xds',
    ]);
  });
});
