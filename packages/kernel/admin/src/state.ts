import type {
  BootstrapConfigDump,
  CertificatesSchema,
  EndpointsConfigDump,
  MemorySchema,
  Message,
  MessageInitShape,
  ServerInfoSchema,
  UnreadyTargetsDumpsSchema,
} from '@dragoman/api';
import type { Address, Locality, LogLevel } from '@dragoman/core';
import type { StatsStore } from '@dragoman/stats';

/** An answer that may have to be collected from other threads first. */
export type Awaitable<T> = T | Promise<T>;

/** Maxima of one priority's circuit breaker. */
export interface AdminCircuitBreaker {
  readonly maxConnections: number;
  readonly maxPendingRequests: number;
  readonly maxRequests: number;
  readonly maxRetries: number;
}

/** The numbers of one host, over all threads. */
export interface AdminHostStats {
  readonly cxActive: number;
  readonly cxConnectFail: number;
  readonly cxTotal: number;
  readonly rqActive: number;
  readonly rqError: number;
  readonly rqSuccess: number;
  readonly rqTimeout: number;
  readonly rqTotal: number;
}

/** One upstream host. */
export interface AdminHost {
  readonly address: Address;
  readonly hostname: string;
  readonly locality: Locality;
  /** Bits of `HealthFlag`. */
  readonly healthFlags: number;
  readonly weight: number;
  readonly canary: boolean;
  readonly priority: number;
  /** Percent; undefined (printed as -1) when there are too few requests to tell. */
  readonly successRate?: number;
  readonly localOriginSuccessRate?: number;
  readonly stats: AdminHostStats;
}

/** The figures of a cluster's outlier detector; -1 where there are too few requests to tell. */
export interface AdminOutlierDetector {
  readonly successRateAverage: number;
  readonly successRateEjectionThreshold: number;
  readonly localOriginSuccessRateAverage: number;
  readonly localOriginSuccessRateEjectionThreshold: number;
}

/** One cluster that is in use. */
export interface AdminCluster {
  readonly name: string;
  readonly observabilityName: string;
  /** Empty when it has none. */
  readonly edsServiceName: string;
  readonly addedViaApi: boolean;
  readonly circuitBreakers: { readonly default: AdminCircuitBreaker; readonly high: AdminCircuitBreaker };
  readonly outlier?: AdminOutlierDetector;
  readonly hosts: readonly AdminHost[];
}

/** One listener; port 0 is already resolved. The first address is the main one. */
export interface AdminListener {
  readonly name: string;
  readonly addresses: readonly Address[];
}

/** The memory of the process, in bytes. */
export interface AdminMemory {
  /** All threads together. */
  readonly total: MessageInitShape<typeof MemorySchema>;
  /** Each thread that has a heap of its own. Not in Envoy. */
  readonly threads: readonly {
    /** `main_thread`, `worker_0`, … */
    readonly name: string;
    /** In use. */
    readonly allocated: number;
    /** Taken from the system, in use or not. */
    readonly heapSize: number;
  }[];
}

/** One layer of the runtime; later layers win. */
export interface AdminRuntimeLayer {
  readonly name: string;
  readonly values: ReadonlyMap<string, string>;
}

export interface DrainListenersOptions {
  /** Drain connections over the drain time before the listeners stop. */
  readonly graceful: boolean;
  /** Only listeners whose `traffic_direction` is INBOUND. */
  readonly inboundOnly: boolean;
  /** Do not stop the listeners afterwards. Only with `graceful`. */
  readonly skipExit: boolean;
}

/** A component's logger. */
export interface AdminLogger {
  readonly name: string;
  readonly level: LogLevel;
}

/** What the admin interface asks of the server. Everything is asked for anew with each request. */
export interface AdminState {
  readonly stats: StatsStore;
  /** Flushes stats, as the flush timer does. Called before `/stats` when {@link flushStatsOnAdmin}. */
  flushStats(): void;
  /** `stats_flush_on_admin` of the bootstrap. */
  readonly flushStatsOnAdmin: boolean;

  /** Health-check failure makes LIVE into DRAINING. */
  serverInfo(): MessageInitShape<typeof ServerInfoSchema>;
  memory(): Awaitable<AdminMemory>;
  certificates(): Awaitable<MessageInitShape<typeof CertificatesSchema>>;
  /** @param mask Envoy's `listener`, or a part of the server's own; undefined: all */
  unreadyTargets(mask: string | undefined): MessageInitShape<typeof UnreadyTargetsDumpsSchema>;

  clusters(): Awaitable<readonly AdminCluster[]>;
  listeners(): Awaitable<readonly AdminListener[]>;
  /**
   * The parts of `/config_dump` in Envoy's order: BootstrapConfigDump, ClustersConfigDump, ListenersConfigDump,
   * RoutesConfigDump, SecretsConfigDump; those that there are.
   */
  configDumps(): Awaitable<readonly (BootstrapConfigDump | Message)[]>;
  /** The part that `include_eds` adds. */
  endpointsDump(): Awaitable<EndpointsConfigDump>;

  runtimeLayers(): readonly AdminRuntimeLayer[];
  /** Sets keys of the admin layer; an empty value takes the key back. @throws Error when there is no admin layer */
  modifyRuntime(values: ReadonlyMap<string, string>): void;

  loggers(): readonly AdminLogger[];
  /** `name` undefined: every logger, and those made later. */
  setLogLevel(name: string | undefined, level: LogLevel): void;
  /** Access logs and the server's own log. */
  reopenLogs(): void;

  /** Answers health checks with failure (or normally again). */
  failHealthCheck(failed: boolean): void;
  drainListeners(options: DrainListenersOptions): void;
  /** Ends the server. Called when the answer has been sent. */
  quit(): void;

  /** `admin.profile_path`; default `/var/log/envoy/envoy.prof`. */
  readonly profilePath: string;
}
