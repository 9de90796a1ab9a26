import {
  ConfigSourceSchema,
  create,
  RouteConfigurationSchema,
  toBinary,
  VirtualHostSchema,
} from '@dragoman/api';
import { ConfigError } from '@dragoman/core';
import { describe, expect, it } from 'vitest';
import { collectionKey, joinOrders, resourceKey } from '../src/dynamic/resource-order.ts';
import { ThreadResources } from '../src/worker/thread-resources.ts';

const source = create(ConfigSourceSchema, { configSourceSpecifier: { case: 'ads', value: {} } });
const reference = { type: RouteConfigurationSchema, source, name: 'r' };
const collection = { type: VirtualHostSchema, source, namespace: 'r' };
const key = resourceKey(reference);
const all = collectionKey(collection);
const bytes = (name: string) =>
  toBinary(RouteConfigurationSchema, create(RouteConfigurationSchema, { name }));
const host = (name: string) => toBinary(VirtualHostSchema, create(VirtualHostSchema, { name }));

function scene() {
  const asked: string[] = [];
  let answer: (found: boolean) => void = () => {};
  const resources = new ThreadResources({
    resource: ({ type, name }) => {
      asked.push(`${type} ${name}`);
      return new Promise((resolve) => {
        answer = resolve;
      });
    },
  });
  const log: string[] = [];
  /** Notes what it compiles and puts in place; refuses `bad`. */
  const user = (id: string) => ({
    prepare(resource: { readonly name: string } | undefined) {
      const name = resource?.name ?? 'nothing';
      log.push(`${id} prepares ${name}`);
      if (name === 'bad') throw ConfigError.at('name', 'is bad');
      return () => void log.push(`${id} has ${name}`);
    },
  });
  return { resources, log, user, asked, answer: (found: boolean) => answer(found) };
}

describe('a resource', () => {
  it('is compiled by all before anybody has it', () => {
    const { resources, log, user } = scene();
    resources.watch(reference, user('a'));
    resources.watch(reference, user('b'));
    resources.prepare({ key, value: bytes('one') });
    expect(log).toEqual(['a prepares one', 'b prepares one']);
    resources.commit(key);
    expect(log.slice(2)).toEqual(['a has one', 'b has one']);
  });

  it('that is refused changes nothing, nor one that others refuse', () => {
    const { resources, log, user } = scene();
    resources.watch(reference, user('a'));
    resources.prepare({ key, value: bytes('one') });
    resources.commit(key);
    expect(() => resources.prepare({ key, value: bytes('bad') })).toThrow(/^name: is bad/);
    resources.abort(key);
    resources.prepare({ key, value: bytes('two') });
    resources.abort(key);
    resources.commit(key);
    expect(log).toEqual(['a prepares one', 'a has one', 'a prepares bad', 'a prepares two']);
    // Who comes now gets what is in place.
    resources.watch(reference, user('b'));
    expect(log.slice(4)).toEqual(['b prepares one', 'b has one']);
  });

  it('comes to those who come while it is decided about', () => {
    const { resources, log, user } = scene();
    resources.prepare({ key, value: bytes('one') });
    resources.watch(reference, user('a'));
    expect(log).toEqual(['a prepares one']);
    resources.commit(key);
    expect(log).toEqual(['a prepares one', 'a has one']);
  });

  it('does not come to those who have gone', () => {
    const { resources, log, user } = scene();
    const first = resources.watch(reference, user('a'));
    const second = resources.watch(reference, user('b'));
    first.close();
    resources.prepare({ key, value: bytes('one') });
    second.close();
    resources.commit(key);
    expect(log).toEqual(['b prepares one']);
  });

  it('may be taken away, and is told so', () => {
    const { resources, log, user } = scene();
    resources.watch(reference, user('a'));
    resources.prepare({ key, value: bytes('one') });
    resources.commit(key);
    resources.prepare({ key, value: undefined });
    resources.commit(key);
    expect(log.slice(2)).toEqual(['a prepares nothing', 'a has nothing']);
    resources.watch(reference, user('b'));
    expect(log).toHaveLength(4);
  });

  it('may be compiled by those who register others meanwhile', () => {
    const { resources, log, user } = scene();
    let other: { close(): void } | undefined;
    resources.watch(reference, {
      prepare(resource) {
        other?.close();
        other = resources.watch({ ...reference, name: resource?.name ?? '' }, user('nested'));
        return () => {};
      },
    });
    const nested = resourceKey({ ...reference, name: 'one' });
    resources.prepare({ key: nested, value: bytes('inner') });
    resources.commit(nested);
    resources.prepare({ key, value: bytes('one') });
    resources.commit(key);
    expect(log).toEqual(['nested prepares inner', 'nested has inner']);
  });

  it('that nobody needs any more is forgotten', () => {
    const { resources, log, user } = scene();
    resources.prepare({ key, value: bytes('one') });
    resources.commit(key);
    resources.forget(key);
    resources.watch(reference, user('a'));
    expect(log).toEqual([]);
  });
});

describe('a collection', () => {
  const maps = (resources: ThreadResources) => {
    const seen: ReadonlyMap<string, unknown>[] = [];
    resources.watchAll(collection, {
      prepare: (members) => () => void seen.push(members),
    });
    return seen;
  };
  const change = (
    resources: ThreadResources,
    changed: Record<string, Uint8Array>,
    removed: string[] = [],
  ) => {
    resources.prepare({ key: all, changed: new Map(Object.entries(changed)), removed });
    resources.commit(all);
  };

  it('is given whole, and what has not changed is the same', () => {
    const { resources } = scene();
    const seen = maps(resources);
    change(resources, { a: host('a'), b: host('b') });
    change(resources, { c: host('c') }, ['a']);
    expect(seen.map((members) => [...members.keys()])).toEqual([
      ['a', 'b'],
      ['b', 'c'],
    ]);
    expect(seen[1]?.get('b')).toBe(seen[0]?.get('b'));
  });

  it('is not compiled while nothing is known', () => {
    const { resources } = scene();
    const seen = maps(resources);
    expect(seen).toEqual([]);
    change(resources, {});
    expect(seen.map((members) => members.size)).toEqual([0]);
  });

  it('is told at once to a thread that begins', () => {
    const { resources } = scene();
    const orders = [
      { key: all, changed: new Map([['a', host('a')]]), removed: [] },
      { key: all, changed: new Map([['b', host('b')]]), removed: ['a'] },
      { key: all, changed: new Map([['c', host('c')]]), removed: [] },
    ];
    const joined = orders.reduce<ReturnType<typeof joinOrders> | undefined>(joinOrders, undefined);
    const seen = maps(resources);
    resources.prepare(joined as never);
    resources.commit(all);
    expect([...(seen[0]?.keys() ?? [])]).toEqual(['b', 'c']);
  });
});

describe('a demand', () => {
  it('is main’s to answer', async () => {
    const { resources, asked, answer } = scene();
    const answers: boolean[] = [];
    resources.demand(reference, (found) => answers.push(found));
    expect(asked).toEqual(['envoy.config.route.v3.RouteConfiguration r']);
    answer(true);
    await Promise.resolve();
    expect(answers).toEqual([true]);
  });

  it('that was taken back hears nothing', async () => {
    const { resources, answer } = scene();
    const answers: boolean[] = [];
    resources.demand(reference, (found) => answers.push(found)).cancel();
    answer(true);
    await Promise.resolve();
    expect(answers).toEqual([]);
  });

  it('is asked once, however many wait for it', async () => {
    const { resources, asked, answer } = scene();
    const answers: string[] = [];
    resources.demand(reference, (found) => answers.push(`a ${found}`));
    resources.demand(reference, (found) => answers.push(`b ${found}`)).cancel();
    resources.demand(reference, (found) => answers.push(`c ${found}`));
    expect(asked).toHaveLength(1);
    answer(true);
    await Promise.resolve();
    expect(answers).toEqual(['a true', 'c true']);
    resources.demand(reference, () => {});
    expect(asked).toHaveLength(2);
  });
});
