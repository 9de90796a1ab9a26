import { create, RouteConfigurationSchema, VirtualHostSchema } from '@dragoman/api';
import { FakeClock } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { LinearCache, resource, virtualHost, XdsProtocol } from '../src/index.ts';
import { settle } from './support/client.ts';
import { namesIn, openDelta, openSotw } from './support/open.ts';
import { cluster, endpoints, node, TTL_FEATURES } from './support/resources.ts';

describe('a linear cache', () => {
  it('counts versions up, after a prefix, and only for changes', () => {
    const cache = new LinearCache('endpoints', { versionPrefix: 'boot-7-', resources: [endpoints('a')] });
    expect(cache.version).toBe('boot-7-0');
    cache.set(endpoints('a'));
    expect(cache.version).toBe('boot-7-0');
    cache.set(endpoints('a', 81));
    cache.update({ set: [endpoints('b'), endpoints('c')], delete: ['a', 'ghost'] });
    expect(cache.version).toBe('boot-7-2');
    expect(cache.delete('ghost')).toBe(false);
    expect(cache.delete('b')).toBe(true);
    cache.replaceAll([endpoints('c'), endpoints('d')]);
    expect(cache.version).toBe('boot-7-4');
    expect([...cache.view().all()].map(({ name }) => name)).toEqual(['c', 'd']);
  });

  it('takes its own type only, and all or nothing', () => {
    const cache = new LinearCache('endpoints');
    expect(() => cache.update({ set: [endpoints('a'), cluster('b')] })).toThrow(
      'expected envoy.config.endpoint.v3',
    );
    expect(cache.size).toBe(0);
    expect(cache.get('a')).toBeUndefined();
  });

  it('sends what changed, to those who asked for it', async () => {
    const cache = new LinearCache('endpoints', { resources: [endpoints('a'), endpoints('b')] });
    const protocol = new XdsProtocol({ cache });
    const sotw = openSotw(protocol);
    const other = openSotw(protocol);
    const delta = openDelta(protocol);
    const all = openDelta(protocol);
    sotw.ask('endpoints', { resourceNames: ['a', 'b', 'ghost'] });
    other.ask('endpoints', { resourceNames: ['b'] });
    delta.ask('endpoints', { resourceNamesSubscribe: ['a', 'b'] });
    all.ask('endpoints');
    await settle();
    const streams = [sotw, other, delta, all];
    for (const one of streams) one.accept();
    cache.set(endpoints('a', 81));
    await settle();
    expect(namesIn(sotw.responses[1])).toEqual(['a']);
    expect(other.responses).toHaveLength(1);
    expect(delta.responses[1].resources.map(({ name }) => name)).toEqual(['a']);
    expect(all.responses[1].resources.map(({ name }) => name)).toEqual(['a']);
    for (const one of streams) one.accept();
    cache.update({ delete: ['a'], set: [endpoints('ghost')] });
    await settle();
    expect(namesIn(sotw.responses[2])).toEqual(['ghost']);
    expect(other.responses).toHaveLength(1);
    expect(delta.responses[2].removedResources).toEqual(['a']);
    expect(all.responses[2]).toMatchObject({ removedResources: ['a'], systemVersionInfo: '2' });
    for (const one of streams) one.accept();
    cache.set(endpoints('a', 81)); // as it was before: gone in between
    await settle();
    expect(namesIn(sotw.responses[3])).toEqual(['a']);
    expect(delta.responses[3].resources.map(({ name }) => name)).toEqual(['a']);
  });

  it('sends all clusters for one that changed, as the state of the world wants it', async () => {
    const cache = new LinearCache('clusters', { resources: [cluster('a'), cluster('b')] });
    const stream = openSotw(new XdsProtocol({ cache }));
    stream.ask('clusters');
    await settle();
    stream.accept();
    cache.set(cluster('a', '2'));
    await settle();
    expect(namesIn(stream.responses[1])).toEqual(['a', 'b']);
    stream.accept();
    cache.delete('a');
    await settle();
    expect(namesIn(stream.responses[2])).toEqual(['b']);
  });

  it('sends all to whoever asks for all in the state of the world, which may delete what is not there', async () => {
    const cache = new LinearCache('endpoints', { resources: [endpoints('a'), endpoints('b')] });
    const stream = openSotw(new XdsProtocol({ cache }));
    stream.ask('endpoints', { resourceNames: ['*', 'a'] });
    await settle();
    stream.accept();
    cache.set(endpoints('a', 81));
    await settle();
    expect(namesIn(stream.responses[1])).toEqual(['a', 'b']);
    stream.accept();
    stream.ask('endpoints', { resourceNames: ['a'] });
    cache.update({ set: [endpoints('a', 82), endpoints('b', 82)] });
    await settle();
    expect(namesIn(stream.responses[2])).toEqual(['a']);
  });

  it('wakes those who watch a name, and nobody else', () => {
    const cache = new LinearCache('endpoints');
    let woken = 0;
    const subscription = cache.open({ node: node('test'), typeUrl: cache.typeUrl, wake: () => woken++ });
    const names = new Set<string>();
    subscription?.setInterest({ wildcard: false, names, added: ['a', 'b'], removed: [] });
    cache.set(endpoints('c'));
    expect(woken).toBe(0);
    cache.update({ set: [endpoints('a'), endpoints('b')] });
    expect(woken).toBe(1);
    subscription?.setInterest({ wildcard: false, names, added: [], removed: ['a'] });
    cache.set(endpoints('a', 81));
    expect(woken).toBe(1);
    subscription?.setInterest({ wildcard: true, names, added: [], removed: [] });
    cache.set(endpoints('a', 82));
    expect(woken).toBe(2);
    subscription?.close();
    cache.set(endpoints('b', 82));
    expect(woken).toBe(2);
  });

  it('keeps virtual hosts alive with their content: without, they would not exist', async () => {
    const clock = new FakeClock();
    const cache = new LinearCache('virtualHosts');
    cache.set(resource(create(VirtualHostSchema, { name: 'way/x' }), { ttlMs: 1000 }));
    const stream = openDelta(new XdsProtocol({ cache, clock }));
    stream.ask('virtualHosts', { resourceNamesSubscribe: ['way/x'], node: node('test', TTL_FEATURES) });
    await settle();
    stream.accept();
    await clock.advanceAsync(500);
    expect(stream.responses[1].resources).toMatchObject([
      { name: 'way/x', resource: { typeUrl: cache.typeUrl } },
    ]);
  });

  it.each([
    ['', 1],
    ['boot-7-', 0],
  ])('with prefix "%s" sends %i responses to a client that comes again', async (versionPrefix, count) => {
    for (const type of ['clusters', 'scopedRoutes']) {
      const cache = new LinearCache(type, { versionPrefix });
      const protocol = new XdsProtocol({ cache });
      const stream = openSotw(protocol);
      stream.ask(type, { versionInfo: cache.version });
      await settle();
      expect(stream.responses).toHaveLength(count);
      const newer = openSotw(protocol);
      newer.ask(type, { versionInfo: 'older' });
      await settle();
      expect(newer.responses).toHaveLength(1);
    }
  });

  it('keeps little for a client that never answers', async () => {
    const cache = new LinearCache('endpoints', { resources: [endpoints('kept')] });
    const protocol = new XdsProtocol({ cache });
    const delta = openDelta(protocol);
    const sotw = openSotw(protocol);
    delta.ask('endpoints');
    sotw.ask('endpoints', { resourceNames: ['kept', 'late'] });
    await settle();
    for (let i = 0; i < 3000; i++) {
      cache.set(endpoints(`passing-${i}`));
      cache.delete(`passing-${i}`);
    }
    cache.update({ set: [endpoints('late')], delete: ['kept'] });
    delta.accept();
    sotw.accept();
    await settle();
    expect(delta.responses[1].resources.map(({ name }) => name)).toEqual(['late']);
    expect(delta.responses[1].removedResources).toEqual(['kept']);
    expect(namesIn(sotw.responses[1])).toEqual(['late']);
    const subscription = cache.open({ node: node('test'), typeUrl: cache.typeUrl, wake() {} });
    subscription?.setInterest({ wildcard: true, names: new Set(), added: [], removed: [] });
    for (let i = 0; i < 3000; i++) {
      cache.set(endpoints(`passing-${i}`));
      cache.delete(`passing-${i}`);
    }
    expect(subscription?.changes()).toBeUndefined(); // so that everything is looked at
    expect(subscription?.changes()).toEqual(new Set());
  });

  it('has virtual hosts by route configuration and by domain', async () => {
    const cache = new LinearCache('virtualHosts');
    const host = (name: string, domains: string[]) =>
      virtualHost('way', create(VirtualHostSchema, { name, domains }));
    cache.update({
      set: [host('one', ['one.example']), virtualHost('other', { name: 'x', domains: ['x.example'] })],
    });
    const stream = openDelta(new XdsProtocol({ cache }));
    stream.ask('virtualHosts', { resourceNamesSubscribe: ['way'] });
    await settle();
    const [first] = stream.responses[0].resources;
    expect(first).toMatchObject({ name: 'way/one', aliases: ['way/one.example'] });
    stream.accept();
    stream.ask('virtualHosts', { resourceNamesSubscribe: ['other/x.example', 'way/none.example'] });
    await settle();
    expect(stream.responses[1].resources).toMatchObject([
      { name: 'other/x', resource: { typeUrl: cache.typeUrl } },
      { name: 'way/none.example', aliases: ['way/none.example'] },
    ]);
    expect(stream.responses[1].resources[1].resource).toBeUndefined();
    expect(stream.responses[1].removedResources).toEqual([]);
    stream.accept();
    cache.set(host('two', ['two.example']));
    await settle();
    expect(stream.responses[2].resources).toMatchObject([{ name: 'way/two' }]);
    stream.accept();
    cache.delete('way/one');
    await settle();
    expect(stream.responses[3].removedResources).toEqual(['way/one']);
    stream.accept();
    cache.set(virtualHost('other', { name: 'x', domains: ['no longer.example'] }));
    await settle();
    expect(stream.responses[4]).toMatchObject({ resources: [], removedResources: ['other/x'] });
    stream.accept();
    stream.ask('virtualHosts', { resourceNamesUnsubscribe: ['way'] });
    cache.update({ set: [host('two', ['changed.example']), host('three', ['three.example'])] });
    await settle();
    expect(stream.responses).toHaveLength(5);
  });

  it('has nothing to do with other types', async () => {
    const cache = new LinearCache(RouteConfigurationSchema);
    const stream = openDelta(new XdsProtocol({ cache }));
    stream.ask('clusters');
    await settle();
    expect(stream.responses).toEqual([]);
    expect(stream.ended).toEqual([]);
  });
});
