import type { LogRelayAnswer, LogRelayMessage } from '@dragoman/access-log';
import type { CertificateGroup, ConfigProblem, HostEvent, LocalInfo, LogLevel } from '@dragoman/core';
import type { SharedCountsHandle, StatsAnnouncement, StatsMatcher } from '@dragoman/stats';
import type { ClusterLoad, HostListMessage } from '@dragoman/upstream';
import type { DrainStart, DrainStrategy } from '../drain-manager.ts';
import type { ResourceOrder } from '../dynamic/resource-order.ts';
import type { OverloadHandle } from '../overload/index.ts';
import type { WatchdogTimeouts } from '../watchdog/index.ts';
import type { ClusterReport } from '../worker/cluster-report.ts';
import type { QuestionName } from '../worker/questions.ts';
import type { BindOrder, BoundAddresses, ClusterOrder, ListenerOrder, Wire } from '../worker/orders.ts';

/** The levels of the server's loggers by name, and of those that are not named. */
export interface LogLevels {
  readonly byName: readonly (readonly [name: string, level: LogLevel])[];
  readonly others: LogLevel;
}

/** What a thread is born with (`workerData`). Plain data. */
export interface ThreadData {
  readonly index: number;
  /** Folder of compiled code (`module.enableCompileCache`) that main uses; undefined: none. */
  readonly compileCache: string | undefined;
  /** URL of the module whose `extensions` the config may name. */
  readonly extensions: string;
  readonly disabledExtensions: readonly string[];
  readonly localInfo: LocalInfo;
  readonly runtime: ReadonlyMap<string, string>;
  /** `static_resources.secrets`, serialised. */
  readonly secrets: readonly Uint8Array[];
  /** See `FactoryContext`. */
  readonly processKey: Uint8Array;
  readonly logLevels: LogLevels;
  readonly statsMatcher: StatsMatcher | undefined;
  readonly fileFlushIntervalMs: number;
  readonly fileFlushMinBytes: number;
  readonly drainStrategy: DrainStrategy;
  readonly connections: SharedCountsHandle;
  readonly heartbeats: Heartbeats;
  /** Undefined without an overload manager. */
  readonly overload: OverloadHandle | undefined;
}

/** The page that threads touch while they are alive: worker `index` its slot of that number. */
export interface Heartbeats {
  readonly buffer: SharedArrayBuffer;
  /** How often, ms; 0: nobody looks. */
  readonly intervalMs: number;
  /** For the one worker that watches the main thread. */
  readonly main: { readonly index: number; readonly timeouts: WatchdogTimeouts } | undefined;
}

/** What main asks of a thread, with what it answers. Arguments and answers are plain data. */
export interface ThreadCommands {
  start(clusters: readonly Wire<ClusterOrder>[], listeners: readonly Wire<ListenerOrder>[]): void;
  prepareListener(order: Wire<ListenerOrder>): void;
  listen(orders: readonly BindOrder[]): Promise<readonly BoundAddresses[]>;
  stopAccepting(ids: readonly number[]): Promise<void>;
  drainListener(id: number, timeMs: number): void;
  removeListener(id: number): Promise<void>;
  startDrain(start: DrainStart): void;
  failHealthCheck(failed: boolean): void;
  addOrUpdateCluster(order: Wire<ClusterOrder>, hosts: HostListMessage | undefined): void;
  removeCluster(name: string): void;
  /** To a question of the thread's. */
  answer(id: number, value: unknown): void;
  updateHosts(clusterName: string, message: HostListMessage): void;
  prepareResource(order: ResourceOrder): void;
  checkResource(order: ResourceOrder): void;
  commitResource(key: string): void;
  abortResource(key: string): void;
  forgetResource(key: string): void;
  /** What the TLS contexts of this worker hold. */
  certificateGroups(): readonly CertificateGroup[];
  clusterReports(): readonly ClusterReport[];
  latchLoads(clusterNames: readonly string[], perEndpoint: boolean): readonly ClusterLoad[];
  setRuntime(values: ReadonlyMap<string, string>): void;
  setLogLevels(levels: LogLevels): void;
  reopenLogs(): void;
  overloadChanged(): void;
  resetHighMemoryStreams(): void;
  shrinkHeap(): void;
  /** Ends everything; the thread ends after its answer. */
  close(): Promise<void>;
}

export type CommandName = keyof ThreadCommands;

/** From main to a thread. */
export type ThreadOrder =
  | {
      readonly kind: 'command';
      /** Undefined: no answer is wanted. */
      readonly id: number | undefined;
      readonly name: CommandName;
      readonly args: readonly unknown[];
    }
  | { readonly kind: 'log-relay'; readonly answer: LogRelayAnswer };

/** Why a command failed. */
export type CommandFailure =
  | { readonly problems: readonly ConfigProblem[] }
  | { readonly problems: undefined; readonly text: string };

/** From a thread to main. */
export type ThreadReport =
  | { readonly kind: 'ready' }
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failure'; readonly id: number; readonly failure: CommandFailure }
  | { readonly kind: 'stats'; readonly announcements: readonly StatsAnnouncement[] }
  | { readonly kind: 'log'; readonly logger: string; readonly level: LogLevel; readonly message: string }
  | { readonly kind: 'logger'; readonly name: string }
  | { readonly kind: 'warn'; readonly path: string; readonly message: string }
  | { readonly kind: 'log-relay'; readonly message: LogRelayMessage }
  | { readonly kind: 'hosts-wanted'; readonly cluster: string }
  /** Answered by the command `answer`. */
  | {
      readonly kind: 'question';
      readonly id: number;
      readonly name: QuestionName;
      readonly args: readonly unknown[];
    }
  /** Something was seen of a host. */
  | {
      readonly kind: 'host-event';
      readonly cluster: string;
      readonly identity: string;
      readonly event: HostEvent;
    }
  /** Somebody failed to catch something; `fatal`: the thread ends for it. */
  | { readonly kind: 'fault'; readonly fatal: boolean; readonly what: string; readonly stack: string };
