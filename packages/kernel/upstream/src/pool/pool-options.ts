import type {
  Address,
  ClientCodec,
  ClientCodecHandler,
  Clock,
  Connection,
  ConnectOptions,
  Connector,
  HeaderNameFormatter,
  ResourceManager,
} from '@dragoman/core';
import type { HttpSettings } from '../config/http-options.ts';
import type { ClusterStats } from '../stats/cluster-stats.ts';

/** What a client codec is made with: the options of the HTTP/1 package that a cluster's config reaches. */
export interface ClientCodecSettings {
  /** Bytes of a response's head. */
  readonly maxHeaderBytes: number;
  /** Lines of a response's headers. */
  readonly maxHeaderCount: number;
  readonly enableTrailers: boolean;
  readonly allowChunkedLength: boolean;
  readonly headerKeyFormat: 'default' | 'proper_case_words';
  /** Keeps the names of responses (`stateful_formatter`). */
  readonly headerFormatter?: () => HeaderNameFormatter;
  readonly sendFullyQualifiedUrl: boolean;
}

/** Makes the codec of a new connection (`createClientCodec` of the HTTP/1 package). */
export type CreateClientCodec = (
  connection: Connection,
  handler: ClientCodecHandler,
  settings: ClientCodecSettings,
) => ClientCodec;

/** What all pools of one priority of a cluster share. */
export interface PoolContext {
  readonly clock: Clock;
  readonly connector: Connector;
  readonly createCodec: CreateClientCodec;
  readonly stats: ClusterStats;
  readonly resources: ResourceManager;
  readonly http: HttpSettings;
  readonly connectTimeoutMs: number;
  /** The options of a connection to `address`. */
  connectOptions(address: Address): ConnectOptions;
}
