import type {
  ClientCodec,
  ClientCodecHandler,
  Clock,
  Connection,
  ConnectOptions,
  Connector,
  HeaderNameFormatter,
  LoadShedPoint,
  Logger,
  ResourceManager,
  TransportOptions,
} from '@dragoman/core';
import type {
  Http2ClientCodec,
  Http2ClientHandler,
  Http2ClientOptions,
  Http2Sessions,
} from '@dragoman/http2';
import type { HttpSettings } from '../config/http-options.ts';
import type { UpstreamHost } from '../hosts/host.ts';
import type { ClusterStats } from '../stats/cluster-stats.ts';
import type { PredictiveConnect } from './connect-ahead.ts';
import type { OpenTcp } from './open-tcp.ts';
import type { UseCount } from './use-count.ts';
import type { OverflowTexts } from './overflow-texts.ts';

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

/** What the HTTP/2 package has for upstream connections. */
export interface Http2Codecs {
  /** `createClientCodec` of the HTTP/2 package. */
  createCodec(
    connection: Connection,
    handler: Http2ClientHandler,
    options: Http2ClientOptions,
    sessions: Http2Sessions,
  ): Http2ClientCodec;
  /** Holds the sessions to one host. */
  createSessions(): Http2Sessions;
}

/** What all pools of one priority of a cluster share. */
export interface PoolContext {
  /** Who is told what of a breaker that is open. */
  readonly overflow: OverflowTexts;
  /** `circuit_breakers.per_host_thresholds`, on this worker. Undefined: no limit. */
  readonly maxConnectionsPerHost: number | undefined;
  /** `per_upstream_preconnect_ratio`, more than 1. Undefined: nothing is opened ahead. */
  readonly preconnectRatio: number | undefined;
  /** Of the whole cluster. Undefined: nothing is opened to the hosts that come next. */
  readonly predictive: PredictiveConnect | undefined;
  /** Undefined: nobody asks for them. */
  readonly openTcp: OpenTcp | undefined;
  /** Told of each TCP connection of somebody else's. */
  readonly tcpUse: UseCount;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly connector: Connector;
  readonly createCodec: CreateClientCodec;
  /** Undefined for a cluster that never speaks HTTP/2. */
  readonly http2: (Http2Codecs & { readonly options: Http2ClientOptions }) | undefined;
  readonly stats: ClusterStats;
  readonly resources: ResourceManager;
  /** `envoy.load_shed_points.connection_pool_new_connection`, where it is configured. */
  readonly newConnection?: LoadShedPoint | undefined;
  readonly http: HttpSettings;
  readonly connectTimeoutMs: number;
  /** The options of a connection to `host`. */
  connectOptions(host: UpstreamHost, transport: TransportOptions | undefined): ConnectOptions;
}
