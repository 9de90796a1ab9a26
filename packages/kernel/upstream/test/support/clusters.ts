import { type Cluster, ClusterSchema, readLoose } from '@dragoman/api';
import {
  type Cluster as UpstreamCluster,
  defineLoadBalancer,
  defineTransportSocket,
  emptyRuntime,
  type EndpointData,
  type ExtensionRegistry,
  ExtensionRegistry as Registry,
  type FactoryContext,
  type Host,
  type HostListUpdate,
  type LoadShedPoint,
  type LocalityEndpoints,
  type Logger,
  noDynamicResources,
  type Runtime,
  silentLogger,
  type StatsScope,
} from '@dragoman/core';
import type { Http2Sessions } from '@dragoman/http2';
import { RoundRobinSchema, UpstreamTlsContextSchema } from '@dragoman/api';
import { readLocalityRouting } from '@dragoman/load-balancing';
import { FakeClock, SeededRandom } from '@dragoman/testing';
import { createClusterManager, type CreateBudget, type WorkerClusterManager } from '../../src/index.ts';
import { FakeCodec, FakeConnector, FakeHttp2Codec } from './fake-upstream.ts';
import { MemoryStats } from './memory-stats.ts';

/** The hosts in their order, always from the first: predictable, unlike the real one. */
export const inOrder = defineLoadBalancer({
  name: 'envoy.load_balancing_policies.round_robin',
  config: RoundRobinSchema,
  lbPolicy: 'ROUND_ROBIN',
  create: ({ localityLbConfig }) => ({
    locality: readLocalityRouting(localityLbConfig),
    createPicker: (hosts: readonly Host[]) => {
      let next = 0;
      return { pick: () => hosts[next++ % hosts.length] };
    },
  }),
});

/** The same, picking by the request's hash (which it does not look at). */
export const byHash = defineLoadBalancer({
  ...inOrder,
  config: RoundRobinSchema,
  create: (config) => ({ ...inOrder.create(config as never, undefined as never), usesHash: true }),
});

export function clusterMessage(config: object): Cluster {
  return readLoose(ClusterSchema, { name: 'web', type: 'STATIC', ...config });
}

export function endpoint(address: string, over: Partial<EndpointData> = {}): EndpointData {
  return { address, hostname: '', weight: 1, ...over };
}

export function hostList(...endpoints: (string | EndpointData)[]): HostListUpdate {
  return { localities: [localityOf(0, ...endpoints)] };
}

export function localityOf(priority: number, ...endpoints: (string | EndpointData)[]): LocalityEndpoints {
  return {
    locality: { region: '', zone: '', subZone: '' },
    weight: 0,
    priority,
    endpoints: endpoints.map((one) => (typeof one === 'string' ? endpoint(one) : one)),
  };
}

export interface World {
  readonly clock: FakeClock;
  readonly stats: MemoryStats;
  readonly connector: FakeConnector;
  readonly manager: WorkerClusterManager;
  readonly cluster: UpstreamCluster;
  readonly warnings: string[];
  /** Counters and gauges of the cluster that are not 0. */
  counts(): Record<string, number>;
}

export interface WorldOptions {
  readonly registry?: ExtensionRegistry;
  readonly runtime?: Runtime;
  readonly createBudget?: CreateBudget;
  /** Default: writes nothing. */
  readonly logger?: Logger;
  readonly hosts?: HostListUpdate;
  /** Of this proxy. */
  readonly zone?: string;
  readonly newConnection?: LoadShedPoint;
}

export function testContext(
  clock: FakeClock,
  stats: StatsScope,
  runtime: Runtime = emptyRuntime,
  zone = '',
  logger = silentLogger,
) {
  const warnings: string[] = [];
  const context: FactoryContext = {
    clock,
    random: new SeededRandom(7),
    loggers: { logger: () => logger },
    runtime,
    localInfo: { cluster: '', node: '', zone, address: '127.0.0.1' },
    stats,
    formatters: {} as FactoryContext['formatters'],
    extensions: new Registry([]),
    dynamicResources: noDynamicResources,
    processKey: new Uint8Array(48),
    secrets: { find: () => undefined, names: [] },
    certificates: { register: () => () => {} },
    warn: (path, message) => warnings.push(`${path}: ${message}`),
  };
  return { context, warnings };
}

/** One cluster named `web`, on fake time and fake connections. */
export function world(config: object = {}, options: WorldOptions = {}): World {
  const clock = new FakeClock();
  const stats = new MemoryStats();
  const connector = new FakeConnector();
  const { context, warnings } = testContext(clock, stats, options.runtime, options.zone, options.logger);
  const manager = createClusterManager({
    clusters: [clusterMessage(config)],
    registry: options.registry ?? new Registry([inOrder]),
    context,
    connector,
    createCodec: (connection, handler) => new FakeCodec(connection, handler),
    http2: {
      createCodec: (connection, handler) => new FakeHttp2Codec(connection, handler),
      createSessions: () => ({}) as Http2Sessions,
    },
    createBudget: options.createBudget,
    newConnection: options.newConnection,
  });
  manager.updateHosts('web', options.hosts ?? hostList('10.0.0.1:80'));
  return {
    clock,
    stats,
    connector,
    manager,
    cluster: manager.get('web') as UpstreamCluster,
    warnings,
    counts: () => stats.nonZero('cluster.web.'),
  };
}

/** `typed_extension_protocol_options` with HttpProtocolOptions. */
export function httpOptions(options: object): object {
  return {
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
        ...options,
      },
    },
  };
}

/** A transport socket that only says that it is one of TLS. */
export const fakeTls = defineTransportSocket({
  name: 'envoy.transport_sockets.tls',
  config: UpstreamTlsContextSchema,
  createUpstream: ({ sni }) => ({ name: 'tls', secure: true, serverName: sni }),
});

export const TLS = {
  name: 'envoy.transport_sockets.tls',
  typed_config: {
    '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
  },
};
