import {
  type DownstreamTlsContext,
  DownstreamTlsContext_OcspStaplePolicy as Policy,
  DownstreamTlsContextSchema,
  durationMs,
} from '@dragoman/api';
import type { OcspStaplePolicy } from '@dragoman/certificates';
import {
  atPath,
  ConfigError,
  type ConnectionInfo,
  type DownstreamTransportSocket,
  type ListenerFactoryContext,
  refuseUnsupported,
  type TransportAccept,
} from '@dragoman/core';
import { type CommonContext, readCommonContext, readMaterial } from './common-context.ts';
import { certificateGroup, tellExpiration } from './expiration.ts';
import { Live } from './secrets/live.ts';
import { type AcceptOptions, ServerAccept } from './server/accept.ts';
import { ServerContext, type ServerSettings } from './server/server-context.ts';
import { createFactoryStats, createSslStats, type SslStats } from './stats.ts';

const SUPPORTED = new Set([
  'common_tls_context',
  'require_client_certificate',
  'require_sni',
  'disable_stateless_session_resumption',
  'disable_stateful_session_resumption',
  'session_timeout',
  'ocsp_staple_policy',
  'full_scan_certs_on_sni_mismatch',
  'prefer_client_ciphers',
]);
const TICKET_KEYS =
  'is not supported: Node encrypts session tickets with one key of 48 bytes, Envoy with several of 80 that can be replaced; without it all workers share keys of their own making';
const REASONS = {
  session_ticket_keys: TICKET_KEYS,
  session_ticket_keys_sds_secret_config: TICKET_KEYS,
};
const MAX_TIMEOUT_SECONDS = 2 ** 31 - 1;

const POLICIES: Readonly<Record<number, OcspStaplePolicy>> = {
  [Policy.LENIENT_STAPLING]: 'LENIENT_STAPLING',
  [Policy.STRICT_STAPLING]: 'STRICT_STAPLING',
  [Policy.MUST_STAPLE]: 'MUST_STAPLE',
};

/**
 * TLS for the connections of a filter chain.
 * @throws ConfigError with paths below the DownstreamTlsContext
 */
export function createDownstreamTls(
  config: DownstreamTlsContext,
  context: ListenerFactoryContext,
): DownstreamTls {
  refuseUnsupported(config, DownstreamTlsContextSchema, SUPPORTED, '', REASONS);
  const common = atPath('common_tls_context', () =>
    readCommonContext(config.commonTlsContext, 'server', context, context.loggers.logger('connection')),
  );
  if (common.certificates.length === 0)
    throw ConfigError.at(
      'common_tls_context.tls_certificates',
      'No TLS certificates found for server context: give tls_certificates or tls_certificate_sds_secret_configs',
    );
  try {
    return new DownstreamTls(common, readSettings(config, common, context), context);
  } catch (error) {
    common.keyLog?.close();
    throw error;
  }
}

function readSettings(
  config: DownstreamTlsContext,
  common: CommonContext,
  context: ListenerFactoryContext,
): ServerSettings {
  const requireClientCertificate = config.requireClientCertificate ?? false;
  if (requireClientCertificate && common.validation === undefined)
    context.warn(
      'require_client_certificate',
      'there is no validation context: clients need a certificate, and any will do',
    );
  const timeoutMs = durationMs(config.sessionTimeout);
  const { sessionTicketKeysType: tickets } = config;
  return {
    params: common.params,
    alpn: common.alpn,
    requireClientCertificate,
    requireSni: config.requireSni ?? false,
    fullScan: config.fullScanCertsOnSniMismatch ?? false,
    staplePolicy: POLICIES[config.ocspStaplePolicy] ?? 'LENIENT_STAPLING',
    preferClientCiphers: config.preferClientCiphers,
    tickets: !(tickets.case === 'disableStatelessSessionResumption' && tickets.value),
    statefulSessions: !config.disableStatefulSessionResumption,
    sessionTimeout:
      timeoutMs === undefined ? undefined : Math.min(Math.floor(timeoutMs / 1000), MAX_TIMEOUT_SECONDS),
  };
}

/** `envoy.transport_sockets.tls` on a listener. */
export class DownstreamTls implements DownstreamTransportSocket {
  readonly name = 'tls';
  readonly secure = true;
  private readonly options: AcceptOptions;
  private readonly live: Live<ServerContext>;
  private readonly stats: SslStats;
  private readonly unregister: () => void;
  private readonly keyLog: CommonContext['keyLog'];

  constructor(common: CommonContext, settings: ServerSettings, context: ListenerFactoryContext) {
    const { clock, listenerScope, listenerName, loggers, certificates } = context;
    this.stats = createSslStats(listenerScope);
    this.keyLog = common.keyLog;
    const factoryStats = createFactoryStats(listenerScope, 'server');
    this.live = new Live<ServerContext>({
      owner: `listener '${listenerName}'`,
      clock,
      logger: loggers.logger('secret'),
      stats: factoryStats,
      build: (reader) =>
        new ServerContext(
          settings,
          readMaterial(common, false, reader),
          clock.wallTime(),
          context.processKey,
        ),
      onBuilt: ({ material }) => tellExpiration(material, this.stats),
    });
    this.unregister = certificates.register(() => certificateGroup(this.live.current?.material));
    this.options = {
      clock,
      stats: this.stats,
      logger: loggers.logger('connection'),
      factoryStats,
      keyLog: common.keyLog,
      context: () => this.contextNow(clock.wallTime()),
    };
  }

  accept(info: ConnectionInfo): TransportAccept {
    return new ServerAccept(info, this.options);
  }

  /** Stops watching files. Connections that are there go on. */
  close(): void {
    this.live.close();
    this.unregister();
    this.keyLog?.close();
  }

  private contextNow(nowMs: number): ServerContext | undefined {
    const { current } = this.live;
    if (current?.isStale(nowMs) === true) this.live.current = current.renewed(nowMs);
    return this.live.current;
  }
}
