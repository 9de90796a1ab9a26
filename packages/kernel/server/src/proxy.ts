import type { Bootstrap, Cluster, Listener, LoadedConfig } from '@dragoman/api';
import type {
  Address,
  Clock,
  ConfigSubscriptions,
  Extension,
  LoggerFactory,
  LogLevel,
  RandomSource,
} from '@dragoman/core';
import type { StatsStore } from '@dragoman/stats';
import type { SupervisorLink } from '@dragoman/supervisor';
import type { DrainStrategy } from './drain-manager.ts';
import type { InheritedSocket } from './listener/listen-sockets.ts';

/** A logger factory whose levels `/logging` can change. */
export interface ServerLoggers extends LoggerFactory {
  loggers(): readonly { readonly name: string; readonly level: LogLevel }[];
  /** `name` undefined: all of them, and those made later. */
  setLevel(name: string | undefined, level: LogLevel): void;
  /** Opens the log's own file again, for `/reopen_logs`; absent when it has none. */
  reopen?(): void;
  /** The same loggers, whose lines bear another thread's number (Node's `threadId`); absent: they bear none. */
  ofThread?(threadId: number): LoggerFactory;
}

/**
 * Where workers run. `inline`: the only one runs on the thread that calls `createProxy`. Else `concurrency` workers run on threads of their
 * own; functions cannot be sent to a thread, so each imports `extensions`: the URL of a module that exports a list of that
 * name, the same that `createProxy` is given.
 */
export type ThreadsOption = 'inline' | { readonly extensions: URL | string };

/** What a command line says. Every field has a default. */
export interface ServerFlags {
  /** `--service-cluster`; default: the bootstrap's `node.cluster`. */
  readonly serviceCluster: string;
  /** `--service-node`; default: `node.id`. */
  readonly serviceNode: string;
  /** `--service-zone`; default: `node.locality.zone`. */
  readonly serviceZone: string;
  /** `--local-address-ip-version`; default `v4`. */
  readonly localAddressIpVersion: 'v4' | 'v6';
  /** `--concurrency`: worker threads, ≥ 1; default: the cores that the process may use. Without threads it is only shown. */
  readonly concurrency: number;
  /** `--drain-time-s`, ms; default 600,000: for `/drain_listeners?graceful` and `/healthcheck/fail`. */
  readonly drainTimeMs: number;
  /** `--drain-strategy`; default `gradual`. */
  readonly drainStrategy: DrainStrategy;
  /** `--parent-shutdown-time-s`, ms; default 900,000. */
  readonly parentShutdownTimeMs: number;
  readonly mode: 'serve' | 'validate' | 'init_only';
  /** `--file-flush-interval-msec`; default 10,000. */
  readonly fileFlushIntervalMs: number;
  /** `--file-flush-min-size-kb`, bytes: a batch of access-log entries of this size is written at once; default 65,536. */
  readonly fileFlushMinBytes: number;
  /**
   * Fields of resources of config sources that the API does not have: warned of once and counted, refused (`--reject-unknown-dynamic-fields`), or passed over
   * (`--ignore-unknown-dynamic-fields`). Default `warn`.
   */
  readonly unknownDynamicFields: 'warn' | 'reject' | 'ignore';
  /** `--config-history`: versions of each resource of config sources that `/config_history` keeps; 0: none. Default 20. */
  readonly configHistory: number;
  /** `--disable-extensions`: names of extensions (or `category/name`) that are left out. */
  readonly disabledExtensions: readonly string[];
  /** `--stats-tag`: fixed tags. */
  readonly statsTags: readonly { readonly name: string; readonly value: string }[];
  /** `--skip-hot-restart-parent-stats`: what the process before this one has counted is not added; default false. */
  readonly skipParentStats: boolean;
  /** Version for `/server_info`, `/` and log lines. */
  readonly version: string;
  /** `command_line_options` of `/server_info`, in proto3 JSON. */
  readonly commandLine: { readonly [name: string]: unknown };
}

export interface ProxyOptions {
  /** A loaded config (errors then carry file, line and column), a typed message, or YAML or JSON text. */
  readonly bootstrap: LoadedConfig<Bootstrap> | Bootstrap | string;
  /** Everything that the config may name. */
  readonly extensions: readonly Extension[];
  /** Default: writes nothing. */
  readonly log?: ServerLoggers;
  readonly flags?: Partial<ServerFlags>;
  /** Default `inline`. */
  readonly threads?: ThreadsOption;
  /** Config sources of your own, in place of management servers, files and REST services. */
  readonly subscriptions?: ConfigSubscriptions;
  /** Of main; workers on threads have the machine's. */
  readonly clock?: Clock;
  readonly random?: RandomSource;
  /** Hot restarts: the link to the process that holds the listening sockets. Default: none, there are no hot restarts. */
  readonly supervisor?: SupervisorLink | undefined;
  /** Sockets that this process was started with, such as systemd's. Not with a supervisor, which has them then. */
  readonly inheritedSockets?: readonly InheritedSocket[];
  /** `/quitquitquit`; default: {@link Proxy.close}. */
  readonly onQuit?: () => void;
}

/** A running proxy. */
export interface Proxy extends AsyncDisposable {
  readonly listeners: readonly { readonly name: string; readonly addresses: readonly Address[] }[];
  /** Undefined when the bootstrap has no `admin`. */
  readonly adminAddress: Address | undefined;
  readonly stats: StatsStore;
  /** The first address of a listener, by its name; of the first listener without one. @throws Error when there is none */
  address(listenerName?: string): Address;
  /**
   * Stops accepting, ends idle connections, and resolves when the last request has ended or the time is over
   * (`timeMs`, default 25,000). {@link close} comes after it.
   */
  drain(options?: { readonly timeMs?: number }): Promise<void>;
  /** Ends everything now; what was logged is written. */
  close(): Promise<void>;
  /** Opens access-log files again, after they were moved away. */
  reopenLogs(): void;
  /**
   * Adds a listener, or puts it in place of one of the same name, on every worker. The old one's connections are asked to end over the drain time
   * (`drainTimeMs`) and closed after it; at the same addresses no connection is refused meanwhile.
   *
   * @returns false when there is that very listener already. Rejects with ConfigError; nothing has changed then
   */
  addOrUpdateListener(listener: Listener): Promise<boolean>;
  /** Stops a listener; its connections have the drain time. @returns whether there was one */
  removeListener(name: string): Promise<boolean>;
  /**
   * Adds a cluster, or puts it in place of one of the same name, on every worker. A new version takes over when its hosts are
   * known; requests under way finish on the old one.
   *
   * @returns false when there is that very cluster already. Rejects with ConfigError; nothing has changed then
   */
  addOrUpdateCluster(cluster: Cluster): Promise<boolean>;
  /** Requests under way finish; new ones find no cluster. @returns whether there was one */
  removeCluster(name: string): Promise<boolean>;
}
