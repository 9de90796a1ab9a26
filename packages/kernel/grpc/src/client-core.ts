import type {
  BackOffRange,
  Clock,
  ClusterManager,
  ConnectionInfo,
  Counter,
  Logger,
  RandomSource,
  RetryPolicy,
  Runtime,
} from '@dragoman/core';
import type { InitialMetadata } from './metadata.ts';

/** `grpc.<stat_prefix>.` of a `google_grpc` service. */
export interface GoogleGrpcStats {
  readonly streamsTotal: Counter;
  /** By status, 0 … 16. */
  readonly streamsClosed: readonly Counter[];
}

/** A `GrpcService`, compiled. */
export interface ServiceSettings {
  /** For logs. */
  readonly destination: string;
  readonly clusterName: string;
  readonly authority: string;
  /** Milliseconds; undefined: not set. */
  readonly timeoutMs: number | undefined;
  readonly metadata: InitialMetadata;
  readonly retry: RetryPolicy | undefined;
  readonly reconnect: BackOffRange;
  /** Of a received message, bytes. */
  readonly maxReceiveBytes: number;
  readonly skipEnvoyHeaders: boolean;
  /** Of a stream, bytes; undefined: the cluster's. */
  readonly bufferLimitBytes: number | undefined;
  /** Undefined for `envoy_grpc`. */
  readonly stats: GoogleGrpcStats | undefined;
}

/** What all calls of a client share. */
export interface ClientCore {
  readonly settings: ServiceSettings;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly runtime: Runtime;
  readonly logger: Logger;
  readonly clusters: ClusterManager;
  /** Of this machine, for `x-forwarded-for`; empty: unknown. */
  readonly localAddress: string;
  /** Stands for the connection of a client that a call has not got: it comes from this proxy itself. */
  readonly connection: ConnectionInfo;
  /** `http.async-client.`, as for all requests of the proxy's own. */
  readonly rqTotal: Counter;
  readonly rqResetAfterResponseStarted: Counter;
}
