import type {
  Cluster,
  ClusterInfo,
  ClusterManager,
  ClusterTrafficStats,
  Counter,
  Host,
  HostDescription,
  HttpPool,
  LoadBalancerContext,
  PoolWishes,
  ResourceBudget,
  ResourceManager,
} from '@dragoman/core';
import { type MemoryStats, testHosts } from '@dragoman/testing';
import { MemoryPool } from './memory-pool.ts';

/** A cluster whose hosts are taken in turn, and whose pools are in memory. */
export class MemoryCluster implements Cluster {
  readonly info: MemoryClusterInfo;
  readonly hosts: Host[];
  readonly pool = new MemoryPool();
  /** What each host was chosen by. */
  readonly choices: (LoadBalancerContext | undefined)[] = [];
  readonly wishes: (PoolWishes | undefined)[] = [];
  private next = 0;

  constructor(name: string, stats: MemoryStats, hosts = 2) {
    this.info = new MemoryClusterInfo(name, stats.scope(`cluster.${name}`));
    this.hosts = testHosts(hosts);
  }

  get hostSets(): [] {
    return [];
  }

  chooseHost(context: LoadBalancerContext | undefined): Host | undefined {
    this.choices.push(context);
    for (let i = 0; i < this.hosts.length; i++) {
      const host = this.hosts[this.next++ % this.hosts.length];
      if (context?.shouldSkip?.(host) !== true) return host;
    }
    return this.hosts[0];
  }

  httpPool(host: Host, _priority: string, wishes?: PoolWishes): HttpPool {
    this.wishes.push(wishes);
    this.pool.host = host;
    return this.pool;
  }

  newTcpConnection(): undefined {
    return undefined;
  }
}

/** Clusters by name. */
export class MemoryClusters implements ClusterManager {
  readonly byName = new Map<string, MemoryCluster>();

  get(name: string): Cluster | undefined {
    return this.byName.get(name);
  }

  get clusterNames(): Iterable<string> {
    return this.byName.keys();
  }
}

export class MemoryClusterInfo implements ClusterInfo {
  readonly name: string;
  readonly statName: string;
  readonly observabilityName: string;
  readonly connectTimeoutMs = 5000;
  perConnectionBufferLimitBytes = 1024 * 1024;
  readonly maxResponseHeadersBytes = 60 * 1024;
  readonly metadata = new Map();
  maxStreamDurationMs = 0;
  secure = false;
  maintenanceMode = false;
  readonly usesDownstreamProtocol = false;
  transportOptions: ClusterInfo['transportOptions'] = undefined;
  readonly statsScope: MemoryStats;
  readonly stats: ClusterTrafficStats;
  readonly retries = new MemoryBudget(3);
  readonly requestsDropped: Counter;
  /** Hosts that responses were charged with. */
  readonly charged: (HostDescription | undefined)[] = [];

  constructor(name: string, scope: MemoryStats) {
    this.name = name;
    this.statName = name;
    this.observabilityName = name;
    this.statsScope = scope;
    // Not in `/stats`, but a test may look.
    this.requestsDropped = scope.counter('dropped');
    // Every stat is there when it is asked for.
    this.stats = new Proxy({} as ClusterTrafficStats, {
      get: (_, property) => scope.counter(snake(String(property))),
    });
  }

  resources(): ResourceManager {
    const free = new MemoryBudget(1000);
    return {
      connections: free,
      pendingRequests: free,
      requests: free,
      connectionPools: free,
      retries: this.retries,
    };
  }

  chargeResponse(status: number, internal: boolean, canary: boolean, host?: HostDescription): void {
    this.charged.push(host);
    for (const prefix of prefixes(internal, canary)) {
      this.statsScope.counter(`${prefix}upstream_rq_${status}`).inc();
      this.statsScope.counter(`${prefix}upstream_rq_completed`).inc();
    }
  }

  chargeResponseTime(ms: number, internal: boolean, canary: boolean): void {
    for (const prefix of prefixes(internal, canary))
      this.statsScope.histogram(`${prefix}upstream_rq_time`).record(ms);
  }

  chargeRetriedResponse(status: number): void {
    this.statsScope.counter(`retry.upstream_rq_${status}`).inc();
  }
}

function prefixes(internal: boolean, canary: boolean): string[] {
  return ['', internal ? 'internal.' : 'external.', ...(canary ? ['canary.'] : [])];
}

function snake(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

export class MemoryBudget implements ResourceBudget {
  max: number;
  used = 0;

  constructor(max: number) {
    this.max = max;
  }

  canTake(): boolean {
    return this.used < this.max;
  }

  take(): void {
    this.used++;
  }

  give(): void {
    this.used--;
  }
}
