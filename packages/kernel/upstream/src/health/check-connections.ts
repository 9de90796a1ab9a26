import type {
  ClientCodecHandler,
  ConnectHandler,
  Connection,
  Connector,
  HealthCheckerContext,
  HealthCheckTarget,
  HealthHttpConnection,
  HealthHttpHandler,
  MainContext,
  StatsScope,
  TransportOptions,
  UpstreamTransportSocket,
} from '@dragoman/core';
import type { Http2ClientHandler, Http2ClientOptions, Http2Sessions } from '@dragoman/http2';
import type { HttpSettings } from '../config/http-options.ts';
import { http2ClientOptions, readHttp2Settings } from '../config/http2-settings.ts';
import {
  allSockets,
  matchFor,
  TRANSPORT_SOCKET_MATCH,
  type TransportSockets,
} from '../config/transport-sockets.ts';
import type { CreateClientCodec, Http2Codecs } from '../pool/pool-options.ts';
import { Http1Check, Http2Check } from './check-http.ts';
import type { HealthSettings } from './health-settings.ts';

/** What opens connections on main. */
export interface HealthConnector {
  readonly connector: Connector;
  readonly createCodec: CreateClientCodec;
  /** Undefined: the assembly has no HTTP/2. */
  readonly http2: Http2Codecs | undefined;
}

export interface CheckConnectionsOptions extends HealthConnector {
  readonly sockets: TransportSockets;
  readonly settings: HealthSettings;
  readonly bufferLimitBytes: number;
  readonly http: HttpSettings;
}

/** Opens the connections of the checks of one cluster. */
export class CheckConnections {
  readonly options: CheckConnectionsOptions;
  private http2: { readonly options: Http2ClientOptions; readonly sessions: Http2Sessions } | undefined =
    undefined;

  constructor(options: CheckConnectionsOptions) {
    this.options = options;
  }

  get secure(): boolean {
    return this.options.sockets.standard?.secure ?? false;
  }

  /** @param protocols what ALPN offers where neither config nor `tls_options` say it */
  connect(target: HealthCheckTarget, handler: ConnectHandler, protocols: readonly string[] = []): Connection {
    const { connector, bufferLimitBytes, settings } = this.options;
    const transportSocket = this.socketFor(target);
    const { alpnProtocols } = settings;
    const transport: TransportOptions = {
      key: 'health check',
      serverName: transportSocket?.usesHostName === true ? target.host.hostname || undefined : undefined,
      applicationProtocols: alpnProtocols.length === 0 ? undefined : alpnProtocols,
      applicationProtocolsFallback: protocols,
    };
    return connector.connect(
      { address: target.address, transportSocket, transport, bufferLimitBytes },
      handler,
    );
  }

  connectHttp(
    context: MainContext,
    scope: StatsScope,
    target: HealthCheckTarget,
    protocol: 'http1' | 'http2',
    handler: HealthHttpHandler,
  ): HealthHttpConnection {
    const { createCodec, http2: codecs, http } = this.options;
    if (protocol === 'http1') {
      const codec = (connection: Connection, owner: ClientCodecHandler) =>
        createCodec(connection, owner, http.codec);
      return new Http1Check((owner) => this.connect(target, owner, ['http/1.1']), codec, handler);
    }
    if (codecs === undefined) throw new Error('this assembly has no HTTP/2 for upstreams');
    const { options, sessions } = this.http2With(codecs, context, scope);
    const codec = (connection: Connection, owner: Http2ClientHandler) =>
      codecs.createCodec(connection, owner, options, sessions);
    return new Http2Check((owner) => this.connect(target, owner, ['h2']), codec, handler);
  }

  close(): void {
    for (const socket of allSockets(this.options.sockets)) socket.close?.();
  }

  private socketFor({ host }: HealthCheckTarget): UpstreamTransportSocket | undefined {
    const { sockets, settings } = this.options;
    const { socketCriteria } = settings;
    const metadata =
      socketCriteria === undefined ? host.metadata : new Map([[TRANSPORT_SOCKET_MATCH, socketCriteria]]);
    const match = matchFor(sockets.matches, metadata);
    return match === undefined ? sockets.standard : match.socket;
  }

  private http2With(codecs: Http2Codecs, context: MainContext, scope: StatsScope) {
    const { http } = this.options;
    this.http2 ??= {
      sessions: codecs.createSessions(),
      options: http2ClientOptions(http.http2 ?? readHttp2Settings(undefined), http.codec, context, scope),
    };
    return this.http2;
  }
}

/** A checker's view of all that. */
export function checkerContext({
  clusterName,
  scope,
  context,
  settings,
  connections,
}: {
  readonly clusterName: string;
  /** `cluster.<name>.health_check` */
  readonly scope: StatsScope;
  readonly context: MainContext;
  readonly settings: HealthSettings;
  readonly connections: CheckConnections;
}): HealthCheckerContext {
  return Object.assign(Object.create(context) as MainContext, {
    clusterName,
    scope,
    timeoutMs: settings.timeoutMs,
    reuseConnection: settings.reuseConnection,
    secure: connections.secure,
    connect: (target: HealthCheckTarget, handler: ConnectHandler) => connections.connect(target, handler),
    connectHttp: (target: HealthCheckTarget, protocol: 'http1' | 'http2', handler: HealthHttpHandler) =>
      connections.connectHttp(context, scope, target, protocol, handler),
  });
}
