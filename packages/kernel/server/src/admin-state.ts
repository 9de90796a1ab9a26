import { getHeapStatistics } from 'node:v8';
import type { LogFilesImpl } from '@dragoman/access-log';
import type {
  AdminCluster,
  AdminHost,
  AdminListener,
  AdminState,
  DrainListenersOptions,
} from '@dragoman/admin';
import {
  type Bootstrap,
  CommandLineOptionsSchema,
  durationFromMs,
  type EndpointsConfigDump,
  fromJson,
  type JsonValue,
  type Message,
  type MessageInitShape,
  type MemorySchema,
  type ServerInfo_State,
  type ServerInfoSchema,
} from '@dragoman/api';
import type { Clock, Cluster, Host, LogLevel, RoutingPriority } from '@dragoman/core';
import type { StatsStore } from '@dragoman/stats';
import { configDumps, endpointsDump } from './config-dump.ts';
import type { ServerFlags, ServerLoggers } from './proxy.ts';
import type { RuntimeLayers } from './runtime-layers.ts';
import type { Worker } from './worker.ts';

/** What the admin interface asks of the parts of a server. */
export interface AdminStateParts {
  readonly bootstrap: Bootstrap;
  readonly flags: ServerFlags;
  readonly clock: Clock;
  readonly stats: StatsStore;
  readonly runtime: RuntimeLayers;
  readonly log: ServerLoggers;
  readonly logFiles: LogFilesImpl;
  readonly worker: Worker;
  /** Envoy's number of the state; see ServerInfo.State. */
  readonly state: () => number;
  readonly flushStats: () => void;
  readonly failHealthCheck: (failed: boolean) => void;
  readonly drainListeners: (options: DrainListenersOptions) => void;
  readonly quit: () => void;
}

const DEFAULT_PROFILE_PATH = '/var/log/envoy/envoy.prof';

/** What a server shows and does through its admin interface. */
export class ServerAdminState implements AdminState {
  readonly stats: StatsStore;
  readonly flushStatsOnAdmin: boolean;
  readonly profilePath: string;
  private readonly parts: AdminStateParts;
  private readonly start: number;
  private readonly loadedAt: number;

  constructor(parts: AdminStateParts) {
    this.parts = parts;
    this.stats = parts.stats;
    this.start = parts.clock.now();
    this.loadedAt = parts.clock.wallTime();
    const { statsFlush, admin } = parts.bootstrap;
    this.flushStatsOnAdmin = statsFlush.case === 'statsFlushOnAdmin' && statsFlush.value;
    this.profilePath = admin?.profilePath || DEFAULT_PROFILE_PATH;
  }

  flushStats(): void {
    this.parts.flushStats();
  }

  serverInfo(): MessageInitShape<typeof ServerInfoSchema> {
    const { flags, bootstrap, clock, state } = this.parts;
    const uptime = durationFromMs(Math.floor((clock.now() - this.start) / 1000) * 1000);
    return {
      version: flags.version,
      state: state() as ServerInfo_State,
      uptimeCurrentEpoch: uptime,
      uptimeAllEpochs: uptime,
      hotRestartVersion: 'disabled',
      commandLineOptions: fromJson(CommandLineOptionsSchema, flags.commandLine as JsonValue, {
        ignoreUnknownFields: true,
      }),
      node: bootstrap.node,
    };
  }

  memory(): MessageInitShape<typeof MemorySchema> {
    const { heapUsed, heapTotal, rss, external } = process.memoryUsage();
    const heap = getHeapStatistics();
    return {
      allocated: BigInt(heapUsed + external),
      heapSize: BigInt(heapTotal + external),
      pageheapUnmapped: BigInt(Math.max(0, heapTotal - heap.total_physical_size)),
      pageheapFree: BigInt(Math.max(0, heapTotal - heapUsed)),
      totalThreadCache: 0n,
      totalPhysicalBytes: BigInt(rss),
    };
  }

  certificates(): Record<string, never> {
    return {};
  }

  unreadyTargets(): Record<string, never> {
    return {};
  }

  clusters(): readonly AdminCluster[] {
    const { clusters } = this.parts.worker;
    return [...clusters.clusterNames].map((name) => describeCluster(clusters.get(name) as Cluster));
  }

  listeners(): readonly AdminListener[] {
    return this.parts.worker.listeners.map((listener) => ({
      name: listener.compiled.name,
      addresses: listener.addresses,
    }));
  }

  configDumps(): readonly Message[] {
    return configDumps(this.parts.bootstrap, this.loadedAt);
  }

  endpointsDump(): EndpointsConfigDump {
    const { clusters } = this.parts.worker;
    return endpointsDump([...clusters.clusterNames].map((name) => clusters.get(name) as Cluster));
  }

  runtimeLayers(): RuntimeLayers['layers'] {
    return this.parts.runtime.layers;
  }

  modifyRuntime(values: ReadonlyMap<string, string>): void {
    this.parts.runtime.modify(values);
  }

  loggers(): ReturnType<ServerLoggers['loggers']> {
    return this.parts.log.loggers();
  }

  setLogLevel(name: string | undefined, level: LogLevel): void {
    this.parts.log.setLevel(name, level);
  }

  reopenLogs(): void {
    this.parts.log.reopen?.();
    this.parts.logFiles.reopen();
  }

  failHealthCheck(failed: boolean): void {
    this.parts.failHealthCheck(failed);
  }

  drainListeners(options: DrainListenersOptions): void {
    this.parts.drainListeners(options);
  }

  quit(): void {
    this.parts.quit();
  }
}

function describeCluster(cluster: Cluster): AdminCluster {
  const { info } = cluster;
  const breaker = (priority: RoutingPriority) => {
    const resources = info.resources(priority);
    return {
      maxConnections: resources.connections.max,
      maxPendingRequests: resources.pendingRequests.max,
      maxRequests: resources.requests.max,
      maxRetries: resources.retries.max,
    };
  };
  return {
    name: info.name,
    observabilityName: info.observabilityName,
    edsServiceName: '',
    addedViaApi: false,
    circuitBreakers: { default: breaker('default'), high: breaker('high') },
    hosts: cluster.hostSets.flatMap((set) => set.hosts.map(describeHost)),
  };
}

function describeHost(host: Host): AdminHost {
  const { stats } = host;
  return {
    address: host.address,
    hostname: host.hostname,
    locality: host.locality,
    healthFlags: host.healthFlags,
    weight: host.weight,
    canary: host.canary,
    priority: host.priority,
    stats: {
      cxActive: stats.cxActive.value(),
      cxConnectFail: stats.cxConnectFail.value(),
      cxTotal: stats.cxTotal.value(),
      rqActive: stats.rqActive.value(),
      rqError: stats.rqError.value(),
      rqSuccess: stats.rqSuccess.value(),
      rqTimeout: stats.rqTimeout.value(),
      rqTotal: stats.rqTotal.value(),
    },
  };
}
