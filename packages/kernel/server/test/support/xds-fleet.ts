import { setTimeout as delay } from 'node:timers/promises';
import { eds } from '@dragoman/discovery-eds';
import {
  clusterConfig,
  eventually,
  httpManager,
  type JsonObject,
  startProxy,
  type TestProxy,
} from '@dragoman/testing';
import { createXdsServer, LinearCache, MuxCache, type XdsServer } from '@dragoman/xds-server';
import { expect } from 'vitest';
import { freePort, THREADS } from '../dynamic.ts';
import { EXTENSIONS } from '../extensions.ts';
import { LoadProcess } from './load-process.ts';
import type { LoadResult } from './paced-load.ts';
import { sourceOf, VARIANTS, xdsBootstrap } from './xds-plane.ts';

const DELTA_ADS = VARIANTS[2];
const CLUSTERS = 1000;
const ENDPOINTS = 10;
/** Those that requests are for. */
const BUSY = 50;
/** Clusters that come and go besides. */
const PASSING = 5;
const PATIENCE_MS = 60_000;

type Json = Parameters<LinearCache['set']>[0];

/** What goes on while requests are sent. */
export interface Changes {
  /** Assignments that change. */
  readonly endpoints: number;
  /** How often the listener is replaced. */
  readonly listeners: number;
  /** How often clusters come and others go. */
  readonly clusters: number;
}

/** A proxy on two workers with a thousand clusters by ADS, their endpoints, and clients. */
export class Fleet implements AsyncDisposable {
  readonly proxy: TestProxy;
  private readonly load: LoadProcess;
  private readonly server: XdsServer;
  private readonly caches: Caches;
  private readonly nacks: string[];
  private readonly port: number;
  private readonly rounds = Array.from({ length: CLUSTERS }, () => 0);
  private passing = 0;
  private listener = 0;

  private constructor(
    parts: Pick<Fleet, 'proxy'> & {
      load: LoadProcess;
      server: XdsServer;
      caches: Caches;
      nacks: string[];
      port: number;
    },
  ) {
    this.proxy = parts.proxy;
    this.load = parts.load;
    this.server = parts.server;
    this.caches = parts.caches;
    this.nacks = parts.nacks;
    this.port = parts.port;
  }

  static async start(): Promise<Fleet> {
    const load = await LoadProcess.start();
    const { upstreamPort } = load;
    const port = await freePort();
    const nacks: string[] = [];
    const caches = new Caches();
    caches.clusters.update({ set: names.map((name) => cluster(name)) });
    caches.endpoints.update({ set: names.map((name, i) => assignment(name, i, 0, upstreamPort)) });
    caches.listeners.set(listenerOf(port, 0));
    const server = createXdsServer({
      cache: new MuxCache({ caches: { ...caches } }),
      callbacks: { onNack: (_stream, { error }) => nacks.push(error.message) },
    });
    const xdsPort = await server.listen();
    const proxy = await startProxy(xdsBootstrap(xdsPort, DELTA_ADS), {
      extensions: [...EXTENSIONS, eds],
      threads: THREADS[1][1],
      flags: { concurrency: 2, drainTimeMs: 1000 },
    });
    return new Fleet({ proxy, load, server, caches, nacks, port });
  }

  /** @param rate requests a second; 0: as many as there can be */
  request(rate: number, ms: number): Promise<LoadResult> {
    return this.load.request({ port: this.port, rate, ms, clusters: names.slice(0, BUSY) });
  }

  /** Spreads changes over a time. Resolves when all of them have been taken over. */
  async change({ endpoints, listeners, clusters }: Changes, ms: number): Promise<void> {
    const start = performance.now();
    const done = { endpoints: 0, listeners: 0, clusters: 0 };
    for (let share = 0; share < 1; ) {
      await delay(1);
      share = Math.min(1, (performance.now() - start) / ms);
      while (done.endpoints < Math.floor(share * endpoints)) this.changeEndpoints(done.endpoints++);
      for (; done.listeners < Math.floor(share * listeners); done.listeners++)
        this.caches.listeners.set(listenerOf(this.port, ++this.listener));
      for (; done.clusters < Math.floor(share * clusters); done.clusters++) this.passClusters();
    }
    await this.settled();
  }

  /** What the control plane says is what the proxy does. */
  private async settled(): Promise<void> {
    await eventually(async () => {
      const text = (await this.proxy.admin('/clusters')).body.toString();
      const seen = new Map<string, string[]>();
      for (const [, name, address] of text.matchAll(/^(c-\d+)::([\d.]+):\d+::cx_active/gm))
        seen.set(name, [...(seen.get(name) ?? []), address]);
      const wrong = names.filter((name, i) => {
        const wanted = addresses(i, this.rounds[i]);
        return seen.get(name)?.sort().join() !== wanted.sort().join();
      });
      expect(wrong).toEqual([]);
      expect(this.proxy.stat('cluster_manager.active_clusters')).toBe(1 + CLUSTERS + this.passingNow.length);
    }, PATIENCE_MS);
    expect(this.nacks).toEqual([]);
  }

  private changeEndpoints(number: number): void {
    // The busy ones have a tenth of all changes.
    const i = number % 10 === 0 ? (number / 10) % BUSY : BUSY + (number % (CLUSTERS - BUSY));
    this.rounds[i]++;
    this.caches.endpoints.set(assignment(`c-${i}`, i, this.rounds[i], this.load.upstreamPort));
  }

  private passClusters(): void {
    const gone = this.passingNow;
    this.passing++;
    const come = this.passingNow;
    // The endpoints of a cluster are there before it.
    this.caches.endpoints.update({ set: come.map((name) => assignment(name, 0, 0, this.load.upstreamPort)) });
    this.caches.clusters.update({ set: come.map(cluster), delete: gone });
    this.caches.endpoints.update({ delete: gone });
  }

  private get passingNow(): string[] {
    if (this.passing === 0) return [];
    return Array.from({ length: PASSING }, (_, i) => `passing-${(this.passing % 2) * PASSING + i}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy.close();
    await this.server.close({ graceMs: 0 });
    await this.load.stop();
  }
}

class Caches {
  readonly clusters = new LinearCache('clusters');
  readonly endpoints = new LinearCache('endpoints');
  readonly listeners = new LinearCache('listeners');
}

const names = Array.from({ length: CLUSTERS }, (_, i) => `c-${i}`);

const cluster = (name: string): Json =>
  clusterConfig(name, {
    type: 'EDS',
    connect_timeout: '5s',
    eds_cluster_config: { eds_config: sourceOf(DELTA_ADS) },
  }) as Json;

/** Each change replaces two. */
function addresses(i: number, round: number): string[] {
  return Array.from({ length: ENDPOINTS }, (_, n) => {
    const generation = Math.floor((round + ENDPOINTS / 2 - 1 - (n >> 1)) / (ENDPOINTS / 2));
    return `127.${1 + (generation % 200)}.${i >> 4}.${(i & 15) * ENDPOINTS + n + 1}`;
  });
}

function assignment(name: string, i: number, round: number, port: number): Json {
  const lb_endpoints = addresses(i, round).map((address) => ({
    endpoint: { address: { socket_address: { address, port_value: port } } },
  }));
  return { cluster_name: name, endpoints: [{ lb_endpoints }] };
}

function listenerOf(port: number, number: number): Json {
  const header: JsonObject = { header: { key: 'x-listener', value: `${number}` } };
  const manager = httpManager({
    routes: [{ match: { prefix: '/' }, route: { cluster_header: 'x-cluster', timeout: '30s' } }],
    routeConfig: { response_headers_to_add: [header] },
  });
  return {
    name: 'in',
    address: { socket_address: { address: '127.0.0.1', port_value: port } },
    filter_chains: [{ filters: [manager] }],
  } as Json;
}
