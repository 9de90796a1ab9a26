import { describe, expect, it } from 'vitest';
import {
  LinearCache,
  type MissingResources,
  MuxCache,
  onDemand,
  SnapshotCache,
  snapshot,
  XdsProtocol,
} from '../src/index.ts';
import { settle } from './support/client.ts';
import { namesIn, openDelta, openSotw } from './support/open.ts';
import { cluster, endpoints } from './support/resources.ts';

describe('a mux cache', () => {
  it('has a cache for each type, one for the rest, and another for some clients', async () => {
    const rest = new SnapshotCache();
    rest.setSnapshot('test', snapshot('1', { clusters: [cluster('rest')] }));
    const canary = new LinearCache('clusters', { resources: [cluster('canary')] });
    const cache = new MuxCache({
      caches: { endpoints: new LinearCache('endpoints', { resources: [endpoints('a')] }) },
      fallback: rest,
      route: (_, { id }) => (id === 'canary' ? canary : undefined),
    });
    const protocol = new XdsProtocol({ cache });
    const usual = openSotw(protocol);
    const other = openSotw(protocol, { id: 'canary' });
    usual.ask('endpoints', { resourceNames: ['a'] });
    usual.ask('clusters');
    other.ask('clusters');
    await settle();
    expect(usual.responses.map(namesIn)).toEqual([['rest'], ['a']]);
    expect(other.responses.map(namesIn)).toEqual([['canary']]);
  });
});

describe('on demand', () => {
  it('asks for what is missing, once, and answers when it is there', async () => {
    const linear = new LinearCache('endpoints', { resources: [endpoints('there')] });
    const asked: MissingResources[] = [];
    const cache = onDemand(linear, async (missing) => {
      asked.push(missing);
      await settle();
      linear.update({ set: missing.names.map((name) => endpoints(name)) });
    });
    const stream = openDelta(new XdsProtocol({ cache }));
    stream.ask('endpoints', { resourceNamesSubscribe: ['there', 'late'] });
    await settle();
    expect(stream.responses[0]).toMatchObject({ resources: [{ name: 'there' }], removedResources: ['late'] });
    stream.accept();
    await settle();
    await settle();
    expect(stream.responses[1]).toMatchObject({ resources: [{ name: 'late' }] });
    stream.accept();
    stream.ask('endpoints', { resourceNamesSubscribe: ['more'] });
    expect(asked).toMatchObject([
      { names: ['late'], wildcard: false, node: { id: 'test' } },
      { names: ['more'] },
    ]);
  });

  it('makes a snapshot for a node that is new', async () => {
    const snapshots = new SnapshotCache();
    const cache = onDemand(snapshots, ({ node: { id }, wildcard }) => {
      if (wildcard) snapshots.setSnapshot(id, snapshot('1', { clusters: [cluster(`for ${id}`)] }));
    });
    const stream = openSotw(new XdsProtocol({ cache }), { id: 'new' });
    stream.ask('clusters');
    await settle();
    expect(namesIn(stream.responses[0])).toEqual(['for new']);
  });

  it('tells of failures, asks again for a name that is asked for again, and no more once the client is gone', async () => {
    const errors: unknown[] = [];
    const signals: AbortSignal[] = [];
    let attempts = 0;
    const cache = onDemand(
      new LinearCache('endpoints'),
      ({ signal }) => {
        signals.push(signal);
        if (++attempts === 1) throw new Error('at once');
        return Promise.reject(new Error('later'));
      },
      {
        onError(error) {
          errors.push((error as Error).message);
          throw error;
        },
      },
    );
    const stream = openDelta(new XdsProtocol({ cache }));
    stream.ask('endpoints', { resourceNamesSubscribe: ['a'] });
    stream.ask('endpoints', { resourceNamesSubscribe: ['a'] });
    stream.ask('endpoints', { resourceNamesUnsubscribe: ['a'] });
    stream.ask('endpoints', { resourceNamesSubscribe: ['a'] });
    await settle();
    expect(errors).toEqual(['at once', 'later']);
    expect(signals[1].aborted).toBe(false);
    stream.close();
    expect(signals[1].aborted).toBe(true);
    expect(stream.ended).toEqual([]);
  });
});
