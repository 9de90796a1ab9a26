import { ClusterLoadAssignmentSchema as EDS, VirtualHostSchema as VHDS } from '@dragoman/api';
import { describe, expect, it } from 'vitest';
import { ADS, Rig, type Variant } from './support/rig.ts';

const SECONDS = 10;
const RATE = 1000;

const invented = (second: number, prefix = '') =>
  Object.fromEntries(Array.from({ length: RATE }, (_, i) => [`${prefix}${second}-${i}`, 'x']));

describe.each<Variant>(['sotw', 'delta'])('a server that makes up names (%s)', (variant) => {
  it('leaves nothing behind at a subscription by name', () => {
    const rig = new Rig(variant);
    const subscriber = rig.subscribe(EDS, ['a']);
    for (let second = 0; second < SECONDS; second++) {
      rig.send(EDS, { changed: { ...invented(second), a: 'y' }, version: String(second), wrap: true });
      rig.context.clock.advance(1000);
    }
    expect(subscriber.take()).toHaveLength(SECONDS);
    const [type] = rig.xds.report().types;
    expect(type.resources.map(({ name }) => name)).toEqual(['a']);
    expect(type.unwanted).toBe(SECONDS * RATE);
    // What the next stream is told is what is known.
    rig.sent();
    rig.stream.end(14);
    rig.stream.open();
    expect(rig.sent()).toEqual([
      variant === 'sotw' ? `EDS v${SECONDS - 1} [a]` : `EDS +a {a:${SECONDS - 1}}`,
    ]);
  });

  it('nor with what is bad, or has no body', () => {
    const rig = new Rig(variant);
    rig.subscribe(EDS, ['a']);
    for (let second = 0; second < SECONDS; second++) {
      const names = Object.keys(invented(second));
      const none = Object.fromEntries(names.map((name) => [name, undefined]));
      const bad = Object.fromEntries(
        names.map((name) => [`${name}-bad`, { typeUrl: 'x/y', value: new Uint8Array(3) } as never]),
      );
      rig.send(EDS, { changed: { ...none, ...bad }, ttlMs: 5, wrap: true });
    }
    const [type] = rig.xds.report().types;
    expect(type.resources.map(({ name, status }) => `${name} ${status}`)).toEqual(['a REQUESTED']);
    expect(type.error).toBeUndefined();
    expect(type.unwanted).toBe(2 * SECONDS * RATE);
  });
});

it('a server that removes what there never was leaves nothing behind', () => {
  const rig = new Rig('delta');
  rig.subscribe(EDS, ['a']);
  const hosts = rig.subscribe(VHDS, ['r'], 'vhds', ADS, true);
  for (let second = 0; second < SECONDS; second++) {
    rig.send(EDS, { removed: Object.keys(invented(second)) });
    rig.send(VHDS, { removed: Object.keys(invented(second, 'q/')) });
  }
  expect(hosts.take()).toEqual([]);
  expect(rig.xds.report().types.map(({ resources }) => resources.length)).toEqual([1, 1]);
});
