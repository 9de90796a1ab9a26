import {
  AggregatedDiscoveryService,
  create,
  DiscoveryRequestSchema,
  fromBinary,
  type Message,
  toBinary,
} from '@dragoman/api';
import * as grpc from '@grpc/grpc-js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  createXdsServer,
  KINDS,
  LinearCache,
  SnapshotCache,
  snapshot,
  type XdsLimits,
  XdsProtocol,
} from '../src/index.ts';
import { settle } from './support/client.ts';
import { openDelta, openSotw } from './support/open.ts';
import { cluster, endpoints, node } from './support/resources.ts';

const LIMITS = { namesPerType: 10, nameLength: 20, typesPerStream: 3, streams: 4 };

function protocolOf(errors: unknown[] = [], limits: Partial<XdsLimits> = LIMITS): XdsProtocol {
  const cache = new SnapshotCache();
  cache.setSnapshot('test', snapshot('1', { clusters: [cluster('a')] }));
  return new XdsProtocol({ cache, limits, callbacks: { onError: (error) => errors.push(error) } });
}

describe('a request that goes too far ends its stream', () => {
  const many = Array.from({ length: 11 }, (_, i) => `${i}`);
  const long = 'x'.repeat(21);

  it.each<[string, string, object, string]>([
    ['no type', '', {}, 'INVALID_ARGUMENT'],
    ['a long type', `a/${long}`, {}, 'RESOURCE_EXHAUSTED'],
    ['no node', 'x/y', { node: undefined }, 'INVALID_ARGUMENT'],
    ['a long node id', 'x/y', { node: node(long) }, 'RESOURCE_EXHAUSTED'],
  ])('%s', (_, type, fields, status) => {
    for (const open of [openSotw, openDelta]) {
      const stream = open(protocolOf());
      stream.ask(type, fields);
      expect(stream.ended).toMatchObject([{ status }]);
      stream.ask('clusters');
      expect(stream.ended).toHaveLength(1);
    }
  });

  it.each<[string, object]>([
    ['many names', { resourceNames: many }],
    ['a long name', { resourceNames: [long] }],
  ])('%s', (_, fields) => {
    const stream = openSotw(protocolOf([], { ...LIMITS, nameLength: 20 }));
    stream.ask('x/y', fields);
    expect(stream.ended).toMatchObject([{ status: 'RESOURCE_EXHAUSTED' }]);
  });

  it.each<[string, object]>([
    ['many names', { resourceNamesSubscribe: many }],
    ['many names to drop', { resourceNamesUnsubscribe: many }],
    ['a long name', { resourceNamesSubscribe: [long] }],
    ['many versions', { initialResourceVersions: Object.fromEntries(many.map((name) => [`n${name}`, '1'])) }],
  ])('%s, delta', (_, fields) => {
    const stream = openDelta(protocolOf());
    stream.ask('x/y', fields);
    expect(stream.ended).toMatchObject([{ status: 'RESOURCE_EXHAUSTED' }]);
  });

  it('names that add up, types that add up, streams that add up', () => {
    const protocol = protocolOf();
    const names = openDelta(protocol);
    for (let i = 0; i < 11; i++) names.ask('x/y', { resourceNamesSubscribe: [`${i}`] });
    expect(names.ended).toMatchObject([{ status: 'RESOURCE_EXHAUSTED' }]);
    const types = openSotw(protocol);
    for (let i = 0; i < 4; i++) types.ask(`x/${i}`);
    expect(types.ended).toMatchObject([{ status: 'RESOURCE_EXHAUSTED' }]);
    for (let i = 0; i < 4; i++) openSotw(protocol);
    expect(() => openSotw(protocol)).toThrow('too many streams');
  });

  it('names that take too much together, whatever the type and however they come', async () => {
    const nameBytesPerStream = 10 * (64 + 10) + 5;
    const name = (i: number): string => `name-${i}`.padEnd(10, '.');
    const few = { nameBytesPerStream };
    const refused = [{ status: 'RESOURCE_EXHAUSTED' }];

    const sotw = openSotw(protocolOf([], few));
    for (let round = 0; round < 20; round++)
      sotw.ask('x/1', { resourceNames: [name(round), name(round + 1)] });
    sotw.ask('x/2', { resourceNames: [1, 2, 3, 4, 5, 6, 7, 8].map(name) });
    expect(sotw.ended).toEqual([]);
    sotw.ask('x/3', { resourceNames: [name(1)] });
    expect(sotw.ended).toMatchObject(refused);

    const delta = openDelta(protocolOf([], few));
    for (let round = 0; round < 20; round++)
      delta.ask('clusters', {
        resourceNamesSubscribe: [name(round)],
        resourceNamesUnsubscribe: [name(round)],
      });
    expect(delta.ended).toEqual([]);
    const versions = Object.fromEntries([1, 2, 3, 4, 5].map((i) => [name(i), '1']));
    delta.ask('x/1', { initialResourceVersions: versions });
    delta.ask('x/2', { resourceNamesSubscribe: [1, 2, 3, 4, 5].map(name) });
    expect(delta.ended).toEqual([]);
    delta.ask('x/2', { resourceNamesSubscribe: [name(6)] });
    expect(delta.ended).toMatchObject(refused);

    // Names dropped under a wildcard are owed an answer, which cannot be sent here: they add up until it is.
    const cache = new SnapshotCache();
    const waiting = openDelta(new XdsProtocol({ cache, limits: few }));
    waiting.ask('clusters');
    const flood = (stream: typeof waiting, from: number, rounds: number): void => {
      for (let i = from; i < from + rounds; i++) {
        stream.ask('clusters', { resourceNamesSubscribe: [name(i)] });
        stream.ask('clusters', { resourceNamesUnsubscribe: [name(i)] });
      }
    };
    flood(waiting, 0, 10);
    expect(waiting.ended).toEqual([]);
    cache.setSnapshot('test', snapshot('1', { clusters: [] }));
    await settle();
    expect(waiting.responses.at(-1)?.removedResources).toHaveLength(10);
    cache.clearSnapshot('test');
    flood(waiting, 10, 10);
    expect(waiting.ended).toEqual([]);
    flood(waiting, 20, 1);
    expect(waiting.ended).toMatchObject(refused);
  });

  it('a request of another type, or with locators', () => {
    const { typeUrl } = KINDS.clusters;
    const other = openSotw(protocolOf([], {}), { typeUrl });
    other.ask('listeners');
    expect(other.ended).toMatchObject([{ status: 'INVALID_ARGUMENT' }]);
    const locators = openDelta(protocolOf([], {}), { typeUrl });
    locators.ask('clusters', { resourceLocatorsSubscribe: [{ name: 'a' }] });
    expect(locators.ended).toMatchObject([{ status: 'UNIMPLEMENTED' }]);
  });
});

describe('whatever comes', () => {
  const name = fc.oneof(
    fc.constantFrom('a', 'b', '*', '', '__proto__', 'constructor', 'ghost'),
    fc.string({ maxLength: 8 }),
  );
  const names = fc.array(name, { maxLength: 6 });
  const nonce = fc.oneof(fc.constantFrom('', '1', '2', '3', '7'), fc.string());
  const errorDetail = fc.option(fc.record({ code: fc.integer({ min: 0, max: 20 }), message: fc.string() }), {
    nil: undefined,
  });
  const type = fc.constantFrom('clusters', 'endpoints', 'virtualHosts', 'x/y');
  const request = fc.record({
    type,
    names,
    drop: names,
    nonce,
    errorDetail,
    version: fc.string({ maxLength: 3 }),
    versions: fc.dictionary(name, fc.string({ maxLength: 5 }), { maxKeys: 3 }),
  });
  const step = fc.oneof(
    { weight: 4, arbitrary: request },
    { weight: 1, arbitrary: fc.constantFrom('change', 'remove', 'rest') },
  );

  it('a stream lives, does not answer without end, and says in the end what is there', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const errors: unknown[] = [];
        const cache = new LinearCache('endpoints', { resources: [endpoints('a'), endpoints('b')] });
        const protocol = new XdsProtocol({ cache, callbacks: { onError: (error) => errors.push(error) } });
        const sotw = openSotw(protocol);
        const delta = openDelta(protocol);
        let port = 1;
        for (const one of steps) {
          if (one === 'change') cache.set(endpoints('a', ++port));
          else if (one === 'remove') cache.delete('b');
          else if (one === 'rest') await settle();
          else {
            const common = { responseNonce: one.nonce, errorDetail: one.errorDetail };
            sotw.ask(one.type, { ...common, resourceNames: one.names, versionInfo: one.version });
            delta.ask(one.type, {
              ...common,
              resourceNamesSubscribe: one.names,
              resourceNamesUnsubscribe: one.drop,
              initialResourceVersions: one.versions,
            });
          }
        }
        await settle();
        expect(errors).toEqual([]);
        expect([...sotw.ended, ...delta.ended]).toEqual([]);
        // One answer for each request or change at most.
        expect(sotw.responses.length).toBeLessThanOrEqual(steps.length + 1);
        expect(delta.responses.length).toBeLessThanOrEqual(steps.length + 1);
        delta.accept();
        delta.ask('endpoints', { resourceNamesSubscribe: ['*', 'a'] });
        await settle();
        delta.accept();
        await settle();
        const told = new Map<string, string>();
        for (const { resources, removedResources } of delta.responses) {
          for (const gone of removedResources) told.delete(gone);
          for (const { name: known, version, resource } of resources) if (resource) told.set(known, version);
        }
        expect(told).toEqual(new Map([...cache.view().all()].map((known) => [known.name, known.version])));
        protocol.close();
        expect([...protocol.streams]).toEqual([]);
      }),
      { seed: 2026, numRuns: 300 },
    );
  });

  it('bytes that are no request end the call and nothing else', async () => {
    const cache = new SnapshotCache();
    cache.setSnapshot('test', snapshot('1', { clusters: [cluster('a')] }));
    const server = createXdsServer({ cache, limits: { requestBytes: 100_000 } });
    const port = await server.listen();
    const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
    const same = (bytes: Buffer): Buffer => bytes;
    const path = `/${AggregatedDiscoveryService.typeName}/StreamAggregatedResources`;
    const codeFor = (bytes: Uint8Array): Promise<number> => {
      const call = client.makeBidiStreamRequest(path, same, same);
      call.on('error', () => {});
      call.on('data', () => call.end());
      call.write(Buffer.from(bytes));
      return new Promise((resolve) => call.on('status', ({ code }) => resolve(code)));
    };
    const good = toBinary(
      DiscoveryRequestSchema,
      create(DiscoveryRequestSchema, { node: node('test'), typeUrl: KINDS.clusters.typeUrl }),
    );
    expect(await codeFor(good)).toBe(grpc.status.OK);
    // Struct in Struct in Struct: node { metadata { fields { value { struct_value { … } } } } }
    let deep: Buffer = Buffer.alloc(0);
    const wrap = (field: number, inner: Buffer): Buffer => {
      const length: number[] = [];
      for (let left = inner.length; ; left >>= 7) {
        length.push(left > 127 ? (left & 127) | 128 : left);
        if (left <= 127) break;
      }
      return Buffer.concat([Buffer.from([(field << 3) | 2, ...length]), inner]);
    };
    for (let i = 0; i < 5000; i++) deep = wrap(1, wrap(2, wrap(5, deep)));
    const nested = wrap(2, wrap(3, deep));
    expect(await codeFor(nested)).not.toBe(grpc.status.OK);
    expect(await codeFor(Buffer.alloc(100_001))).toBe(grpc.status.RESOURCE_EXHAUSTED);
    let state = 1;
    for (let round = 0; round < 60; round++) {
      const bytes = Buffer.from(good);
      for (let i = 0; i < 3; i++) {
        state = (state * 48_271) % 2_147_483_647;
        bytes[state % bytes.length] = state >> 8;
      }
      if (isRefused(bytes)) expect(await codeFor(bytes)).not.toBe(grpc.status.OK);
    }
    expect(await codeFor(good)).toBe(grpc.status.OK);
    client.close();
    await server.close({ graceMs: 0 });
  });
});

/** Whether a request is none, or lacks what every request has; any other waits for a snapshot. */
function isRefused(bytes: Buffer): boolean {
  try {
    const request: Message & { node?: unknown; typeUrl: string } = fromBinary(DiscoveryRequestSchema, bytes);
    return request.node === undefined || request.typeUrl === '';
  } catch {
    return true;
  }
}
