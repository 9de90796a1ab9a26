import type { ThreadsOption } from '@dragoman/server';
import { eventually as eventuallyWithin, startProxy, type TestProxy } from '@dragoman/testing';
import { eds } from '@dragoman/discovery-eds';
import { tls } from '@dragoman/transport-socket-tls';
import { KINDS, resource, XdsResource } from '@dragoman/xds-server';
import { isMessage, type JsonObject as ApiJson, type Message, readLoose } from '@dragoman/api';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EXTENSIONS } from '../extensions.ts';
import { answering } from './answering-filter.ts';
import { BOTH, CASES, type ResourceCase, Versions, type Which, type World } from './xds-cases.ts';
import { CUTS, type Cut, type Input, type Parts, Plane, type Variant, xdsBootstrap } from './xds-plane.ts';

/** More versions than any test needs. */
const MOST_VERSIONS = 40;
/** Of resources with a time to live, ms: short, and long enough for heartbeats to come in time on a busy machine. */
const TTL_MS = 1200;
/** Of one step, and of a test: the machine may have much else to do. */
const PATIENCE_MS = 15_000;
const TEST_TIMEOUT_MS = 60_000;

const eventually = <T>(attempt: () => T | Promise<T>): Promise<T> => eventuallyWithin(attempt, PATIENCE_MS);

type Versioned = Readonly<Record<Which, number | undefined>>;

/** A proxy, its control plane, and what it has by now. */
class Scene implements AsyncDisposable {
  readonly plane: Plane;
  readonly proxy: TestProxy;
  private readonly one: ResourceCase;
  private readonly world: World;
  private readonly times: number;
  /** In the snapshot. */
  private given: Versioned = { one: 1, two: 1 };
  /** In use. */
  private used: Readonly<Record<Which, string>> = { one: 'v1', two: 'v1' };
  private next = 1;

  private constructor(plane: Plane, proxy: TestProxy, one: ResourceCase, world: World, times: number) {
    this.plane = plane;
    this.proxy = proxy;
    this.one = one;
    this.world = world;
    this.times = times;
  }

  /** The proxy is there before the resources are that its config names: it waits for them. */
  static async start(one: ResourceCase, world: World, threads: ThreadsOption): Promise<Scene> {
    const plane = await Plane.start();
    const { kind, awaited } = one;
    plane.set({ ...one.around(world), ...(awaited ? {} : { [kind]: [] }) });
    const starting = startProxy(xdsBootstrap(plane.port, world.variant, one.bootstrap?.(world)), {
      extensions: [...EXTENSIONS, eds, tls, answering],
      threads,
      flags: { concurrency: 2, drainTimeMs: 20 },
    });
    let started = false;
    const begun = starting.then(() => {
      started = true;
    });
    if (awaited) {
      await Promise.race([begun, eventually(() => plane.asked(kind) > 0)]);
      expect(started).toBe(false);
    } else {
      await begun;
    }
    plane.set({ ...one.around(world), [kind]: BOTH.map((which) => one.make(world, which, 1)) });
    const scene = new Scene(plane, await starting, one, world, threads === 'inline' ? 1 : 6);
    await scene.check('added');
    return scene;
  }

  /** A version that no resource has had. */
  version(): number {
    return ++this.next;
  }

  private parts(resources: readonly Input[]): Parts {
    return { ...this.one.around(this.world), [this.one.kind]: resources };
  }

  private resources(): Input[] {
    return BOTH.flatMap((which) => {
      const version = this.given[which];
      return version === undefined ? [] : [this.one.make(this.world, which, version)];
    });
  }

  private async send(resources: readonly Input[], cut: Cut | undefined): Promise<void> {
    const { plane, one } = this;
    if (cut === undefined) plane.set(this.parts(resources));
    else await plane.setCutting(this.parts(resources), one.kind, cut);
  }

  /** A new version of one of them. */
  async update(which: Which, cut?: Cut): Promise<void> {
    const version = this.version();
    this.given = { ...this.given, [which]: version };
    this.used = { ...this.used, [which]: `v${version}` };
    await this.send(this.resources(), cut);
    await this.check(`updated ${which}`);
  }

  /** The first is wrong, the second has a new version. Then the first is mended. */
  async refuse(cut?: Cut): Promise<void> {
    const { plane, one, world, proxy } = this;
    const { nacks } = plane;
    const rejected = proxy.stat(one.rejections);
    nacks.length = 0;
    const two = this.version();
    this.given = { one: undefined, two };
    this.used = { ...this.used, two: `v${two}` };
    await this.send([one.bad(world, 'one'), ...this.resources()], cut);
    await this.check('refused');
    // A response whose acknowledgement is lost is not sent again where the server knows that it came.
    if (cut === undefined || cut === 'away' || cut === 'unsent') {
      await eventually(() => nacks.length > 0);
      expect(nacks[0].typeUrl).toBe(KINDS[one.kind].typeUrl);
      expect(nacks[0].message).toMatch(/\bone: /);
      expect(nacks.map(({ message }) => message).join()).not.toMatch(/\btwo: /);
    }
    await eventually(() => proxy.stat(one.rejections) > rejected);
    await this.check('refused');
    this.given = { ...this.given, one: this.next };
    await this.update('one');
  }

  /** The first is gone, and comes back. */
  async remove(cut?: Cut): Promise<void> {
    const { one, world, plane } = this;
    const { one: version } = this.given;
    const said = one.whole || world.variant.delta;
    this.given = { ...this.given, one: undefined };
    if (said && one.removed === 'none') this.used = { ...this.used, one: 'none' };
    const asked = plane.asked(one.kind);
    await this.send(this.resources(), cut);
    if (cut === undefined) await plane.acked(one.kind);
    else await eventually(() => plane.asked(one.kind) > asked);
    await this.check('removed');
    this.given = { ...this.given, one: version };
    await this.update('one');
  }

  /** The same in another order, but for a new version of the second. */
  async reorder(): Promise<void> {
    const two = this.version();
    this.given = { ...this.given, two };
    this.used = { ...this.used, two: `v${two}` };
    await this.send(this.resources().reverse(), undefined);
    await this.plane.acked(this.one.kind);
    await this.check('reordered');
  }

  /** The first has a time to live: it is renewed, until there is no server. Then there is one. */
  async expire(): Promise<void> {
    const { one, world, plane, proxy } = this;
    const version = this.version();
    this.given = { ...this.given, one: version };
    this.used = { ...this.used, one: `v${version}` };
    const mortal = withTtl(one, one.make(world, 'one', version));
    await this.send([mortal, ...this.resources().slice(1)], undefined);
    await this.check('mortal');
    const beats = plane.answered(one.kind);
    await eventually(() => plane.answered(one.kind) > beats);
    // A server that comes back goes on.
    await plane.restart();
    const before = plane.answered(one.kind);
    await eventually(() => plane.answered(one.kind) > before + 1);
    expect(proxy.log.find('the time to live of')).toEqual([]);
    await plane.stop();
    await eventually(() => proxy.log.find('the time to live of').length > 0);
    if (one.removed === 'none') this.used = { ...this.used, one: 'none' };
    await this.check('expired');
    this.used = { ...this.used, one: `v${version}` };
    await plane.resume();
    await this.check('back');
    await this.update('one');
  }

  private async check(what: string): Promise<void> {
    const { proxy, one, used, times } = this;
    await eventually(async () => {
      const seen: Record<Which, string> = { one: '', two: '' };
      for (const which of BOTH) seen[which] = await one.observe({ proxy, times }, which);
      expect(seen, what).toEqual(used);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy.close();
    await this.plane[Symbol.asyncDispose]();
  }
}

function withTtl({ kind }: ResourceCase, input: Input): Input {
  if (input instanceof XdsResource) {
    const { name, aliases, message } = input;
    return resource(message as Message, { name, aliases, ttlMs: TTL_MS });
  }
  const { schema } = KINDS[kind];
  const message = isMessage(input) ? input : readLoose(schema, input as ApiJson);
  return resource(message as Message, { ttlMs: TTL_MS });
}

export interface MatrixOptions {
  /** Default: all. */
  readonly cases?: readonly ResourceCase[];
  /** Default: all. */
  readonly cuts?: readonly Cut[];
}

/** Tests of every type, as far as the variants have it. */
export function matrix(
  variants: readonly Variant[],
  threads: ThreadsOption,
  { cases = CASES, cuts = CUTS }: MatrixOptions = {},
): void {
  let upstreams: Versions;
  beforeAll(async () => {
    upstreams = await Versions.start(MOST_VERSIONS);
  });
  afterAll(() => upstreams[Symbol.asyncDispose]());

  const table = variants.flatMap((variant) =>
    cases
      .filter(({ onlyDelta }) => onlyDelta === undefined || variant.delta)
      .map((one) => ({ name: `${one.name}, ${variant.name}`, one, variant })),
  );
  // On one thread they wait most of their time.
  const each = threads === 'inline' ? test.concurrent.each(table) : test.each(table);
  each(
    '$name',
    async ({ one, variant }) => {
      await using scene = await Scene.start(one, { variant, upstreamPort: upstreams.port }, threads);
      await scene.update('one');
      await scene.refuse();
      await scene.remove();
      await scene.reorder();
      for (const cut of cuts) {
        await scene.update('two', cut);
        await scene.refuse(cut);
        await scene.remove(cut);
      }
      await scene.expire();
    },
    TEST_TIMEOUT_MS,
  );
}
