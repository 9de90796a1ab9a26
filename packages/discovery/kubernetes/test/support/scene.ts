import { ClusterSchema, readLoose } from '@dragoman/api';
import type { Discovery } from '@dragoman/core';
import { DiscoveryScene, eventually, type HeldRequest, ManualApi } from '@dragoman/testing';
import { kubernetes } from '../../src/index.ts';
import { list } from './slices.ts';

/** A cluster message with this config of the source. */
export function clusterOf(config: object): never {
  return readLoose(ClusterSchema, {
    name: 'web',
    cluster_type: {
      name: 'dragoman.clusters.kubernetes',
      typed_config: {
        '@type': 'type.googleapis.com/dragoman.clusters.kubernetes.v1.KubernetesCluster',
        ...config,
      },
    },
  }) as never;
}

/** A source on fake time against an API server that the test plays. */
export class KubernetesScene implements AsyncDisposable {
  readonly api: ManualApi;
  readonly scene = new DiscoveryScene();
  private readonly discovery: Discovery;

  private constructor(api: ManualApi, config: object, server: object) {
    this.api = api;
    this.discovery = kubernetes.create(
      clusterOf({ namespace: 'shop', service: 'web', api_server: { url: api.url, ...server }, ...config }),
      this.scene.context,
    );
    this.scene.start(this.discovery);
  }

  static async start(config: object = {}, server: object = {}): Promise<KubernetesScene> {
    return new KubernetesScene(await ManualApi.start(), config, server);
  }

  /** Answers the list that is to come; the watch behind it has begun. */
  async watching(slices: readonly object[], version = '1000'): Promise<HeldRequest> {
    (await this.api.next()).answer(list(slices, { version }));
    const watch = await this.api.next();
    watch.begin();
    return watch;
  }

  /** Waits until the hosts are these. */
  async hosts(...addresses: readonly string[]): Promise<void> {
    await eventually(() => {
      const now = this.scene.addresses.join(' ');
      if (this.scene.updates.length === 0 || now !== addresses.join(' '))
        throw new Error(`the hosts are "${now}", not "${addresses.join(' ')}"`);
    });
  }

  count(name: string): number {
    return this.scene.stats.value(`cluster.web.${name}`);
  }

  async untilCount(name: string, value: number): Promise<void> {
    await eventually(() => {
      if (this.count(name) !== value) throw new Error(`${name} is ${this.count(name)}, not ${value}`);
    });
  }

  /**
   * Lets a wait come to its end, once there is one.
   * @param belowMs what tells it from the time limit of a request: it is shorter
   * @returns how long it was, in ms
   */
  async passWait(belowMs = 29_000): Promise<number> {
    const { clock } = this.scene;
    await eventually(() => (clock.nextTimerInMs ?? Number.POSITIVE_INFINITY) < belowMs);
    const wait = clock.nextTimerInMs as number;
    clock.advance(wait);
    return wait;
  }

  stop(): void {
    this.discovery.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
    await this.api.stop();
  }
}
