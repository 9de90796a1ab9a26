import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type Any, AnySchema, create } from '@dragoman/api';
import { eds } from '@dragoman/discovery-eds';
import {
  clusterConfig,
  clusterRoute,
  eventually,
  httpManager,
  type JsonObject,
  loadAssignment,
  localAddress,
  SeededRandom,
  startProxy,
  type TestProxy,
} from '@dragoman/testing';
import { KINDS } from '@dragoman/xds-server';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { THREADS } from './dynamic.ts';
import { EXTENSIONS } from './extensions.ts';
import { anyOf, HostilePlane } from './support/hostile-plane.ts';
import { LoadProcess } from './support/load-process.ts';
import { sourceOf, VARIANTS, xdsBootstrap } from './support/xds-plane.ts';

const MIB = 1024 * 1024;
/** How long each of them goes on. */
const MS = 700;
/** An answer takes no longer, whatever comes. */
const MAX_LATENCY_MS = 1000;
/** What may be left of it on the heap, with what compiled code and stats take. */
const MAX_GROWTH = 48 * MIB;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const tick = (ms = 1) => new Promise((resolve) => setTimeout(resolve, ms));

const garbage = (kind: keyof typeof KINDS, value: Uint8Array): Any =>
  create(AnySchema, { typeUrl: KINDS[kind].typeUrl, value });

const listenerOf = (version: string, more: JsonObject = {}): JsonObject => ({
  name: 'in',
  address: localAddress(),
  filter_chains: [
    {
      filters: [
        httpManager({
          routes: [clusterRoute('/', 'web')],
          routeConfig: { response_headers_to_add: [{ header: { key: 'x-version', value: version } }] },
        }),
      ],
    },
  ],
  ...more,
});

/** Goes on until `until()` is false. */
type Attack = (plane: HostilePlane, until: () => boolean) => Promise<void>;

const CLUSTER = anyOf(
  'clusters',
  clusterConfig('web', { type: 'EDS', eds_cluster_config: { eds_config: sourceOf(VARIANTS[0]) } }),
);

/** Sends it every few milliseconds. */
async function repeat(until: () => boolean, send: () => void): Promise<void> {
  while (until()) {
    send();
    await tick(5);
  }
}

const COUNT = 100_000;

/** Many resources with short names, as bytes: `more` follows the name. */
function many(kind: 'clusters' | 'endpoints', more: Uint8Array, ...others: Any[]) {
  const resources = Array.from({ length: COUNT }, (_, i) =>
    garbage(kind, Buffer.concat([Buffer.from([10, 8]), Buffer.from(`n${i}`.padEnd(8)), more])),
  );
  let response: Buffer | undefined;
  return (plane: HostilePlane) =>
    (response ??= plane.response({ kind, resources: [...others, ...resources] }));
}

const MANY = {
  endpoints: many('endpoints', Buffer.alloc(0)),
  /** With a connect timeout of no length at all. */
  clusters: many('clusters', Buffer.from([34, 0]), CLUSTER),
};

const ATTACKS: Readonly<Record<string, Attack>> = {
  async 'bytes that are no response'(plane, until) {
    const random = new SeededRandom(1);
    await repeat(until, () => {
      plane.send(Buffer.from(Array.from({ length: 1 + (random.next() % 200) }, () => random.next() % 256)));
    });
  },
  async 'resources that are none'(plane, until) {
    const random = new SeededRandom(2);
    await repeat(until, () => {
      for (const kind of ['clusters', 'listeners', 'endpoints', 'routes'] as const) {
        const value = Uint8Array.from({ length: 100 }, () => random.next() % 256);
        plane.send({ kind, resources: [garbage(kind, value), garbage(kind, value.subarray(50))] });
      }
    });
  },
  async 'a response of 100 MB'(plane, until) {
    const large = plane.response({
      kind: 'clusters',
      resources: [garbage('clusters', new Uint8Array(100 * MIB).fill(7))],
    });
    const streams = plane.streams;
    plane.send(large);
    await eventually(() => plane.streams > streams, 15_000);
    while (until()) await tick();
  },
  async 'a thousand updates a second'(plane, until) {
    let sent = 0;
    for (const start = performance.now(); until(); await tick()) {
      for (; sent < performance.now() - start; sent++) {
        const connect_timeout = `${1 + (sent % 5)}s`;
        const other = anyOf('clusters', clusterConfig('other', { connect_timeout }));
        plane.send({ kind: 'clusters', resources: [CLUSTER, other] });
      }
    }
  },
  async 'a stream that ends after each response'(plane, until) {
    plane.onRequest = () => plane.endAll();
    plane.endAll();
    await repeat(until, () => {});
    expect(plane.streams).toBeGreaterThan(3);
  },
  async 'types that nobody knows'(plane, until) {
    const unknown = create(AnySchema, {
      typeUrl: 'type.googleapis.com/no.such.Type',
      value: new Uint8Array(100),
    });
    await repeat(until, () => {
      plane.send({ kind: 'clusters', resources: [unknown] });
      plane.send({ kind: 'extensionConfigs', resources: [unknown] });
    });
  },
  async 'extensions that nobody has'(plane, until) {
    const bad = anyOf('clusters', clusterConfig('bad', { cluster_type: { name: 'no.such.type' } }));
    const filters = [{ name: 'no.such.filter' }];
    const listener = anyOf('listeners', listenerOf('bad', { filter_chains: [{ filters }] }));
    await repeat(until, () => {
      plane.send({ kind: 'clusters', resources: [CLUSTER, bad] });
      plane.send({ kind: 'listeners', resources: [listener] });
    });
    expect(plane.nacks).toBeGreaterThan(2);
  },
  async 'the same again for each NACK'(plane, until) {
    const bad = anyOf('clusters', clusterConfig('bad', { cluster_type: { name: 'no.such.type' } }));
    const send = (): void => plane.send({ kind: 'clusters', resources: [CLUSTER, bad] });
    plane.onRequest = ({ errorDetail }) => {
      if (errorDetail !== undefined && until()) send();
    };
    send();
    while (until()) await tick();
    expect(plane.nacks).toBeGreaterThan(10);
  },
  async '100,000 names that nobody has asked for'(plane, until) {
    plane.send(MANY.endpoints(plane));
    while (until()) await tick();
  },
  async '100,000 names that are wrong'(plane, until) {
    plane.send(MANY.clusters(plane));
    await eventually(() => plane.nacks > 0, 15_000);
    while (until()) await tick();
  },
};

function heap(): number {
  collect();
  return process.memoryUsage().heapUsed;
}

let load: LoadProcess;
let plane: HostilePlane;
let proxy: TestProxy;
let version = 0;

/** What the control plane says when it is in its right mind. */
const listener = (): Any => anyOf('listeners', listenerOf(`${version}`));

beforeAll(async () => {
  load = await LoadProcess.start();
  plane = await HostilePlane.start(() => ({
    clusters: [CLUSTER],
    endpoints: [anyOf('endpoints', loadAssignment('web', [load.upstreamPort]))],
    listeners: [listener()],
  }));
  proxy = await startProxy(xdsBootstrap(plane.port, VARIANTS[0]), {
    extensions: [...EXTENSIONS, eds],
    threads: THREADS[1][1],
    flags: { concurrency: 2, drainTimeMs: 20 },
  });
  for (const make of Object.values(MANY)) make(plane);
});
afterAll(async () => {
  await proxy.close();
  await plane[Symbol.asyncDispose]();
  await load.stop();
});

test.each(Object.entries(ATTACKS))(
  '%s',
  async (_, attack) => {
    proxy.log.lines.length = 0;
    plane.nacks = 0;
    const before = heap();
    const end = performance.now() + MS;
    let attacking = true;
    const attacked = attack(plane, () => performance.now() < end).finally(() => {
      attacking = false;
    });
    const { port } = proxy;
    while (attacking) {
      const { failures, max } = await load.request({ port, rate: 100, ms: 500, clusters: ['web'] });
      expect(failures).toEqual([]);
      expect(max).toBeLessThan(MAX_LATENCY_MS);
    }
    await attacked;
    expect(plane.longest).toBeLessThan(5000);
    // It comes to its senses, and is heard.
    plane.onRequest = () => {};
    version++;
    await eventually(async () => {
      plane.send({ kind: 'clusters', resources: [CLUSTER] });
      plane.send({ kind: 'listeners', resources: [listener()] });
      await tick(50);
      expect((await proxy.get('/')).header('x-version')).toBe(`${version}`);
    }, 15_000);
    proxy.log.lines.length = 0;
    expect((heap() - before) / MIB).toBeLessThan(MAX_GROWTH / MIB);
  },
  60_000,
);
