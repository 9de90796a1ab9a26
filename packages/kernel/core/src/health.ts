import type { Address } from './address.ts';
import type { MainContext } from './context.ts';
import type { RequestEncoder, ResponseDecoder } from './http-codec.ts';
import type { Connection, ConnectionHandler } from './network.ts';
import type { StatsScope } from './stats.ts';
import type { HostDescription } from './upstream.ts';

/** What one active health check came to. */
export type HealthCheckResult =
  | {
      readonly ok: true;
      /** It works, but not well: `x-envoy-degraded`. */
      readonly degraded?: boolean;
    }
  | {
      readonly ok: false;
      /**
       * `active`: the host answered, and not as it should. `network`: it could not be reached, or the connection broke. `timeout` is not for
       * checkers: whoever calls them watches the time.
       */
      readonly kind: 'active' | 'network';
      /** It counts towards `unhealthy_threshold`; other answers of a host make it unhealthy at once. Default false. Network failures always count. */
      readonly retriable?: boolean;
      /** `x-envoy-immediate-health-check-fail`: it is left out of account too. Default false. */
      readonly immediate?: boolean;
      /** For a person, e.g. `status 503`. */
      readonly reason: string;
    };

/** The host that is checked, as its checks see it. */
export interface HealthCheckTarget {
  /** Where checks go: `health_check_config`'s address and port, `alt_port`, else the host's own. */
  readonly address: Address;
  readonly host: HostDescription;
  /** `health_check_config.hostname`; empty when there is none: then the checker's own setting counts, and at last the cluster's name, as in Envoy. */
  readonly hostname: string;
}

/** Checks one host, one check after the other. */
export interface HealthCheckSession {
  /** Begins a check. `done` is called once, perhaps before this returns; not after {@link cancel} or {@link close}. */
  check(done: (result: HealthCheckResult) => void): void;
  /** Gives the check up (its time is over). Its connection is not used again. */
  cancel(): void;
  /** The host is gone. */
  close(): void;
}

/** One entry of `health_checks`, compiled. */
export interface HealthChecker {
  session(target: HealthCheckTarget): HealthCheckSession;
}

/** HTTP spoken on one connection to a host, one request at a time on HTTP/1.1. */
export interface HealthHttpConnection {
  /** Sends a request. @returns undefined when the connection takes no more (it is ending): open another */
  request(decoder: ResponseDecoder): RequestEncoder | undefined;
  /** Ends it now. */
  close(): void;
}

export interface HealthHttpHandler {
  /** Requests can be sent. */
  onReady(): void;
  /** It is gone, or takes no more requests (GOAWAY, `connection: close`). Streams that are open have been told on their decoders. */
  onClosed(reason: string): void;
}

/** What a factory of health checkers may use besides. Connections go through the cluster's transport socket, with `tls_options` and `transport_socket_match_criteria`. */
export interface HealthCheckerContext extends MainContext {
  readonly clusterName: string;
  /** `cluster.<name>.health_check.` */
  readonly scope: StatsScope;
  /** `timeout`, ms: what a check may take. Whoever calls the checker watches it; gRPC tells it to the host (`grpc-timeout`). */
  readonly timeoutMs: number;
  /** `reuse_connection`: whether a session keeps its connection between checks. Default true. */
  readonly reuseConnection: boolean;
  /** Opens a connection. The handler gets `onConnected` when bytes can be sent. */
  connect(target: HealthCheckTarget, handler: ConnectionHandler & { onConnected(): void }): Connection;
  /** The same with HTTP on it. */
  connectHttp(
    target: HealthCheckTarget,
    protocol: 'http1' | 'http2',
    handler: HealthHttpHandler,
  ): HealthHttpConnection;
  /** Whether connections are encrypted: `:scheme` of requests. */
  readonly secure: boolean;
}
