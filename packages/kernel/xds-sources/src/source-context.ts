import type { Node } from '@dragoman/api';
import type {
  Clock,
  ClusterManager,
  LocalInfo,
  LoggerFactory,
  RandomSource,
  StatsScope,
} from '@dragoman/core';

/** Fields that the API does not know: counted and warned about (Envoy's default), refused, or passed over. */
export type UnknownFields = 'warn' | 'reject' | 'ignore';

/** What subscriptions to files need of main. */
export interface FileSourceContext {
  readonly clock: Clock;
  readonly loggers: LoggerFactory;
  /** The server's root scope, for `server.dynamic_unknown_fields` and `http.async-client.`. */
  readonly stats: StatsScope;
  /** `--reject-unknown-dynamic-fields` or `--ignore-unknown-dynamic-fields`. Default `warn`. */
  readonly unknownFields?: UnknownFields | undefined;
  /** How long the folder of a file must be quiet before the file is read again, ms; default 100. */
  readonly settleMs?: number | undefined;
}

/** What subscriptions to REST services need of main. */
export interface RestSourceContext extends Omit<FileSourceContext, 'settleMs'> {
  /** Those that main itself can send requests to. */
  readonly clusters: ClusterManager;
  readonly random: RandomSource;
  readonly localInfo: Pick<LocalInfo, 'address'>;
  /** What this proxy tells management servers of itself. */
  readonly node: Node;
}
