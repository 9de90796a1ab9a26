import type { Node } from '@dragoman/api';
import type {
  Clock,
  ClusterManager,
  LocalInfo,
  LoggerFactory,
  RandomSource,
  StatsScope,
} from '@dragoman/core';

/** What subscriptions to files need of main. */
export interface FileSourceContext {
  readonly clock: Clock;
  readonly loggers: LoggerFactory;
  /**
   * A field that is not in the API makes a resource invalid (`--reject-unknown-dynamic-fields`); else it is warned of. Default: true for files, which
   * people write, false for what a management server sends, which may be newer than this proxy.
   */
  readonly rejectUnknownFields?: boolean | undefined;
  /** How long the folder of a file must be quiet before the file is read again, ms; default 100. */
  readonly settleMs?: number | undefined;
}

/** What subscriptions to REST services need of main. */
export interface RestSourceContext extends Omit<FileSourceContext, 'settleMs'> {
  /** Those that main itself can send requests to. */
  readonly clusters: ClusterManager;
  readonly random: RandomSource;
  readonly localInfo: Pick<LocalInfo, 'address'>;
  /** The server's root scope, for `http.async-client.`. */
  readonly stats: StatsScope;
  /** What this proxy tells management servers of itself. */
  readonly node: Node;
}
