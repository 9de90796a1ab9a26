import {
  type Any,
  anyPack,
  ClusterLoadAssignmentSchema as EDS,
  ClusterSchema as CDS,
  create,
  DeltaDiscoveryResponseSchema,
  DiscoveryResponseSchema,
  durationFromMs,
  ResourceSchema,
  type DeltaDiscoveryRequest,
  type DiscoveryRequest,
} from '@dragoman/api';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Rig, settled, type Subscriber, textOf, type Variant } from './support/rig.ts';

const NAMES = [
  'a',
  'b',
  'c',
  '__proto__',
  'xdstp://x/envoy.config.endpoint.v3.ClusterLoadAssignment/y',
  'xdstp:%',
  '',
];
const URLS = [
  'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
  'type.googleapis.com/envoy.config.cluster.v3.Cluster',
  'type.googleapis.com/envoy.service.discovery.v3.Resource',
  'type.googleapis.com/google.protobuf.Any',
  'nonsense',
  '',
];

const name = fc.constantFrom(...NAMES);
const url = fc.constantFrom(...URLS);
const any: fc.Arbitrary<Any> = fc.oneof(
  name.map((one) => anyPack(EDS, create(EDS, { clusterName: one }))),
  name.map((one) => anyPack(CDS, create(CDS, { name: one }))),
  fc
    .record({ typeUrl: url, value: fc.uint8Array({ maxLength: 40 }) })
    .map((one) => ({ $typeName: 'google.protobuf.Any' as const, ...one })),
);
const ttl = fc
  .option(fc.constantFrom(-1, 0, 1, 1000, 1e13), { nil: undefined })
  .map((ms) => (ms === undefined ? undefined : durationFromMs(ms)));
const resource = fc
  .record({
    name,
    version: fc.constantFrom('', '1', '2'),
    ttl,
    resource: fc.option(any, { nil: undefined }),
    aliases: fc.array(name, { maxLength: 2 }),
  })
  .map((one) => create(ResourceSchema, one));

type Step =
  | {
      readonly kind: 'response';
      readonly typeUrl: string;
      readonly resources: readonly unknown[];
      readonly removed: readonly string[];
    }
  | { readonly kind: 'names'; readonly who: number; readonly names: readonly string[] }
  | { readonly kind: 'end' | 'open' | 'stop' | 'tick' | 'hold' | 'accept' | 'refuse'; readonly who: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('response' as const),
      typeUrl: url,
      resources: fc.array(fc.oneof(resource, any), { maxLength: 4 }),
      removed: fc.array(name, { maxLength: 2 }),
    }),
  },
  fc.record({ kind: fc.constant('names' as const), who: fc.nat(1), names: fc.subarray(NAMES.slice(0, 5)) }),
  fc.record({
    kind: fc.constantFrom('end', 'open', 'stop', 'tick', 'hold', 'accept', 'refuse' as const),
    who: fc.nat(2),
  }),
);

describe.each(['sotw', 'delta'] as const)('a hostile server (%s)', (variant) => {
  it('is survived, and answered once for each response at most', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const rig = new Rig(variant);
        const subscribers = [
          rig.subscribe(EDS, ['a', 'b']),
          rig.subscribe(EDS, ['b', 'c']),
          rig.subscribe(CDS, undefined),
        ];
        const held = subscribers.map((subscriber) => subscriber.hold());
        for (const subscriber of subscribers) subscriber.answer = () => {};
        const answered = new Map<string, number>();
        let nonce = 0;
        const collect = (): void => {
          for (const request of rig.stream.take()) {
            const key = request.responseNonce;
            if (variant === 'delta' && key !== '') answered.set(key, (answered.get(key) ?? 0) + 1);
          }
        };
        for (const one of steps) {
          switch (one.kind) {
            case 'response':
              if (rig.stream.isOpen) rig.stream.message(response(variant, one, `n${++nonce}`));
              break;
            case 'names':
              subscribers[one.who].subscription.setNames(one.names);
              break;
            case 'end':
              if (rig.stream.isOpen) rig.stream.end(one.who);
              break;
            case 'open':
              if (!rig.stream.isOpen) rig.stream.open();
              break;
            case 'stop':
              subscribers[one.who].subscription.stop();
              break;
            case 'tick':
              await rig.context.clock.advanceAsync(700);
              break;
            case 'hold':
              held[one.who] = subscribers[one.who].hold();
              break;
            case 'accept':
              await held[one.who].accept();
              break;
            default:
              await held[one.who].refuse(new Error('no'));
          }
          collect();
        }
        rig.xds.report();
        expect([...answered.values()].every((times) => times === 1)).toBe(true);
        rig.xds.close();
        expect(rig.context.clock.pendingTimers).toBe(0);
        expect(rig.context.loggers.lines.filter((line) => line.startsWith('config error'))).toEqual([]);
      }),
      { seed: 7, numRuns: 150 },
    );
  });
});

function response(
  variant: Variant,
  { typeUrl, resources, removed }: Step & { kind: 'response' },
  nonce: string,
) {
  const wrapped = (one: unknown) => (one as { $typeName: string }).$typeName === ResourceSchema.typeName;
  if (variant === 'delta')
    return create(DeltaDiscoveryResponseSchema, {
      typeUrl,
      nonce,
      resources: resources.map(
        (one) => (wrapped(one) ? one : create(ResourceSchema, { name: 'a', resource: one as Any })) as never,
      ),
      removedResources: [...removed],
    });
  return create(DiscoveryResponseSchema, {
    typeUrl,
    nonce,
    resources: resources.map((one) => (wrapped(one) ? anyPack(ResourceSchema, one as never) : (one as Any))),
  });
}

/** A server that keeps to the protocol, for one type of which resources are named. */
class HonestServer {
  readonly resources = new Map<string, string>();
  private wanted = new Set<string>();
  private version = 1;
  private nonce = 0;
  private readonly rig: Rig;

  constructor(rig: Rig) {
    this.rig = rig;
  }

  streamOpened(): void {
    this.wanted = new Set();
    this.nonce += 1000;
  }

  set(name: string, text: string | undefined): void {
    this.version++;
    if (text === undefined) this.resources.delete(name);
    else this.resources.set(name, text);
    if (this.wanted.has(name)) this.send([name]);
  }

  /** Answers until nothing more is asked. */
  serve(): void {
    for (let requests = this.rig.stream.take(); requests.length > 0; requests = this.rig.stream.take())
      for (const request of requests) {
        if ('versionInfo' in request) this.onSotw(request);
        else this.onDelta(request);
      }
  }

  private onSotw({ responseNonce, resourceNames }: DiscoveryRequest): void {
    if (responseNonce !== '' && responseNonce !== `n${this.nonce}`) return;
    const added = resourceNames.filter((name) => !this.wanted.has(name) && this.resources.has(name));
    this.wanted = new Set(resourceNames);
    if (added.length > 0) this.send(added);
  }

  private onDelta(request: DeltaDiscoveryRequest): void {
    for (const name of request.resourceNamesUnsubscribe) this.wanted.delete(name);
    for (const name of request.resourceNamesSubscribe) this.wanted.add(name);
    if (request.resourceNamesSubscribe.length > 0) this.send(request.resourceNamesSubscribe);
  }

  private send(names: readonly string[]): void {
    if (!this.rig.stream.isOpen) return;
    const there = names.filter((name) => this.resources.has(name));
    const changed = Object.fromEntries(there.map((name) => [name, this.resources.get(name)]));
    const removed = names.filter((name) => !this.resources.has(name));
    this.rig.send(EDS, { changed, removed, version: String(this.version), nonce: `n${++this.nonce}` });
  }
}

type Action =
  | { readonly kind: 'set'; readonly name: string; readonly text: string }
  | { readonly kind: 'remove'; readonly name: string }
  | { readonly kind: 'names'; readonly who: number; readonly names: readonly string[] }
  | { readonly kind: 'lose' | 'settle' | 'serve' };

const letters = ['a', 'b', 'c', 'd'];
const action: fc.Arbitrary<Action> = fc.oneof(
  fc.record({
    kind: fc.constant('set' as const),
    name: fc.constantFrom(...letters),
    text: fc.stringMatching(/^[0-9]{1,3}$/),
  }),
  fc.record({ kind: fc.constant('remove' as const), name: fc.constantFrom(...letters) }),
  fc.record({ kind: fc.constant('names' as const), who: fc.nat(2), names: fc.subarray(letters) }),
  fc.record({ kind: fc.constantFrom('lose' as const, 'settle' as const, 'serve' as const) }),
);

describe.each(['sotw', 'delta'] as const)('an honest server (%s)', (variant) => {
  it('has every subscriber know in the end what it knows', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(action, { maxLength: 40 }),
        fc.infiniteStream(fc.boolean()),
        async (actions, slow) => {
          const rig = new Rig(variant);
          const server = new HonestServer(rig);
          const views = [0, 1, 2].map(() => new Map<string, string>());
          const wanted: string[][] = [['a', 'b'], ['b', 'c'], []];
          const waiting: (() => void)[] = [];
          const watch = (subscriber: Subscriber, view: Map<string, string>) => {
            subscriber.answer = ({ changed, removed }) => {
              for (const { name: one, message } of changed) view.set(one, textOf(message));
              for (const one of removed) view.delete(one);
              return slow.next().value ? new Promise((resolve) => waiting.push(resolve)) : undefined;
            };
          };
          const subscribers = wanted.map((names) => rig.subscribe(EDS, names));
          for (const [i, subscriber] of subscribers.entries()) watch(subscriber, views[i]);
          const settleAll = async (): Promise<void> => {
            for (let idle = 0; idle < 3; idle++) {
              await rig.context.clock.advanceAsync(200);
              if (waiting.length > 0) idle = 0;
              for (const resolve of waiting.splice(0)) resolve();
              await settled();
              server.serve();
            }
          };
          for (const one of actions) {
            switch (one.kind) {
              case 'set':
                server.set(one.name, one.text);
                break;
              case 'remove':
                // With the state of the world there is no word for it.
                if (variant === 'delta') server.set(one.name, undefined);
                break;
              case 'names':
                wanted[one.who] = [...one.names];
                // Who no longer wants a resource forgets it.
                for (const name of views[one.who].keys())
                  if (!one.names.includes(name)) views[one.who].delete(name);
                subscribers[one.who].subscription.setNames(one.names);
                break;
              case 'lose':
                rig.stream.end(14);
                server.streamOpened();
                rig.stream.open();
                break;
              case 'settle':
                await settleAll();
                break;
              default:
                server.serve();
            }
          }
          await settleAll();
          const expected = wanted.map((names) =>
            names
              .filter((name) => server.resources.has(name))
              .map((name) => [name, server.resources.get(name)]),
          );
          const seen = wanted.map((names, i) =>
            names.filter((name) => views[i].has(name)).map((name) => [name, views[i].get(name)]),
          );
          expect(seen).toEqual(expected);
        },
      ),
      { seed: 11, numRuns: 150 },
    );
  });
});
