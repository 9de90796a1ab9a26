import { describe, expect, it } from 'vitest';
import {
  LinearCache,
  MuxCache,
  SnapshotCache,
  snapshot,
  XdsProtocol,
  type XdsCallbacks,
  XdsError,
} from '../src/index.ts';
import { settle } from './support/client.ts';
import { namesIn, openDelta, openSotw, shortType } from './support/open.ts';
import { cluster, edsCluster, endpoints, listener, node, routes } from './support/resources.ts';

const world = (version: string, names: readonly string[]) =>
  snapshot(version, {
    listeners: [listener('in', 'way')],
    routes: [routes('way', names[0])],
    clusters: names.map((name) => edsCluster(name)),
    endpoints: names.map((name) => endpoints(name)),
  });

describe('an aggregated stream', () => {
  it('answers clusters, endpoints, listeners, routes in this order, whatever was asked first', async () => {
    const cache = new SnapshotCache();
    const stream = openSotw(new XdsProtocol({ cache }));
    stream.ask('routes', { resourceNames: ['way'] });
    stream.ask('listeners');
    stream.ask('endpoints', { resourceNames: ['web'] });
    stream.ask('example.com/custom.Type');
    stream.ask('clusters');
    cache.setSnapshot('test', world('1', ['web']));
    await settle();
    const order = ['Cluster', 'ClusterLoadAssignment', 'Listener', 'RouteConfiguration'];
    expect(stream.responses.map(shortType)).toEqual(order);
    stream.accept();
    cache.setSnapshot('test', world('2', ['web']));
    await settle();
    expect(stream.responses.slice(4).map(shortType)).toEqual(order);
    expect(stream.responses.map(({ nonce }) => nonce)).toEqual(['1', '2', '3', '4', '5', '6', '7', '8']);
  });

  it('does so too when caches change in another order', async () => {
    const caches = { clusters: new LinearCache('clusters'), endpoints: new LinearCache('endpoints') };
    const stream = openDelta(new XdsProtocol({ cache: new MuxCache({ caches }) }));
    stream.ask('endpoints', { resourceNamesSubscribe: ['*'] });
    stream.ask('clusters');
    await settle();
    stream.accept();
    caches.endpoints.set(endpoints('web'));
    caches.clusters.set(edsCluster('web'));
    await settle();
    expect(stream.responses.slice(2).map(shortType)).toEqual(['Cluster', 'ClusterLoadAssignment']);
  });

  it('is for the node of its first request', async () => {
    const cache = new SnapshotCache({ nodeKey: ({ cluster: group, id }) => group || id });
    cache.setSnapshot('test', snapshot('1', { clusters: [cluster('mine')] }));
    cache.setSnapshot('other', snapshot('1', { clusters: [cluster('theirs')] }));
    const stream = openSotw(new XdsProtocol({ cache }));
    stream.ask('endpoints');
    stream.ask('clusters', { node: node('other') });
    await settle();
    expect(namesIn(stream.responses[0])).toEqual(['mine']);
    expect(cache.keys()).toEqual(['test', 'other']);
  });

  it('says who answers', async () => {
    const cache = new SnapshotCache();
    cache.setSnapshot('test', snapshot('1', { clusters: [] }));
    const stream = openSotw(new XdsProtocol({ cache, controlPlane: 'plane-7' }));
    stream.ask('clusters');
    await settle();
    expect(stream.responses[0].controlPlane?.identifier).toBe('plane-7');
  });
});

describe('ads: true', () => {
  it('holds endpoints until all that are asked for are there', async () => {
    const cache = new SnapshotCache({ ads: true });
    cache.setSnapshot('test', world('1', ['a', 'b']));
    const stream = openSotw(new XdsProtocol({ cache }));
    stream.ask('clusters');
    stream.ask('endpoints', { resourceNames: ['a', 'b'] });
    await settle();
    stream.accept();
    cache.setSnapshot('test', world('2', ['a']));
    await settle();
    expect(stream.responses.slice(2).map(shortType)).toEqual(['Cluster']);
    stream.accept();
    stream.ask('endpoints', { resourceNames: ['a'] });
    await settle();
    expect(stream.responses.slice(3).map(shortType)).toEqual(['ClusterLoadAssignment']);
    expect(namesIn(stream.responses[3])).toEqual(['a']);
    stream.accept();
    // A name that is new is not there for a while, either.
    stream.ask('endpoints', { resourceNames: ['a', 'c'] });
    await settle();
    expect(stream.responses).toHaveLength(4);
    cache.setSnapshot('test', world('3', ['a', 'c']));
    await settle();
    expect(namesIn(stream.responses.at(-1))).toEqual(['a', 'c']);
  });

  it('is off by default: what is there is sent', async () => {
    const cache = new SnapshotCache();
    cache.setSnapshot('test', world('1', ['a']));
    const stream = openSotw(new XdsProtocol({ cache }));
    stream.ask('endpoints', { resourceNames: ['a', 'b'] });
    await settle();
    expect(namesIn(stream.responses[0])).toEqual(['a']);
  });
});

describe('callbacks', () => {
  const cache = new SnapshotCache();
  cache.setSnapshot('test', snapshot('1', { clusters: [cluster('a')] }));

  it('hear of everything in its order', async () => {
    const heard: string[] = [];
    const callbacks: XdsCallbacks = {
      onStreamOpen: ({ id, node: known }) => void heard.push(`open ${id} ${known?.id}`),
      onRequest: ({ node: known }, request) =>
        void heard.push(`request of ${known?.id} ${request.responseNonce}`),
      onResponse: (_, { nonce }) => void heard.push(`response ${nonce}`),
      onAck: (_, { nonce }) => void heard.push(`ack ${nonce}`),
      onStreamClosed: (_, error) => void heard.push(`closed ${error}`),
    };
    const stream = openSotw(new XdsProtocol({ cache, callbacks }));
    stream.ask('clusters');
    await settle();
    stream.accept();
    stream.close();
    stream.ask('clusters');
    expect(heard).toEqual([
      'open 1 undefined',
      'request of test ',
      'response 1',
      'request of test 1',
      'ack 1',
      'closed undefined',
    ]);
  });

  it.each(['onStreamOpen', 'onRequest', 'onResponse'] as const)(
    'end the stream when %s throws, with the status of an XdsError and no word of others',
    async (name) => {
      const errors: unknown[] = [];
      for (const error of [new XdsError('PERMISSION_DENIED', 'not you'), new Error('secret')]) {
        const protocol = new XdsProtocol({
          cache,
          callbacks: {
            [name]() {
              throw error;
            },
            onError: (one) => errors.push(one),
          },
        });
        const stream = openSotw(protocol);
        stream.ask('clusters');
        await settle();
        const known = error instanceof XdsError;
        expect(stream.ended).toMatchObject([{ status: known ? 'PERMISSION_DENIED' : 'INTERNAL' }]);
        expect(stream.ended[0]?.message).not.toContain('secret');
        expect(stream.responses).toEqual([]);
        expect([...protocol.streams]).toEqual([]);
      }
      expect(errors).toMatchObject([{ message: 'secret' }]);
    },
  );

  it('may take their time to let a client in', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const stream = openSotw(
      new XdsProtocol({ cache, callbacks: { onStreamOpen: () => promise }, limits: { earlyRequests: 2 } }),
    );
    stream.ask('clusters');
    await settle();
    expect(stream.responses).toEqual([]);
    resolve();
    await settle();
    expect(namesIn(stream.responses[0])).toEqual(['a']);

    const never = openSotw(
      new XdsProtocol({
        cache,
        callbacks: { onStreamOpen: () => new Promise(() => {}) },
        limits: { earlyRequests: 2 },
      }),
    );
    for (let i = 0; i < 3; i++) never.ask('clusters');
    expect(never.ended).toMatchObject([{ status: 'RESOURCE_EXHAUSTED' }]);
  });

  it('do no harm when they throw at the end', async () => {
    const errors: unknown[] = [];
    const callbacks: XdsCallbacks = {
      onStreamClosed() {
        throw new Error('too late');
      },
      onError(error) {
        errors.push(error);
        throw error;
      },
    };
    const protocol = new XdsProtocol({ cache, callbacks });
    openSotw(protocol).close();
    expect(errors).toHaveLength(1);
    expect([...protocol.streams]).toEqual([]);
  });
});
