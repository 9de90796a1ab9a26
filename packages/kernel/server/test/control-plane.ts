import { eds } from '@dragoman/discovery-eds';
import { httpManager, type JsonObject, localAddress, startProxy, type TestProxy } from '@dragoman/testing';
import { createXdsServer, SnapshotCache, type SnapshotParts, snapshot } from '@dragoman/xds-server';
import { EXTENSIONS } from './extensions.ts';

export const ADS = { ads: {}, resource_api_version: 'V3' };
const NODE = { id: 'proxy-1', cluster: 'test' };

/** A control plane on an aggregated stream, and what it was told. */
export class ControlPlane implements AsyncDisposable {
  readonly nacks: string[] = [];
  port = 0;
  private readonly cache = new SnapshotCache({ check: 'none' });
  private readonly server = createXdsServer({
    cache: this.cache,
    callbacks: { onNack: (_stream, { error }) => this.nacks.push(error.message) },
  });
  private version = 0;

  static async start(): Promise<ControlPlane> {
    const plane = new ControlPlane();
    plane.port = await plane.server.listen({ port: 0 });
    return plane;
  }

  /** @returns the version */
  set(parts: Readonly<Record<string, unknown>>): string {
    const version = `${++this.version}`;
    this.cache.setSnapshot(NODE.id, snapshot(version, parts as SnapshotParts));
    return version;
  }

  startProxy(): Promise<TestProxy> {
    return startProxy(
      {
        admin: { address: localAddress() },
        node: NODE,
        static_resources: { clusters: [managementServer(this.port)] },
        dynamic_resources: {
          cds_config: ADS,
          lds_config: ADS,
          ads_config: {
            api_type: 'GRPC',
            transport_api_version: 'V3',
            grpc_services: [{ envoy_grpc: { cluster_name: 'xds' } }],
          },
        },
      },
      { extensions: [...EXTENSIONS, eds], threads: 'inline', flags: { drainTimeMs: 20 } },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.close({ graceMs: 0 });
  }
}

function managementServer(port: number): JsonObject {
  const protocol = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
  return {
    name: 'xds',
    type: 'STATIC',
    connect_timeout: '2s',
    typed_extension_protocol_options: {
      [protocol]: {
        '@type': `type.googleapis.com/${protocol}`,
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
    load_assignment: assignment('xds', port),
  };
}

export function assignment(cluster: string, ...ports: number[]): JsonObject {
  const lb_endpoints = ports.map((port) => ({
    endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } },
  }));
  return { cluster_name: cluster, endpoints: [{ lb_endpoints }] };
}

export const edsCluster = (name: string, more: JsonObject = {}): JsonObject => ({
  name,
  type: 'EDS',
  connect_timeout: '1s',
  eds_cluster_config: { eds_config: ADS },
  ...more,
});

export const routesTo = (name: string, cluster: string): JsonObject => ({
  name,
  virtual_hosts: [{ name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster } }] }],
});

/** A listener whose routes come from the control plane. */
export function rdsListener(name: string, routes: string): JsonObject {
  const { route_config: _, ...manager } = (httpManager({ routes: [] }) as { typed_config: JsonObject })
    .typed_config;
  return {
    name,
    address: localAddress(),
    filter_chains: [
      {
        filters: [
          {
            name: 'envoy.filters.network.http_connection_manager',
            typed_config: { ...manager, rds: { route_config_name: routes, config_source: ADS } },
          },
        ],
      },
    ],
  };
}
