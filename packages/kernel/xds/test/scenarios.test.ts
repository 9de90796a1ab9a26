import { ClusterLoadAssignmentSchema as EDS, ClusterSchema as CDS } from '@dragoman/api';
import { ConfigError } from '@dragoman/core';
import { describe, expect, it } from 'vitest';
import { ADS, Rig, settled, source, type Variant } from './support/rig.ts';

/** Both protocols, alone and aggregated: what happens is the same, what is said is not. */
const ALL: readonly [variant: Variant, how: string][] = [
  ['sotw', 'aggregated'],
  ['sotw', 'alone'],
  ['delta', 'aggregated'],
  ['delta', 'alone'],
];

const by = <T>(variant: Variant, sotw: T, delta: T): T => (variant === 'sotw' ? sotw : delta);

describe.each(ALL)('%s, %s', (variant, how) => {
  const config = () => (how === 'aggregated' ? ADS : source({ api_config_source: grpcSource(variant) }));
  const open = (type: typeof EDS | typeof CDS = EDS) => {
    const rig = new Rig(variant);
    const names = type === EDS ? ['a', 'b'] : undefined;
    return { rig, subscriber: rig.subscribe(type, names, 'test', config()) };
  };

  it('opens the stream of its kind', () => {
    const { rig } = open();
    const kind = variant === 'sotw' ? 'stream' : 'delta';
    expect(rig.stream.method).toBe(
      how === 'aggregated'
        ? `AggregatedDiscoveryService.${by(variant, 'StreamAggregatedResources', 'DeltaAggregatedResources')}`
        : `EndpointDiscoveryService.${kind === 'stream' ? 'StreamEndpoints' : 'DeltaEndpoints'}`,
    );
  });

  it('adds, updates and removes resources that are named', () => {
    const { rig, subscriber } = open();
    expect(rig.sent()).toEqual(by(variant, ['EDS v [a,b]'], ['EDS +a +b']));
    rig.send(EDS, { changed: { a: 'x', b: 'x' } });
    expect(subscriber.take()).toEqual(['+a=x +b=x v1']);
    expect(rig.sent()).toEqual(by(variant, ['EDS v1 n1 [a,b]'], ['EDS n1']));
    rig.send(EDS, { changed: { b: 'y' }, version: '2' });
    expect(subscriber.take()).toEqual(['+b=y v2']);
    expect(rig.sent()).toEqual(by(variant, ['EDS v2 n2 [a,b]'], ['EDS n2']));
    rig.send(EDS, { removed: ['a'], version: '3' });
    // With the state of the world the server has no word for it.
    expect(subscriber.take()).toEqual(by(variant, [], ['-a v3']));
    expect(rig.sent()).toEqual(by(variant, ['EDS v3 n3 [a,b]'], ['EDS n3']));
  });

  it('adds, updates and removes when everything is wanted', () => {
    const { rig, subscriber } = open(CDS);
    expect(rig.sent()).toEqual(by(variant, ['CDS v []'], ['CDS']));
    rig.send(CDS, { changed: { a: 'x', b: 'x' } });
    rig.send(CDS, by(variant, { changed: { a: 'x', b: 'y' } }, { changed: { b: 'y' } }));
    rig.send(CDS, by(variant, { changed: { b: 'y' } }, { removed: ['a'] }));
    expect(subscriber.take()).toEqual(
      by(
        variant,
        ['full +a=x +b=x v1', 'full +a=x +b=y v1', 'full +b=y v1'],
        ['+a=x +b=x v1', '+b=y v1', '-a v1'],
      ),
    );
    expect(rig.sent()).toEqual(
      by(variant, ['CDS v1 n1 []', 'CDS v1 n2 []', 'CDS v1 n3 []'], ['CDS n1', 'CDS n2', 'CDS n3']),
    );
    rig.send(CDS, {});
    expect(subscriber.take()).toEqual(by(variant, ['full v1'], ['v1']));
  });

  it('changes what is wanted', () => {
    const { rig, subscriber } = open();
    rig.sent();
    subscriber.subscription.setNames(['b', 'c']);
    expect(rig.sent()).toEqual(by(variant, ['EDS v [b,c]'], ['EDS +c -a']));
    subscriber.subscription.setNames(['c', 'b']);
    expect(rig.sent()).toEqual([]);
    subscriber.subscription.setNames([]);
    expect(rig.sent()).toEqual(by(variant, ['EDS v []'], ['EDS -b -c']));
    subscriber.subscription.setNames(['d']);
    expect(rig.sent()).toEqual(by(variant, ['EDS v [d]'], ['EDS +d']));
  });

  it('refuses, and takes what mends it', () => {
    const { rig, subscriber } = open();
    rig.send(EDS, { changed: { a: 'x' }, version: '1' });
    rig.sent();
    subscriber.take();
    subscriber.answer = () => {
      throw ConfigError.at('a: endpoints', 'will not do');
    };
    rig.send(EDS, { changed: { a: 'y' }, version: '2' });
    const text = 'a: endpoints: will not do';
    expect(rig.sent()).toEqual(by(variant, [`EDS v1 n2 [a,b] NACK 3: ${text}`], [`EDS n2 NACK 3: ${text}`]));
    expect(subscriber.take()).toEqual(['+a=y v2', `rejected: ${text}`]);
    expect(rig.stat('test.update_rejected')).toBe(1);
    subscriber.answer = () => {};
    rig.send(EDS, { changed: { a: 'z' }, version: '3' });
    expect(rig.sent()).toEqual(by(variant, ['EDS v3 n3 [a,b]'], ['EDS n3']));
    expect(subscriber.take()).toEqual(['+a=z v3']);
  });

  it('answers only when an update is taken over, and applies one after the other', async () => {
    const { rig, subscriber } = open();
    rig.sent();
    const held = subscriber.hold();
    rig.send(EDS, { changed: { a: 'x' }, version: '1' });
    rig.send(EDS, { changed: { a: 'y' }, version: '2' });
    await settled();
    expect(subscriber.take()).toEqual(['+a=x v1']);
    expect(rig.sent()).toEqual([]);
    await held.accept();
    expect(subscriber.take()).toEqual(['+a=y v2']);
    expect(rig.sent()).toEqual(by(variant, ['EDS v1 n1 [a,b]'], ['EDS n1']));
    await held.refuse(new Error('no'));
    expect(rig.sent()).toEqual(by(variant, ['EDS v1 n2 [a,b] NACK 3: no'], ['EDS n2 NACK 3: no']));
  });

  it('says on a new stream what it wants and has', () => {
    const { rig, subscriber } = open();
    rig.sent();
    rig.stream.end(14);
    expect(subscriber.take()).toEqual(['connection']);
    rig.stream.open();
    expect(rig.sent()).toEqual(by(variant, ['EDS v [a,b]'], ['EDS +a +b']));
    rig.send(EDS, { changed: { a: 'x' }, version: '5' });
    rig.sent();
    rig.stream.end(0);
    subscriber.subscription.setNames(['a', 'c']);
    rig.stream.open();
    expect(rig.sent()).toEqual(by(variant, ['EDS v5 [a,c]'], ['EDS +a +c {a:5}']));
  });

  it('forgets the answer to a stream that has ended while it decided', async () => {
    const { rig, subscriber } = open();
    const held = subscriber.hold();
    rig.send(EDS, { changed: { a: 'x' }, version: '1' });
    rig.sent();
    rig.stream.end(14);
    rig.stream.open();
    expect(rig.sent()).toEqual(by(variant, [], ['EDS +a +b']));
    await held.accept();
    // It is taken over all the same; with the state of the world the first request has waited for it.
    expect(rig.sent()).toEqual(by(variant, ['EDS v1 [a,b]'], []));
    rig.stream.end(14);
    rig.stream.open();
    expect(rig.sent()).toEqual(by(variant, ['EDS v1 [a,b]'], ['EDS +a +b {a:1}']));
  });

  it('drops what waited when the stream ends', async () => {
    const { rig, subscriber } = open();
    const held = subscriber.hold();
    rig.send(EDS, { changed: { a: 'x' }, version: '1' });
    rig.send(EDS, { changed: { a: 'y' }, version: '2' });
    rig.stream.end(14);
    await held.accept();
    expect(subscriber.take()).toEqual(['+a=x v1', 'connection']);
  });

  it('keeps what it has after a refusal across streams', () => {
    const { rig, subscriber } = open();
    rig.send(EDS, { changed: { a: 'x' }, version: '1' });
    subscriber.answer = () => {
      throw new Error('no');
    };
    rig.send(EDS, { changed: { a: 'y' }, version: '2' });
    rig.stream.end(14);
    rig.sent();
    rig.stream.open();
    expect(rig.sent()).toEqual(by(variant, ['EDS v1 [a,b]'], ['EDS +a +b {a:1}']));
  });

  it('lets resources die when their time is over', async () => {
    const { rig, subscriber } = open();
    rig.send(EDS, { changed: { a: 'x', b: 'x' }, ttlMs: 1000 });
    rig.context.clock.advance(900);
    // A heartbeat is no update.
    rig.send(EDS, { changed: { a: undefined }, ttlMs: 1000, wrap: true });
    subscriber.take();
    await rig.context.clock.advanceAsync(200);
    expect(subscriber.take()).toEqual(['-b v1']);
    await rig.context.clock.advanceAsync(1000);
    expect(subscriber.take()).toEqual(['-a v1']);
    rig.sent();
    rig.stream.end(14);
    rig.stream.open();
    // A server that is told of version 1 would not send it again.
    expect(rig.sent()).toEqual(by(variant, ['EDS v [a,b]'], ['EDS +a +b']));
  });

  it('lets them live when a later version has no time to live', async () => {
    const { rig, subscriber } = open();
    rig.send(EDS, { changed: { a: 'x' }, ttlMs: 1000 });
    rig.send(EDS, { changed: { a: 'y' } });
    subscriber.take();
    await rig.context.clock.advanceAsync(5000);
    expect(subscriber.take()).toEqual([]);
    expect(rig.context.clock.pendingTimers).toBe(0);
  });

  it('refuses a heartbeat of what is not there', () => {
    const { rig } = open();
    rig.sent();
    rig.send(EDS, { changed: { a: undefined }, ttlMs: 1000, wrap: true });
    expect(rig.sent()).toEqual(
      by(variant, ['EDS v n1 [a,b] NACK 3: a: has no body'], ['EDS n1 NACK 3: a: has no body']),
    );
  });

  it('gives each subscriber its own, in whichever order they come', async () => {
    const rig = new Rig(variant);
    const first = rig.subscribe(EDS, ['a'], 'first', config());
    const second = rig.subscribe(EDS, ['b'], 'second', config());
    expect(rig.grpc.streams).toHaveLength(1);
    expect(rig.sent()).toEqual(by(variant, ['EDS v [a]', 'EDS v [a,b]'], ['EDS +a', 'EDS +b']));
    const held = first.hold();
    rig.send(EDS, { changed: { b: 'x', c: 'x', a: 'x' } });
    expect([first.take(), second.take()]).toEqual([['+a=x v1'], ['+b=x v1']]);
    await held.accept();
    rig.sent();
    second.answer = () => {
      throw ConfigError.at('b', 'no');
    };
    rig.send(EDS, { changed: { b: 'y' }, version: '2' });
    expect(first.take()).toEqual([]);
    expect(second.take()).toEqual(['+b=y v2', 'rejected: b: no']);
    second.subscription.stop();
    expect(rig.sent().at(-1)).toBe(by(variant, 'EDS v1 n2 [a]', 'EDS -b'));
  });

  it('gives a later subscriber what is known, and asks for nothing', async () => {
    const rig = new Rig(variant);
    rig.subscribe(EDS, ['a'], 'first', config());
    rig.send(EDS, { changed: { a: 'x' } });
    rig.sent();
    const second = rig.subscribe(EDS, ['a'], 'second', config());
    expect(second.take()).toEqual([]);
    await settled();
    expect(second.take()).toEqual(['+a=x v1']);
    expect(rig.stat('second.update_success')).toBe(1);
    if (variant === 'delta') expect(rig.sent()).toEqual([]);
  });

  it('refuses a bad resource by its name, and takes the good ones', () => {
    const { rig, subscriber } = open();
    rig.sent();
    rig.send(EDS, { changed: { a: 'x', b: 'x' }, version: '1' });
    rig.send(EDS, { changed: { a: rubbish, b: 'y' }, version: '2', wrap: true });
    expect(subscriber.take()).toEqual([
      '+a=x +b=x v1',
      '+b=y v2',
      expect.stringMatching(/^rejected: a: not a valid envoy\.config\.endpoint/),
    ]);
    expect(rig.sent().at(-1)).toMatch(/NACK 3: a: not a valid/);
  });

  it('waits for the first answer as long as it may', () => {
    const { rig, subscriber } = open();
    rig.context.clock.advance(14_999);
    expect(subscriber.take()).toEqual([]);
    rig.context.clock.advance(1);
    expect(subscriber.take()).toEqual(['timeout']);
    expect(rig.stat('test.init_fetch_timeout')).toBe(1);
    rig.send(EDS, { changed: { a: 'x' } });
    expect(subscriber.take()).toEqual(['+a=x v1']);
  });

  it('counts', () => {
    const { rig, subscriber } = open();
    expect(rig.context.stats.used()).toMatchObject({ 'test.update_attempt': 1 });
    rig.send(EDS, { changed: { a: 'x' }, version: '7', controlPlane: 'istio' });
    const prefix = how === 'aggregated' ? 'control_plane' : 'test.control_plane';
    expect(rig.context.stats.used()).toMatchObject({
      'test.update_attempt': 2,
      'test.update_success': 1,
      'test.update_time': Date.UTC(2026, 0, 1),
      [`${prefix}.connected_state`]: 1,
    });
    expect(rig.context.stats.text('test.version_text')).toBe('7');
    expect(rig.context.stats.text(`${prefix}.identifier`)).toBe('istio');
    expect(rig.context.stats.samples('test.update_duration')).toEqual([0]);
    rig.stream.end(14);
    expect(rig.stat('test.update_failure')).toBe(1);
    expect(rig.stat(`${prefix}.connected_state`)).toBe(0);
    expect(subscriber.take()).toEqual(['+a=x v7', 'connection']);
  });

  it('is silent after it was stopped, and closes a stream of its own', async () => {
    const { rig, subscriber } = open();
    const held = subscriber.hold();
    rig.send(EDS, { changed: { a: 'x' } });
    subscriber.take();
    subscriber.subscription.stop();
    subscriber.subscription.stop();
    await held.refuse(new Error('too late'));
    if (how === 'aggregated') rig.stream.end(14);
    expect(rig.stream.closed).toBe(how === 'alone');
    rig.context.clock.advance(60_000);
    expect(subscriber.take()).toEqual([]);
    expect(rig.context.clock.pendingTimers).toBe(0);
  });
});

const rubbish = {
  $typeName: 'google.protobuf.Any' as const,
  typeUrl: 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
  value: new Uint8Array([0xff, 0xff, 0xff]),
};

function grpcSource(variant: Variant) {
  return {
    api_type: variant === 'sotw' ? 'GRPC' : 'DELTA_GRPC',
    transport_api_version: 'V3',
    grpc_services: [{ envoy_grpc: { cluster_name: 'xds' } }],
  };
}
