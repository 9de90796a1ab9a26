import type { Cluster, ClusterInfo, ClusterManager, Host, HttpPool, ResourceBudget } from '@dragoman/core';
import { type MemoryStats, testHosts } from '@dragoman/testing';
import { Http2TestPool } from './http2-pool.ts';

/** Clusters of one server each, by port, over real connections: no more than a stream of gRPC needs. */
export class Http2Clusters implements ClusterManager {
  private readonly clusters = new Map<string, Http2Cluster>();

  add(name: string, port: number, stats: MemoryStats): void {
    this.clusters.set(name, new Http2Cluster(name, port, stats));
  }

  get(name: string): Cluster | undefined {
    return this.clusters.get(name) as unknown as Cluster | undefined;
  }

  get clusterNames(): Iterable<string> {
    return this.clusters.keys();
  }

  close(): void {
    for (const cluster of this.clusters.values()) cluster.pool.destroy();
  }
}

const UNLIMITED: ResourceBudget = { max: 1000, canTake: () => true, take() {}, give() {} } as never;

class Http2Cluster {
  readonly info: ClusterInfo;
  readonly hostSets = [];
  readonly pool: Http2TestPool;
  private readonly hosts = testHosts(1);

  constructor(name: string, port: number, stats: MemoryStats) {
    this.pool = new Http2TestPool(port);
    const scope = stats.scope(`cluster.${name}`);
    this.info = {
      name,
      statName: name,
      observabilityName: name,
      connectTimeoutMs: 5000,
      perConnectionBufferLimitBytes: 1024 * 1024,
      maxResponseHeadersBytes: 60 * 1024,
      metadata: new Map(),
      maxStreamDurationMs: 0,
      secure: false,
      maintenanceMode: false,
      statsScope: scope,
      stats: new Proxy({}, { get: (_, property) => scope.counter(String(property)) }),
      resources: () => ({ retries: UNLIMITED, requests: UNLIMITED }),
      chargeResponse() {},
      chargeResponseTime() {},
      chargeRetriedResponse() {},
    } as unknown as ClusterInfo;
  }

  chooseHost(): Host {
    return this.hosts[0];
  }

  httpPool(): HttpPool {
    return this.pool;
  }
}
