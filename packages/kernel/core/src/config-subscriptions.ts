import type { DescMessage, MessageShape } from '@bufbuild/protobuf';
import { ConfigError } from './config-error.ts';
import type { StatsScope } from './stats.ts';

/*
 * Resources that a management server or a file gives and changes while the proxy runs (xDS). Main holds the subscriptions; what
 * workers need of them reaches them as `DynamicResources`.
 */

/** One resource, as it was sent. */
export interface DiscoveredResource<D extends DescMessage = DescMessage> {
  readonly name: string;
  /** The resource's own version with delta, else the update's; may be empty. */
  readonly version: string;
  readonly message: MessageShape<D>;
  /** Further names of it (`Resource.aliases`). Default: none. */
  readonly aliases?: readonly string[] | undefined;
}

/** What has changed since the last update that a subscriber was given. */
export interface ConfigUpdate<D extends DescMessage = DescMessage> {
  /** New, or sent again. With {@link full}: everything there is. */
  readonly changed: readonly DiscoveredResource<D>[];
  /** Names that are gone: removed by the server, or over with their time to live. Empty with {@link full}. */
  readonly removed: readonly string[];
  /** `version_info`, with delta `system_version_info`. */
  readonly versionInfo: string;
  /** The state of the world: what is not in {@link changed} is gone, of types of which a response holds all (listeners, clusters). */
  readonly full: boolean;
}

/** Why there is no new config: Envoy's `ConfigUpdateFailureReason`. */
export type SubscriptionFailure =
  /** No stream, or it has ended. What was known goes on. */
  | 'connection'
  /** `initial_fetch_timeout` is over: whoever waits for the first update does so no longer. */
  | 'timeout'
  /** What was sent could not be read, or its subscriber refused it. */
  | 'rejected';

export interface SubscriptionCallbacks<D extends DescMessage = DescMessage> {
  /**
   * Takes an update over; the response is acknowledged when it returns or its promise is fulfilled, and the next one is handed over only then.
   * Throws or rejects with ConfigError for what it refuses, paths `<resource name>: <path in it>`: the others of the same update may have
   * been taken over all the same. The server is told the error's message.
   */
  onUpdate(update: ConfigUpdate<D>): void | Promise<void>;
  /** May come any number of times; only the first one, before any update, matters for who waits. */
  onFailure(reason: SubscriptionFailure, details: string): void;
}

export interface SubscriptionOptions<D extends DescMessage> {
  /** An `envoy.config.core.v3.ConfigSource`; typed unknown because contracts know no generated code. */
  readonly source: unknown;
  /** The type of the resources, e.g. `ClusterLoadAssignmentSchema`. */
  readonly type: D;
  /** Undefined: all that there are (listeners, clusters). xdstp names and collections are names too. */
  readonly names: readonly string[] | undefined;
  /**
   * The first of {@link names} stands for all resources named `<it>/…` (virtual hosts of a route configuration), with no further slash, as in
   * Envoy. Incremental streams only. Default false.
   */
  readonly namespaced?: boolean | undefined;
  /**
   * Where `update_attempt`, `update_success`, `update_failure`, `update_rejected`, `update_empty`, `init_fetch_timeout`, `update_time`, `update_duration`,
   * `version` and `version_text` are counted, e.g. `cluster.<name>.`
   */
  readonly stats: StatsScope;
  readonly callbacks: SubscriptionCallbacks<D>;
}

export interface ConfigSubscription {
  /** The names that are wanted from now on, all of them. Not for those of everything. */
  setNames(names: readonly string[]): void;
  /** No callback comes any more. */
  stop(): void;
}

/** Opens subscriptions; handed out on main's context. */
export interface ConfigSubscriptions {
  /**
   * Begins at once; a callback may come before it returns only for a file.
   * @throws ConfigError with a path below the config source
   */
  subscribe<D extends DescMessage>(options: SubscriptionOptions<D>): ConfigSubscription;
  /**
   * Finds what is wrong with a config source, without asking it for anything. Clusters that it names need not be there yet.
   * @param names as in {@link SubscriptionOptions.names}
   * @param namespaced as in {@link SubscriptionOptions.namespaced}
   * @throws ConfigError as {@link subscribe} would for the source itself
   */
  check(source: unknown, type: DescMessage, names: readonly string[] | undefined, namespaced?: boolean): void;
}

/** Of an assembly that has no dynamic configuration. */
export const noSubscriptions: ConfigSubscriptions = { subscribe: refuse, check: refuse };

function refuse(): never {
  throw ConfigError.at('', 'this proxy was put together without dynamic configuration');
}
