import { FakeClock } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import {
  type Acknowledgement,
  LinearCache,
  type Rejection,
  resource,
  SnapshotCache,
  snapshot,
  XdsProtocol,
} from '../src/index.ts';
import { type ClientOptions, DeltaClient, SotwClient, settle, type TestClient } from './support/client.ts';
import { cluster, node, TTL_FEATURES } from './support/resources.ts';

interface Variant {
  readonly name: string;
  readonly delta: boolean;
  connect(protocol: XdsProtocol, options?: ClientOptions): TestClient;
}

const VARIANTS: readonly Variant[] = [false, true].flatMap((delta) =>
  [false, true].map((separate) => ({
    name: `${delta ? 'delta' : 'state of the world'}, ${separate ? 'a stream for the type' : 'aggregated'}`,
    delta,
    connect: (protocol: XdsProtocol, options: ClientOptions = {}) =>
      new (delta ? DeltaClient : SotwClient)(protocol, { ...options, separate }),
  })),
);

class Control {
  readonly clock = new FakeClock();
  readonly cache = new SnapshotCache();
  readonly acks: Acknowledgement[] = [];
  readonly nacks: Rejection[] = [];
  readonly protocol = new XdsProtocol({
    cache: this.cache,
    clock: this.clock,
    callbacks: {
      onAck: (_, ack) => this.acks.push(ack),
      onNack: (_, nack) => this.nacks.push(nack),
    },
  });

  /** Clusters by name and mark. */
  set(version: string, clusters: Readonly<Record<string, string>>, ttlMs?: number): void {
    const made = Object.entries(clusters).map(([name, mark]) => resource(cluster(name, mark), { ttlMs }));
    this.cache.setSnapshot('test', snapshot(version, { clusters: made }));
  }
}

interface Scene extends Control {
  readonly variant: Variant;
}

const marks = (client: TestClient): Record<string, string> => Object.fromEntries(client.has);

/** A client of everything, which has accepted the first answer. */
async function connected({ variant, protocol }: Scene): Promise<TestClient> {
  const client = variant.connect(protocol);
  client.subscribe([]);
  await settle();
  client.acknowledge();
  await settle();
  return client;
}

const SCENARIOS: Readonly<Record<string, (scene: Scene) => Promise<void>>> = {
  'waits for a snapshot, then answers': async (scene) => {
    const client = scene.variant.connect(scene.protocol);
    client.subscribe([]);
    await settle();
    expect(client.count).toBe(0);
    scene.set('1', { a: '1' });
    await settle();
    expect(marks(client)).toEqual({ a: '1' });
    expect(client.version).toBe(scene.variant.delta ? '1' : '');
    client.acknowledge();
    await settle();
    expect(scene.acks).toMatchObject([{ version: '1', nonce: '1' }]);
    expect(client.count).toBe(1);
  },

  'answers a wildcard with nothing when there is nothing': async (scene) => {
    scene.set('1', {});
    const client = await connected(scene);
    expect(client.count).toBe(1);
    expect(client.has.size).toBe(0);
  },

  add: async (scene) => {
    scene.set('1', { a: '1' });
    const client = await connected(scene);
    scene.set('2', { a: '1', b: '1' });
    await settle();
    expect(marks(client)).toEqual({ a: '1', b: '1' });
    expect(client.last.sent).toEqual(scene.variant.delta ? ['b'] : ['a', 'b']);
  },

  update: async (scene) => {
    scene.set('1', { a: '1', b: '1' });
    const client = await connected(scene);
    scene.set('2', { a: '2', b: '1' });
    await settle();
    expect(marks(client)).toEqual({ a: '2', b: '1' });
    expect(client.last.sent).toEqual(scene.variant.delta ? ['a'] : ['a', 'b']);
  },

  remove: async (scene) => {
    scene.set('1', { a: '1', b: '1' });
    const client = await connected(scene);
    scene.set('2', { b: '1' });
    await settle();
    expect(marks(client)).toEqual({ b: '1' });
    expect(client.last.removed).toEqual(['a']);
  },

  'says nothing when nothing changes': async (scene) => {
    scene.set('1', { a: '1' });
    const client = await connected(scene);
    scene.set('1', { a: '1' });
    scene.cache.clearSnapshot('test');
    await settle();
    expect(client.count).toBe(1);
    expect(marks(client)).toEqual({ a: '1' });
  },

  'sends the newest of several states, once the client has spoken': async (scene) => {
    scene.set('1', { a: '1' });
    const client = scene.variant.connect(scene.protocol);
    client.subscribe([]);
    await settle();
    scene.set('2', { a: '2' });
    await settle();
    scene.set('3', { a: '3' });
    await settle();
    expect(client.count).toBe(1);
    client.acknowledge();
    await settle();
    expect(client.count).toBe(2);
    expect(marks(client)).toEqual({ a: '3' });
    expect(scene.acks).toMatchObject([{ version: '1' }]);
  },

  'is rejected, keeps quiet, and sends what is mended': async (scene) => {
    scene.set('1', { a: '1' });
    const client = await connected(scene);
    scene.set('2', { a: 'bad' });
    await settle();
    client.acknowledge('no such thing');
    await settle();
    expect(scene.nacks).toMatchObject([{ version: '2', nonce: '2', error: { message: 'no such thing' } }]);
    expect(client.count).toBe(2); // the same would be rejected again
    const [stream] = scene.protocol.streams;
    expect(stream.status()).toMatchObject([{ sentVersion: '2', ackedVersion: '1', error: 'no such thing' }]);
    scene.set('3', { a: 'good' });
    await settle();
    client.acknowledge();
    await settle();
    expect(marks(client)).toEqual({ a: 'good' });
    expect(scene.acks.map(({ version }) => version)).toEqual(['1', '3']);
    expect(stream.status()).toMatchObject([{ sentVersion: '3', ackedVersion: '3', error: undefined }]);
  },

  'goes back to the state before a rejected one': async (scene) => {
    scene.set('1', { a: '1' });
    const client = await connected(scene);
    scene.set('2', { a: 'bad' });
    await settle();
    client.acknowledge('no such thing');
    scene.set('1', { a: '1' });
    await settle();
    expect(client.count).toBe(3);
    expect(marks(client)).toEqual({ a: '1' });
  },

  'does not take a stale nonce for an answer': async (scene) => {
    scene.set('1', { a: '1' });
    const client = await connected(scene);
    scene.set('2', { a: '2' });
    await settle();
    client.acknowledge(undefined, '1');
    client.acknowledge('never sent', 'made up');
    await settle();
    expect(scene.acks).toHaveLength(1);
    expect(scene.nacks).toEqual([]);
    client.acknowledge();
    await settle();
    expect(scene.acks.map(({ version }) => version)).toEqual(['1', '2']);
  },

  'follows names that are asked for': async (scene) => {
    scene.set('1', { a: '1', b: '1', c: '1' });
    const client = scene.variant.connect(scene.protocol);
    client.subscribe(['a']);
    await settle();
    expect(marks(client)).toEqual({ a: '1' });
    client.acknowledge();
    client.subscribe(['a', 'b']);
    await settle();
    expect(marks(client)).toEqual({ a: '1', b: '1' });
    expect(client.last.sent).toEqual(scene.variant.delta ? ['b'] : ['a', 'b']);
    client.acknowledge();
    client.subscribe(['b']);
    await settle();
    const { count } = client;
    scene.set('2', { a: '2', b: '1', c: '2' });
    await settle();
    // Of the state of the world a new version is sent even if what was asked for is the same.
    expect(client.count).toBe(scene.variant.delta ? count : count + 1);
    client.acknowledge();
    client.subscribe(['a', 'b']);
    await settle();
    expect(marks(client)).toEqual({ a: '2', b: '1' });
  },

  'does not take an empty list for everything once names were asked for': async (scene) => {
    scene.set('1', { a: '1', b: '1' });
    const client = scene.variant.connect(scene.protocol);
    client.subscribe(['a']);
    await settle();
    client.acknowledge();
    client.subscribe([]);
    await settle();
    scene.set('2', { a: '2', b: '2' });
    await settle();
    expect(client.count).toBe(1);
  },

  'takes "*" for everything, with names and without': async (scene) => {
    scene.set('1', { a: '1', b: '1' });
    const client = scene.variant.connect(scene.protocol);
    client.subscribe(['a']);
    await settle();
    client.acknowledge();
    client.subscribe(['a', '*']);
    await settle();
    expect(marks(client)).toEqual({ a: '1', b: '1' });
    client.acknowledge();
    client.subscribe(['a']);
    await settle();
    const { count } = client;
    scene.set('2', { a: '1', b: '2' });
    await settle();
    if (scene.variant.delta) expect(client.count).toBe(count);
    else expect(client.last.sent).toEqual(['a']);
  },

  'resends on a subscription to what the wildcard has sent': async (scene) => {
    scene.set('1', { a: '1', b: '1' });
    const client = await connected(scene);
    client.subscribe(['*', 'a']);
    await settle();
    expect(client.count).toBe(2);
    expect(client.last.sent).toContain('a');
  },

  'tells of names that are not there, and of them when they come': async (scene) => {
    scene.set('1', { a: '1' });
    const client = scene.variant.connect(scene.protocol);
    client.subscribe(['a', 'ghost']);
    await settle();
    expect(marks(client)).toEqual({ a: '1' });
    if (scene.variant.delta) expect(client.last.removed).toEqual(['ghost']);
    client.acknowledge();
    scene.set('2', { a: '1', ghost: '1' });
    await settle();
    expect(marks(client)).toEqual({ a: '1', ghost: '1' });
  },

  'is not sent what it has when it comes again': async (scene) => {
    scene.set('1', { a: '1', b: '1', c: '1' });
    const former = await connected(scene);
    former.close();
    const same = scene.variant.connect(scene.protocol, { from: former });
    same.subscribe([]);
    await settle();
    expect(same.last.sent).toEqual([]);
    if (!scene.variant.delta) expect(same.count).toBe(0);
    same.acknowledge();
    scene.set('2', { a: '2', b: '1', d: '1' });
    await settle();
    expect(marks(same)).toEqual({ a: '2', b: '1', d: '1' });
  },

  'is sent what changed while it was away': async (scene) => {
    scene.set('1', { a: '1', b: '1', c: '1' });
    const former = await connected(scene);
    former.close();
    scene.set('2', { a: '2', b: '1', d: '1' });
    const again = scene.variant.connect(scene.protocol, { from: former });
    again.subscribe([]);
    await settle();
    expect(marks(again)).toEqual({ a: '2', b: '1', d: '1' });
    expect(again.last.removed).toEqual(['c']);
    if (scene.variant.delta) expect(again.last.sent).toEqual(['a', 'd']);
  },

  'keeps resources with a TTL alive': async (scene) => {
    scene.set('1', { a: '1' }, 10_000);
    const client = scene.variant.connect(scene.protocol, { node: node('test', TTL_FEATURES) });
    client.subscribe([]);
    await settle();
    expect(client.last).toMatchObject({ sent: ['a'], ttl: ['a'] });
    client.acknowledge();
    await scene.clock.advanceAsync(4999);
    expect(client.count).toBe(1);
    await scene.clock.advanceAsync(1);
    // Of the state of the world the resource is sent again: Envoy takes heartbeats alone for nothing at all.
    if (scene.variant.delta) expect(client.last).toMatchObject({ sent: [], heartbeats: ['a'] });
    else expect(client.last).toMatchObject({ sent: ['a'], ttl: ['a'], heartbeats: [] });
    expect(client.count).toBe(2);
    client.acknowledge();
    await scene.clock.advanceAsync(5000);
    expect(client.count).toBe(3);
    client.acknowledge();
    scene.set('2', { a: '1' });
    await settle();
    expect(client.last).toMatchObject({ sent: ['a'], ttl: [], heartbeats: [] });
    client.acknowledge();
    await scene.clock.advanceAsync(60_000);
    expect(client.count).toBe(4);
    expect(scene.clock.pendingTimers).toBe(0);
  },

  'sends what has a TTL again to a client that comes back': async (scene) => {
    scene.set('1', { a: '1' }, 10_000);
    const options = { node: node('test', TTL_FEATURES) };
    const former = scene.variant.connect(scene.protocol, options);
    former.subscribe([]);
    await settle();
    former.acknowledge();
    await scene.clock.advanceAsync(4000);
    former.close();
    const again = scene.variant.connect(scene.protocol, { ...options, from: former });
    again.subscribe([]);
    await settle();
    expect(again.last).toMatchObject({ sent: ['a'], ttl: ['a'], removed: [] });
    again.acknowledge();
    await scene.clock.advanceAsync(5000);
    expect(again.count).toBe(2);
  },

  'loses nothing without a TTL for a heartbeat': async (scene) => {
    const clusters = [resource(cluster('a'), { ttlMs: 10_000 }), resource(cluster('b'))];
    scene.cache.setSnapshot('test', snapshot('1', { clusters }));
    const client = scene.variant.connect(scene.protocol, { node: node('test', TTL_FEATURES) });
    client.subscribe([]);
    await settle();
    client.acknowledge();
    await scene.clock.advanceAsync(5000);
    expect(client.count).toBe(2);
    expect(client.last.removed).toEqual([]);
    expect([...client.has.keys()].sort()).toEqual(['a', 'b']);
    client.acknowledge();
    scene.cache.clearSnapshot('test');
    await scene.clock.advanceAsync(5000);
    expect(client.count).toBe(3);
  },

  'sends no heartbeat of what was rejected or is gone': async (scene) => {
    scene.set('1', { a: '1' }, 10_000);
    const client = scene.variant.connect(scene.protocol, { node: node('test', TTL_FEATURES) });
    client.subscribe([]);
    await settle();
    client.acknowledge('no');
    await scene.clock.advanceAsync(20_000);
    expect(client.count).toBe(1);
    scene.set('2', {});
    await settle();
    client.acknowledge();
    await scene.clock.advanceAsync(20_000);
    expect(client.last.heartbeats).toEqual([]);
    client.close();
    expect(scene.clock.pendingTimers).toBe(0);
  },

  'spares clients TTLs that cannot do with them': async (scene) => {
    scene.set('1', { a: '1' }, 10_000);
    const client = await connected(scene);
    expect(client.last).toMatchObject({ sent: ['a'], ttl: [] });
    await scene.clock.advanceAsync(60_000);
    expect(client.count).toBe(1);
  },

  'waits for a client that does not read': async (scene) => {
    scene.set('1', { a: '1' });
    const client = scene.variant.connect(scene.protocol);
    client.writable = false;
    client.subscribe([]);
    await settle();
    client.acknowledge();
    for (const version of ['2', '3', '4']) {
      scene.set(version, { a: version });
      await settle();
    }
    expect(client.count).toBe(1);
    client.drained();
    await settle();
    expect(client.count).toBe(2);
    expect(marks(client)).toEqual({ a: '4' });
  },

  'forgets a client that goes': async (scene) => {
    scene.set('1', { a: '1' });
    const client = await connected(scene);
    expect(scene.cache.status('test')).toMatchObject({ subscriptions: 1 });
    client.close();
    scene.set('2', { a: '2' });
    await settle();
    expect(client.count).toBe(1);
    expect([...scene.protocol.streams]).toEqual([]);
    expect(scene.cache.status('test')).toBeUndefined();
  },
};

describe.each(VARIANTS)('$name', (variant) => {
  it.each(Object.entries(SCENARIOS))('%s', async (_, run) => {
    await run(Object.assign(new Control(), { variant }));
  });
});

describe('delta alone', () => {
  const start = (limits = {}) => {
    const cache = new SnapshotCache();
    const nacks: Rejection[] = [];
    const acks: Acknowledgement[] = [];
    const callbacks = {
      onNack: (_: unknown, nack: Rejection) => void nacks.push(nack),
      onAck: (_: unknown, ack: Acknowledgement) => void acks.push(ack),
    };
    return { cache, nacks, acks, protocol: new XdsProtocol({ cache, limits, callbacks }) };
  };

  it('resends what a client subscribes to again', async () => {
    const { cache, protocol } = start();
    cache.setSnapshot('test', snapshot('1', { clusters: [cluster('a', '1')] }));
    const client = new DeltaClient(protocol);
    client.subscribe(['a']);
    await settle();
    client.change(['a'], [], client.nonce);
    await settle();
    expect(client.count).toBe(2);
    expect(client.last.sent).toEqual(['a']);
  });

  it('says what becomes of a name that is dropped under a wildcard', async () => {
    const { cache, protocol } = start();
    cache.setSnapshot('test', snapshot('1', { clusters: [cluster('a', '1')] }));
    const client = new DeltaClient(protocol);
    client.subscribe(['*', 'a', 'ghost']);
    await settle();
    client.acknowledge();
    client.change([], ['a', 'ghost', 'never asked for']);
    await settle();
    expect(client.count).toBe(2);
    expect(client.last).toMatchObject({ sent: ['a'], removed: ['ghost'] });
  });

  it('honours subscriptions whatever their nonce, and hears of both of two responses', async () => {
    const { cache, protocol, nacks, acks } = start();
    cache.setSnapshot('test', snapshot('1', { clusters: [cluster('a', '1'), cluster('b', '1')] }));
    const client = new DeltaClient(protocol);
    client.subscribe(['a']);
    await settle();
    client.change(['b'], [], 'stale');
    await settle();
    expect(client.count).toBe(2);
    client.acknowledge('not a', '1');
    client.acknowledge(undefined, '2');
    expect(nacks).toMatchObject([{ nonce: '1' }]);
    expect(acks).toMatchObject([{ nonce: '2' }]);
  });

  it('forgets what the wildcard covered when that goes, and sends it again when it comes back', async () => {
    const { cache, protocol } = start();
    cache.setSnapshot('test', snapshot('1', { clusters: [cluster('a', '1'), cluster('b', '1')] }));
    const client = new DeltaClient(protocol);
    client.subscribe(['*', 'a']);
    await settle();
    client.acknowledge();
    client.change([], ['*']);
    cache.setSnapshot('test', snapshot('2', { clusters: [] }));
    await settle();
    expect(client.last).toMatchObject({ sent: [], removed: ['a'] });
    client.acknowledge();
    cache.setSnapshot('test', snapshot('3', { clusters: [cluster('b', '1')] }));
    client.change(['*'], []);
    await settle();
    expect(client.last).toMatchObject({ sent: ['b'], removed: [] });
  });

  it('resends in the next response what had no room in this one', async () => {
    const { cache, protocol } = start({ deltaResponseBytes: 100 });
    const names = Array.from({ length: 10 }, (_, i) => `cluster-${i}`);
    cache.setSnapshot(
      'test',
      snapshot('1', { clusters: names.map((name) => cluster(name, 'x'.repeat(20))) }),
    );
    const client = new DeltaClient(protocol);
    client.subscribe(names);
    for (let i = 0; i < 10; i++) {
      await settle();
      client.acknowledge();
    }
    client.change(names, []);
    const again: string[] = [];
    for (let i = 0; i < 10 && again.length < 10; i++) {
      await settle();
      again.push(...client.last.sent);
      client.acknowledge();
    }
    expect(again.sort()).toEqual(names);
  });

  it('cuts large answers into several', async () => {
    const { cache, protocol } = start({ deltaResponseBytes: 100 });
    const names = Array.from({ length: 50 }, (_, i) => `cluster-${i}`);
    const resources = names.map((name) => cluster(name, 'x'.repeat(20)));
    cache.setSnapshot('test', snapshot('1', { clusters: resources }));
    const limits = { deltaResponseBytes: 100 };
    const linear = new XdsProtocol({ cache: new LinearCache('clusters', { resources }), limits });
    for (const [from, asked] of [
      [protocol, ['*']],
      [protocol, names],
      [linear, ['*']],
      [linear, names],
    ] as const) {
      const client = new DeltaClient(from);
      client.subscribe(asked);
      await settle();
      for (let rounds = 0; client.has.size < 50 && rounds < 100; rounds++) {
        expect(client.last.sent.length).toBeLessThan(5);
        client.acknowledge();
        await settle();
      }
      expect([...client.has.keys()].sort()).toEqual([...names].sort());
      expect(client.last.removed).toEqual([]);
      client.acknowledge();
      const { count } = client;
      await settle();
      expect(client.count).toBe(count);
    }
  });
});
