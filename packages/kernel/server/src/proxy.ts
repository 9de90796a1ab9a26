import type { Bootstrap, LoadedConfig } from '@dragoman/api';
import type { Address, Clock, Extension, LoggerFactory, LogLevel, RandomSource } from '@dragoman/core';
import type { StatsStore } from '@dragoman/stats';
import type { DrainStrategy } from './drain-manager.ts';

/** A logger factory whose levels `/logging` can change. */
export interface ServerLoggers extends LoggerFactory {
  loggers(): readonly { readonly name: string; readonly level: LogLevel }[];
  /** `name` undefined: all of them, and those made later. */
  setLevel(name: string | undefined, level: LogLevel): void;
  /** Opens the log's own file again, for `/reopen_logs`; absent when it has none. */
  reopen?(): void;
}

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
  /** `--concurrency`. One thread serves for now; the number is shown in `/server_info`. */
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
  /** `--disable-extensions`: names of extensions (or `category/name`) that are left out. */
  readonly disabledExtensions: readonly string[];
  /** `--stats-tag`: fixed tags. */
  readonly statsTags: readonly { readonly name: string; readonly value: string }[];
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
  readonly clock?: Clock;
  readonly random?: RandomSource;
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
}
