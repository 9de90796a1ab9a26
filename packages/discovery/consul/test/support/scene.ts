import { ClusterSchema, readLoose } from '@dragoman/api';
import type { Discovery } from '@dragoman/core';
import { DiscoveryScene, eventually, ManualApi } from '@dragoman/testing';
import { consul } from '../../src/index.ts';

/** A cluster message with this config of the source. */
export function clusterOf(config: object): never {
  return readLoose(ClusterSchema, {
    name: 'web',
    cluster_type: {
      name: 'dragoman.clusters.consul',
      typed_config: {
        '@type': 'type.googleapis.com/dragoman.clusters.consul.v1.ConsulCluster',
        ...config,
      },
    },
  }) as never;
}

export interface InstanceParts {
  readonly id?: string;
  readonly port?: number;
  readonly checks?: Readonly<Record<string, string>>;
  readonly weights?: object;
  readonly meta?: object;
  readonly service?: object;
  readonly node?: object;
}

/** An element of an answer of `/v1/health/service/web`, with the members that this source has no use for. */
export function instance(address: string, parts: InstanceParts = {}): object {
  const { id = `web-${address}`, port = 8080, checks = { serfHealth: 'passing' }, meta = {} } = parts;
  return {
    Node: {
      ID: '40e4a748-2192-161a-0510-9bf59fe950b5',
      Node: 'node-1',
      Address: '10.9.9.9',
      Datacenter: 'dc1',
      TaggedAddresses: { lan: '10.9.9.9', wan: '198.51.100.9' },
      Meta: { 'consul-network-segment': '', ...meta },
      CreateIndex: 11,
      ModifyIndex: 12,
      ...parts.node,
    },
    Service: {
      ID: id,
      Service: 'web',
      Tags: ['v1'],
      Address: address,
      TaggedAddresses: { wan: { Address: '198.51.100.1', Port: 80 } },
      Meta: null,
      Port: port,
      Weights: { Passing: 1, Warning: 1, ...parts.weights },
      EnableTagOverride: false,
      Proxy: { Mode: '', MeshGateway: {}, Expose: {} },
      Connect: {},
      ...parts.service,
    },
    Checks: Object.entries(checks).map(([CheckID, Status]) => ({
      Node: 'node-1',
      CheckID,
      Name: CheckID,
      Status,
      Notes: '',
      Output: '',
      ServiceID: '',
      Definition: {},
    })),
  };
}

export const index = (value: number | string, more: Readonly<Record<string, string>> = {}) => ({
  'x-consul-index': `${value}`,
  'x-consul-knownleader': 'true',
  'x-consul-lastcontact': '0',
  ...more,
});

/** A source on fake time against a Consul that the test plays. */
export class ConsulScene implements AsyncDisposable {
  readonly api: ManualApi;
  readonly scene = new DiscoveryScene();
  private readonly discovery: Discovery;

  private constructor(api: ManualApi, config: object, server: object) {
    this.api = api;
    this.discovery = consul.create(
      clusterOf({ service: 'web', api_server: { url: api.url, ...server }, ...config }),
      this.scene.context,
    );
    this.scene.start(this.discovery);
  }

  static async start(config: object = {}, server: object = {}): Promise<ConsulScene> {
    return new ConsulScene(await ManualApi.start(), config, server);
  }

  /** Waits until the hosts are these. */
  async hosts(...addresses: readonly string[]): Promise<void> {
    await eventually(() => {
      const now = this.scene.addresses.join(' ');
      if (this.scene.updates.length === 0 || now !== addresses.join(' '))
        throw new Error(`the hosts are "${now}", not "${addresses.join(' ')}"`);
    });
  }

  async untilCount(name: string, value: number): Promise<void> {
    await eventually(() => {
      const count = this.scene.stats.value(`cluster.web.${name}`);
      if (count !== value) throw new Error(`${name} is ${count}, not ${value}`);
    });
  }

  /** Lets a wait come to its end, once there is one: shorter than the time limit of a request. @returns its length in ms */
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
