import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createXdsServer, KINDS, LinearCache, MuxCache, type XdsServer } from '@dragoman/xds-server';
import { byTurns, type Experiment, type Session } from '../experiment.ts';
import { cpuSeconds, mainThreadSeconds } from '../proc.ts';
import { figure, markdownTable, median } from '../report.ts';
import { BOTH_CORES, type Child, freePort, type Workbench } from '../workbench.ts';
import { clusters, endpointsOf, endpointsOfOne, manyEndpoints, markOf } from '../xds/fleet.ts';
import type { Said, Told } from '../xds/proxy.ts';

const WORKERS = 2;
const ENDPOINTS = 10_000;
const CLUSTERS = 1_000;
/** Updates in one round. */
const UPDATES = 5;
const ROUNDS = 3;
const RATE = 1_000;
/** Of the bootstrap, and the one with many endpoints. */
const STANDING = 2;
const PATIENCE_MS = 60_000;

export const xdsUpdates: Experiment = {
  name: 'xds-updates',
  title: `Updates by ADS (delta) of a proxy on ${WORKERS} workers`,
  onlyWhenNamed: true,
  run,
};

interface Work {
  readonly name: string;
  /** Ms of each update. */
  measure(scene: Scene): Promise<readonly number[]>;
}

const WORKS: readonly Work[] = [
  {
    name: `EDS, ${ENDPOINTS.toLocaleString('en-US')} endpoints, 10 of them others`,
    measure: (scene) => scene.many(10),
  },
  {
    name: `EDS, ${ENDPOINTS.toLocaleString('en-US')} endpoints, all of them others`,
    measure: (scene) => scene.many(ENDPOINTS),
  },
  {
    name: `CDS, ${CLUSTERS.toLocaleString('en-US')} clusters with 10 endpoints each`,
    measure: (scene) => scene.clusters(false),
  },
  {
    name: `CDS, ${CLUSTERS.toLocaleString('en-US')} clusters with 10 endpoints each by EDS`,
    measure: (scene) => scene.clusters(true),
  },
];

async function run(session: Session): Promise<void> {
  const scene = await Scene.start(session.bench);
  try {
    const rounds = session.options.rounds ?? ROUNDS;
    if (session.options.warmup > 0) for (const { measure } of WORKS) await measure(scene);
    const samples = await byTurns(session, WORKS, rounds, ({ measure }) => measure(scene));
    const rows = [...samples].map(([name, list]) => {
      const all = list.flat();
      return [name, String(all.length), figure(median(all)), figure(Math.max(...all))];
    });
    session.say(`${markdownTable([['response', 'count', 'ms', 'at most ms'], ...rows])}\n`);
    const loads = await scene.steady(session.options.seconds);
    session.keep('steady', loads);
    const cells = loads.map(({ name, all, main }) => [name, figure(all), figure(main)]);
    session.say(`${markdownTable([['', '% of one core', 'main thread'], ...cells])}\n`);
  } finally {
    await scene.stop();
  }
}

interface SteadyLoad {
  readonly name: string;
  readonly all: number;
  readonly main: number;
}

/** A control plane, in this process, and a proxy in another. */
class Scene {
  private readonly server: XdsServer;
  private readonly proxy: Child;
  private readonly caches: { readonly clusters: LinearCache; readonly endpoints: LinearCache };
  /** When a response of a type was given to gRPC. */
  private readonly sentAt: Map<string, number>;
  private number = 0;
  private generation = 0;

  private constructor(
    server: XdsServer,
    proxy: Child,
    caches: { readonly clusters: LinearCache; readonly endpoints: LinearCache },
    sentAt: Map<string, number>,
  ) {
    this.server = server;
    this.proxy = proxy;
    this.caches = caches;
    this.sentAt = sentAt;
  }

  static async start(bench: Workbench): Promise<Scene> {
    const eds = { eds_config: { ads: {}, resource_api_version: 'V3' } };
    const many = { name: 'many', type: 'EDS', connect_timeout: '1s', eds_cluster_config: eds };
    const caches = {
      clusters: new LinearCache('clusters', { resources: [many] }),
      endpoints: new LinearCache('endpoints', { resources: [manyEndpoints('many', ENDPOINTS, 1, 0)] }),
    };
    const sentAt = new Map<string, number>();
    const server = createXdsServer({
      cache: new MuxCache({ caches }),
      callbacks: {
        onResponse: (_stream, { typeUrl }) => {
          if (!sentAt.has(typeUrl)) sentAt.set(typeUrl, now());
        },
        onNack: (_stream, { error }) => {
          process.stderr.write(`refused: ${error.message}\n`);
        },
      },
    });
    const file = bench.path('bootstrap.json');
    writeFileSync(file, JSON.stringify(bootstrap(await server.listen(), await freePort())));
    const script = join(import.meta.dirname, '..', 'xds/proxy.ts');
    const proxy = bench.start('xds', BOTH_CORES, process.execPath, [script, file, String(WORKERS)], true);
    const scene = new Scene(server, proxy, caches, sentAt);
    await scene.heard((said) => said.kind === 'arrived' && said.marker === markOf(0));
    return scene;
  }

  /** Other lists of the one cluster with many endpoints. */
  async many(changed: number): Promise<readonly number[]> {
    const times: number[] = [];
    for (let i = 0; i < UPDATES; i++) {
      const number = ++this.number;
      const list = manyEndpoints('many', ENDPOINTS, changed, number);
      this.sentAt.clear();
      const arrived = this.heard((said) => said.kind === 'arrived' && said.marker === markOf(number));
      this.caches.endpoints.set(list);
      times.push((await arrived) - this.sent('endpoints'));
      await delay(100);
    }
    return times;
  }

  /** Many clusters come, and go. */
  async clusters(eds: boolean): Promise<readonly number[]> {
    const generation = ++this.generation;
    const made = clusters(CLUSTERS, eds, generation);
    if (eds) this.caches.endpoints.update({ set: endpointsOf(CLUSTERS, generation) });
    this.sentAt.clear();
    const warm = this.warm(STANDING + CLUSTERS);
    this.caches.clusters.update({ set: made });
    const time = (await warm) - this.sent('clusters');
    await delay(100);
    await this.removed(generation);
    return [time];
  }

  /** CPU without updates, and with many a second. */
  async steady(seconds: number): Promise<readonly SteadyLoad[]> {
    const generation = ++this.generation;
    const warm = this.warm(STANDING + CLUSTERS);
    this.caches.endpoints.update({ set: endpointsOf(CLUSTERS, generation) });
    this.caches.clusters.update({ set: clusters(CLUSTERS, true, generation) });
    await warm;
    await delay(1000);
    const quiet = await this.cpu(() => delay(seconds * 1000));
    const lists = Array.from({ length: RATE * seconds }, (_, i) =>
      endpointsOfOne(i % CLUSTERS, generation, 1 + Math.floor(i / CLUSTERS)),
    );
    const busy = await this.cpu(async () => {
      const start = performance.now();
      for (let given = 0; given < lists.length; ) {
        const due = Math.min(lists.length, Math.floor(((performance.now() - start) * RATE) / 1000));
        while (given < due) this.caches.endpoints.set(lists[given++]);
        await delay(1);
      }
    });
    await this.removed(generation);
    const rate = RATE.toLocaleString('en-US');
    return [
      { name: `${CLUSTERS.toLocaleString('en-US')} clusters, quiet`, ...quiet },
      { name: `${rate} EDS updates/s, each of 10 endpoints`, ...busy },
    ];
  }

  async stop(): Promise<void> {
    await this.proxy.stop();
    await this.server.close({ graceMs: 0 });
  }

  private async removed(generation: number): Promise<void> {
    const warm = this.warm(STANDING);
    const names = Array.from({ length: CLUSTERS }, (_, i) => `cluster-${generation}-${i}`);
    this.caches.clusters.update({ delete: names });
    await warm;
    this.caches.endpoints.update({ delete: names });
    await delay(100);
  }

  private async cpu(work: () => Promise<unknown>): Promise<{ readonly all: number; readonly main: number }> {
    const { pid } = this.proxy;
    const [start, all, main] = [performance.now(), cpuSeconds(pid), mainThreadSeconds(pid)];
    await work();
    const percent = (seconds: number) => (seconds * 1e5) / (performance.now() - start);
    return { all: percent(cpuSeconds(pid) - all), main: percent(mainThreadSeconds(pid) - main) };
  }

  private sent(kind: 'clusters' | 'endpoints'): number {
    const at = this.sentAt.get(KINDS[kind].typeUrl);
    if (at === undefined) throw new Error(`no response with ${kind} was sent`);
    return at;
  }

  /** When so many clusters are there and warm. */
  private warm(count: number): Promise<number> {
    const heard = this.heard(({ kind }) => kind === 'warm');
    this.proxy.channel.send({ clusters: count } satisfies Told);
    return heard;
  }

  private heard(wanted: (said: Said) => boolean): Promise<number> {
    const { channel } = this.proxy;
    return new Promise((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer);
        channel.off('message', onMessage);
      };
      const timer = setTimeout(() => {
        end();
        reject(new Error(`not within ${PATIENCE_MS} ms: ${this.proxy.lastOutput()}`));
      }, PATIENCE_MS);
      const onMessage = (message: unknown): void => {
        if (!wanted(message as Said)) return;
        end();
        resolve((message as Said).at);
      };
      channel.on('message', onMessage);
    });
  }
}

/** Ms, by a clock that all processes have in common. */
const now = (): number => Number(process.hrtime.bigint()) / 1e6;

function bootstrap(xdsPort: number, adminPort: number): object {
  const at = (port_value: number) => ({ socket_address: { address: '127.0.0.1', port_value } });
  const http2 = {
    '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
    explicit_http_config: { http2_protocol_options: {} },
  };
  const xds = {
    name: 'xds',
    type: 'STATIC',
    connect_timeout: '1s',
    typed_extension_protocol_options: { 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': http2 },
    load_assignment: {
      cluster_name: 'xds',
      endpoints: [{ lb_endpoints: [{ endpoint: { address: at(xdsPort) } }] }],
    },
  };
  return {
    node: { id: 'bench', cluster: 'bench' },
    admin: { address: at(adminPort) },
    static_resources: { clusters: [xds] },
    dynamic_resources: {
      ads_config: {
        api_type: 'DELTA_GRPC',
        transport_api_version: 'V3',
        grpc_services: [{ envoy_grpc: { cluster_name: 'xds' } }],
      },
      cds_config: { ads: {}, resource_api_version: 'V3' },
    },
  };
}
