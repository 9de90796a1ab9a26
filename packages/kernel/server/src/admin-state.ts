import type {
  AdminCluster,
  AdminListener,
  AdminMemory,
  AdminState,
  DrainListenersOptions,
} from '@dragoman/admin';
import {
  type Bootstrap,
  type CertificatesSchema,
  CommandLineOptionsSchema,
  durationFromMs,
  type EndpointsConfigDump,
  fromJson,
  type JsonValue,
  type Message,
  type MessageInitShape,
  type ServerInfo_State,
  type ServerInfoSchema,
  type UnreadyTargetsDumpsSchema,
} from '@dragoman/api';
import { Address, type Clock, type LogLevel } from '@dragoman/core';
import type { StatsStore } from '@dragoman/stats';
import type { ClusterSources } from '@dragoman/upstream';
import { certificateReport } from './certificate-report.ts';
import type { ClusterDirectory } from './cluster-directory.ts';
import { configDumps, endpointsDump, ServerStatus } from './config-dump/index.ts';
import type { DynamicConfig } from './dynamic/dynamic-config.ts';
import type { ListenerManager } from './listener/listener-manager.ts';
import { unreadyTargets } from './init-dump.ts';
import { memoryOf } from './memory.ts';
import type { ServerFlags, ServerLoggers } from './proxy.ts';
import type { RuntimeLayers } from './runtime-layers.ts';
import type { ClusterReport } from './worker/cluster-report.ts';
import type { Workers } from './workers/workers.ts';
import type { Xds } from '@dragoman/xds';

/** What the admin interface asks of the parts of a server. */
export interface AdminStateParts {
  readonly bootstrap: Bootstrap;
  readonly flags: ServerFlags;
  readonly clock: Clock;
  readonly stats: StatsStore;
  readonly runtime: RuntimeLayers;
  readonly log: ServerLoggers;
  readonly clusters: ClusterDirectory;
  readonly sources: ClusterSources;
  readonly listeners: ListenerManager;
  readonly dynamic: DynamicConfig;
  /** Undefined where the embedder brought the subscriptions. */
  readonly xds: Pick<Xds, 'report'> | undefined;
  readonly workers: Workers;
  readonly hotRestart: HotRestartInfo;
  /** Envoy's number of the state; see ServerInfo.State. */
  readonly state: () => number;
  readonly flushStats: () => void;
  readonly failHealthCheck: (failed: boolean) => void;
  readonly drainListeners: (options: DrainListenersOptions) => void;
  readonly setLogLevel: (name: string | undefined, level: LogLevel) => void;
  readonly reopenLogs: () => void;
  readonly quit: () => void;
}

/** What the admin interface says of hot restarts. */
export interface HotRestartInfo {
  /** What `/hot_restart_version` prints: `disabled`, or a version that a process must have to take over. */
  readonly version: string;
  /** Since the first of the processes that took over from one another, ms; undefined: this is the first. */
  readonly uptimeBeforeMs: number;
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
    const { flags, bootstrap, clock, state, hotRestart } = this.parts;
    const seconds = (ms: number) => durationFromMs(Math.floor(ms / 1000) * 1000);
    const uptime = clock.now() - this.start;
    return {
      version: flags.version,
      state: state() as ServerInfo_State,
      uptimeCurrentEpoch: seconds(uptime),
      uptimeAllEpochs: seconds(uptime + hotRestart.uptimeBeforeMs),
      hotRestartVersion: hotRestart.version,
      commandLineOptions: fromJson(CommandLineOptionsSchema, flags.commandLine as JsonValue, {
        ignoreUnknownFields: true,
      }),
      node: bootstrap.node,
    };
  }

  async memory(): Promise<AdminMemory> {
    return memoryOf(await this.parts.workers.memory());
  }

  async certificates(): Promise<MessageInitShape<typeof CertificatesSchema>> {
    const { workers, clock } = this.parts;
    return certificateReport(await workers.certificateGroups(), clock.wallTime());
  }

  unreadyTargets(mask: string | undefined): MessageInitShape<typeof UnreadyTargetsDumpsSchema> {
    const { listeners, clusters, sources, dynamic, runtime } = this.parts;
    const parts = {
      listeners: [...listeners.listeners, ...listeners.warming],
      clusters: [...clusters.clusters, ...clusters.warming],
      cold: sources.cold,
      server: [...runtime.waiting.map((name) => `RTDS ${name}`), ...dynamic.unanswered],
    };
    const dumps = unreadyTargets(parts, mask);
    return {
      unreadyTargetsDumps: dumps.map(({ name, targetNames }) => ({ name, targetNames: [...targetNames] })),
    };
  }

  async clusters(): Promise<readonly AdminCluster[]> {
    const { workers, clusters } = this.parts;
    return (await workers.clusterReports()).map((report) =>
      describeCluster(report, clusters.isDynamic(report.name), clusters.edsServiceName(report.name)),
    );
  }

  listeners(): readonly AdminListener[] {
    return this.parts.listeners.listeners;
  }

  configDumps(): readonly Message[] {
    const { bootstrap, clusters, listeners, dynamic } = this.parts;
    const { versions, book } = dynamic;
    const { loadedAt, serverStatus: server } = this;
    return configDumps({ bootstrap, loadedAt, clusters, listeners, held: book.held, versions, server });
  }

  async endpointsDump(): Promise<EndpointsConfigDump> {
    const { workers, clusters } = this.parts;
    const known = new Map(clusters.clusters.map((cluster) => [cluster.message.name, cluster]));
    return endpointsDump(await workers.clusterReports(), (name) => known.get(name), this.serverStatus);
  }

  private get serverStatus(): ServerStatus {
    return new ServerStatus(this.parts.xds?.report());
  }

  runtimeLayers(): RuntimeLayers['layers'] {
    return this.parts.runtime.layers;
  }

  modifyRuntime(values: ReadonlyMap<string, string>): void {
    this.parts.runtime.modify(values);
    this.parts.workers.setRuntime(this.parts.runtime.values);
  }

  loggers(): ReturnType<ServerLoggers['loggers']> {
    return this.parts.log.loggers();
  }

  setLogLevel(name: string | undefined, level: LogLevel): void {
    this.parts.setLogLevel(name, level);
  }

  reopenLogs(): void {
    this.parts.reopenLogs();
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

function describeCluster(cluster: ClusterReport, addedViaApi: boolean, edsServiceName: string): AdminCluster {
  return {
    name: cluster.name,
    observabilityName: cluster.observabilityName,
    edsServiceName,
    addedViaApi,
    circuitBreakers: cluster.circuitBreakers,
    hosts: cluster.priorities.flatMap(({ priority, localities }) =>
      localities.flatMap(({ hosts }) =>
        hosts.map((host) => ({
          ...host,
          priority,
          address: Address.of(host.address),
        })),
      ),
    ),
  };
}
