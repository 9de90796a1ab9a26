import type { FormatterFactory, LogFiles, AccessLogger } from './access-log.ts';
import type { Clock, RandomSource } from './clock.ts';
import type { ConfigSubscriptions } from './config-subscriptions.ts';
import type { DnsResolver } from './dns.ts';
import type { DynamicResources } from './dynamic-resources.ts';
import type { ExtensionRegistry } from './extension-registry.ts';
import type { GrpcClientFactory } from './grpc-client.ts';
import type { LoggerFactory } from './log.ts';
import type { OverloadState } from './overload.ts';
import type { Runtime } from './runtime.ts';
import type { CertificateBook, SecretSource } from './secrets.ts';
import type { StatsScope } from './stats.ts';
import type { SubClusters } from './sub-clusters.ts';
import type { ClusterManager, CompileUpstreamFilters } from './upstream.ts';

/** Who this proxy is (`node` of the bootstrap and its flags). */
export interface LocalInfo {
  readonly cluster: string;
  readonly node: string;
  readonly zone: string;
  /** Default empty. */
  readonly region?: string;
  /** Default empty. */
  readonly subZone?: string;
  /** `cluster_manager.local_cluster_name`: the cluster of proxies that this one is one of. Default: not known. */
  readonly localClusterName?: string | undefined;
  /** First non-loopback address of the machine, for `%DOWNSTREAM_LOCAL…%` fallbacks and XFF. */
  readonly address: string;
}

/** What every factory may use, on any thread. */
export interface FactoryContext {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly loggers: LoggerFactory;
  readonly runtime: Runtime;
  readonly localInfo: LocalInfo;
  /**
   * The server's root scope: names are given complete. What a cluster or listener makes is forgotten with it; what several of them
   * share is made in `stats.root`.
   */
  readonly stats: StatsScope;
  readonly formatters: FormatterFactory;
  /** Every extension of this assembly, for those that hold others (a connection manager its filters). */
  readonly extensions: ExtensionRegistry;
  readonly secrets: SecretSource;
  /** What a config names and a config source delivers. */
  readonly dynamicResources: DynamicResources;
  /**
   * 48 random bytes of this process, the same on all of its threads: what workers must agree on without speaking (keys of TLS tickets) is derived
   * from them, and they are shown to nobody.
   */
  readonly processKey: Uint8Array;
  readonly certificates: CertificateBook;
  /** Warns about a field that is accepted without acting, or is deprecated; once for each text. */
  warn(path: string, message: string): void;
}

/** What a factory on a worker may use besides. */
export interface WorkerContext extends FactoryContext {
  readonly clusters: ClusterManager;
  readonly subClusters: SubClusters;
  /** Calls of the proxy's own, through {@link clusters}. */
  readonly grpc: GrpcClientFactory;
  readonly upstreamFilters: CompileUpstreamFilters;
  readonly logFiles: LogFiles;
  /** Builds the loggers of an `access_log` list (filters applied). Paths of errors begin at the list. */
  accessLoggers(configs: readonly unknown[]): readonly AccessLogger[];
  /** True once the server, or this listener, is to be drained. */
  readonly drain: DrainDecision;
  /** What the overload manager has decided; of a listener that goes around it, and without one: never overloaded. */
  readonly overload: OverloadState;
}

/** What a factory of a filter in a listener may use besides. */
export interface ListenerFactoryContext extends WorkerContext {
  /** `listener.<address or stat_prefix>.` */
  readonly listenerScope: StatsScope;
  /** Of the listener: bytes, default 1 MiB. */
  readonly perConnectionBufferLimitBytes: number;
  readonly listenerName: string;
  /** `INBOUND`, `OUTBOUND` or `UNSPECIFIED`. */
  readonly trafficDirection: string;
  /** True when the transport socket encrypts. */
  readonly secure: boolean;
}

/** Whether a connection should be given up at the next occasion. */
export interface DrainDecision {
  /** Asked at the end of each response: answers yes with rising probability while draining. */
  drainClose(): boolean;
  /** True from the moment draining began. */
  readonly draining: boolean;
  /** `/healthcheck/fail` was called, and not taken back: the proxy is to say that it is not well. */
  readonly healthCheckFailed: boolean;
  /**
   * `callback` runs when a drain begins that closes idle connections, and again when one begins that ends sooner: such a
   * connection is to go in `delayMs` (whole, 0 or more; 0 unless draining is gradual). With such a drain under way it runs
   * before this returns. The returned function takes it back.
   */
  onDrain(callback: (delayMs: number) => void): () => void;
}

/** What a factory on main may use besides. */
export interface MainContext extends FactoryContext {
  readonly dns: DnsResolver;
  readonly subscriptions: ConfigSubscriptions;
}
