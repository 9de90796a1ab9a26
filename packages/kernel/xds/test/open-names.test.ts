import { LbEndpointSchema as LEDS, VirtualHostSchema as VHDS } from '@dragoman/api';
import { describe, expect, it } from 'vitest';
import { ADS, Rig, settled, source, type Variant } from './support/rig.ts';

const collection = (name: string) => `xdstp://server/envoy.config.endpoint.v3.LbEndpoint/${name}`;
const ALL_A = collection('a/*');
const ALL_B = collection('b/*');

describe.each<Variant>(['delta', 'sotw'])('a collection (%s)', (variant) => {
  it('that is empty at first is told as such, and counted', () => {
    const rig = new Rig(variant);
    const subscriber = rig.subscribe(LEDS, [ALL_A]);
    rig.send(LEDS, {});
    expect(subscriber.take()).toEqual(['v1']);
    expect([rig.stat('test.update_success'), rig.stat('test.update_empty')]).toEqual([1, 1]);
    expect(rig.xds.report().types[0]?.resources).toMatchObject([{ name: ALL_A, status: 'DOES_NOT_EXIST' }]);
    rig.context.clock.advance(15_000);
    expect(subscriber.take()).toEqual([]);
    rig.send(LEDS, { changed: { [collection('a/1')]: 'x' }, version: '2', wrap: true });
    expect(subscriber.take()).toEqual([`+${collection('a/1')}=x v2`]);
    expect(rig.xds.report().types[0]?.resources).toMatchObject([
      { name: collection('a/1'), status: 'ACKED' },
    ]);
  });

  it('is told so once, and not because of what nobody has asked for', () => {
    const rig = new Rig(variant);
    const subscriber = rig.subscribe(LEDS, [ALL_A]);
    rig.send(LEDS, { changed: { [collection('b/1')]: 'x' }, wrap: true });
    expect(subscriber.take()).toEqual([]);
    rig.send(LEDS, { version: '2' });
    rig.send(LEDS, { version: '3' });
    expect(subscriber.take()).toEqual(['v2']);
    expect(rig.stat('test.init_fetch_timeout')).toBe(0);
  });

  it('is told to who asks later, too', async () => {
    const rig = new Rig(variant);
    const first = rig.subscribe(LEDS, [ALL_A]);
    rig.send(LEDS, {});
    const second = rig.subscribe(LEDS, [ALL_A], 'second');
    const other = rig.subscribe(LEDS, [ALL_B], 'other');
    await settled();
    expect([first.take(), second.take(), other.take()]).toEqual([['v1'], ['v1'], []]);
    rig.send(LEDS, { version: '2' });
    expect([first.take(), second.take(), other.take()]).toEqual([[], [], ['v2']]);
    second.subscription.setNames([ALL_A, ALL_B]);
    await settled();
    expect(second.take()).toEqual(['v2']);
  });
});

it('a collection whose last resource is gone is told to who asks later', async () => {
  const rig = new Rig('delta');
  const first = rig.subscribe(LEDS, [ALL_A]);
  rig.send(LEDS, { changed: { [collection('a/1')]: 'x', [collection('a/2')]: 'y' } });
  rig.send(LEDS, { removed: [collection('a/1')], version: '2' });
  const second = rig.subscribe(LEDS, [ALL_A], 'second');
  await settled();
  expect(second.take()).toEqual([`+${collection('a/2')}=y v2`]);
  rig.send(LEDS, { removed: [collection('a/2')], version: '3' });
  expect(first.take()).toHaveLength(3);
  const third = rig.subscribe(LEDS, [ALL_A], 'third');
  await settled();
  expect(third.take()).toEqual(['v3']);
});

it('a collection that the server removes is no longer waited for', () => {
  const rig = new Rig('delta');
  const subscriber = rig.subscribe(LEDS, [ALL_A]);
  rig.send(LEDS, { removed: [ALL_A] });
  expect(subscriber.take()).toEqual([`-${ALL_A} v1`]);
  rig.context.clock.advance(15_000);
  expect(subscriber.take()).toEqual([]);
});

describe('virtual hosts of a namespace', () => {
  const open = (rig: Rig, name: string, stat = 'test') => rig.subscribe(VHDS, [name], stat, ADS, true);

  it('come without being named', () => {
    const rig = new Rig('delta');
    const one = open(rig, 'r');
    const other = open(rig, 'r/s', 'other');
    const plain = rig.subscribe(VHDS, ['r'], 'plain');
    expect(rig.sent()).toEqual(['VHDS +r', 'VHDS +r/s']);
    rig.send(VHDS, { changed: { 'r/a': 'a', 'r/b': 'b', 'r/s/c': 'c', 'q/d': 'd', r: 'r' } });
    expect(one.take()).toEqual(['+r/a=r/a +r/b=r/b +r=r v1']);
    expect(other.take()).toEqual(['+r/s/c=r/s/c v1']);
    expect(plain.take()).toEqual(['+r=r v1']);
    rig.send(VHDS, { removed: ['r/a'], version: '2' });
    expect([one.take(), other.take()]).toEqual([['-r/a v2'], []]);
    one.subscription.stop();
    rig.send(VHDS, { changed: { 'r/e': 'e' }, version: '3' });
    expect(rig.xds.report().types[0]?.unwanted).toBe(2);
  });

  it('are there at once for who asks later', async () => {
    const rig = new Rig('delta');
    open(rig, 'r');
    rig.send(VHDS, { changed: { 'r/a': 'a' } });
    const later = open(rig, 'r', 'later');
    await settled();
    expect(later.take()).toEqual(['+r/a=r/a v1']);
  });

  it('that there are none of yet are no reason to wait', async () => {
    const rig = new Rig('delta');
    const one = open(rig, 'r');
    rig.send(VHDS, {});
    const later = open(rig, 'r', 'later');
    await settled();
    expect([one.take(), later.take()]).toEqual([['v1'], ['v1']]);
    expect(rig.stat('test.update_empty')).toBe(1);
  });

  it('are asked for by name on demand, and answered by alias or as absent', () => {
    const rig = new Rig('delta');
    const one = open(rig, 'r');
    rig.send(VHDS, { changed: { 'r/a': 'a' } });
    rig.sent();
    one.take();
    one.subscription.setNames(['r', 'r/b.example', 'r/c.example']);
    expect(rig.sent()).toEqual(['VHDS +r/b.example +r/c.example']);
    rig.send(VHDS, { changed: { 'r/b': 'b' }, aliases: { 'r/b': ['r/b.example'] }, version: '2' });
    rig.send(VHDS, { changed: { x: undefined }, aliases: { x: ['r/c.example'] }, version: '3' });
    expect(one.take()).toEqual(['+r/b=r/b v2', '-r/c.example v3']);
    rig.stream.end(14);
    rig.sent();
    rig.stream.open();
    expect(rig.sent()).toEqual(['VHDS +r +r/b.example +r/c.example {r/a:1,r/b:2}']);
  });

  it.each<[string, Variant, unknown, string, RegExp]>([
    ['the state of the world', 'sotw', ADS, 'r', /^virtual hosts come over incremental streams only/],
    [
      'a stream of its own like that',
      'delta',
      source({
        api_config_source: {
          api_type: 'AGGREGATED_GRPC',
          grpc_services: [{ envoy_grpc: { cluster_name: 'x' } }],
        },
      }),
      'r',
      /^virtual hosts come over incremental streams only/,
    ],
    ['an xdstp name', 'delta', ADS, 'xdstp://a/envoy.config.route.v3.VirtualHost/r', /is an xdstp name/],
  ])('are refused with %s', (_, variant, from, name, text) => {
    const rig = new Rig(variant);
    expect(() => rig.subscribe(VHDS, [name], 'test', from, true)).toThrow(text);
    expect(() => rig.xds.subscriptions.check(from, VHDS, [name], true)).toThrow(text);
  });
});
