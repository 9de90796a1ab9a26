import { randomBytes } from 'node:crypto';
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
import {
  inlineSecret,
  Live,
  namedSecret,
  readAll,
  type SecretRef,
  type SourceReader,
  useSecret,
} from '@dragoman/secrets';
import {
  type CommonContext,
  type Material,
  readCommonContext,
  readMaterial,
  secretsOf,
  TLS_CONTEXT,
} from './common-context.ts';
import { certificateGroup, tellExpiration } from './expiration.ts';
import { Intermediates } from './peer-chain.ts';
import { type AcceptOptions, ServerAccept } from './server/accept.ts';
import {
  ServerContext,
  type ServerMemory,
  type ServerParts,
  type ServerSettings,
} from './server/server-context.ts';
import { readTicketKeys } from './server/ticket-keys.ts';
import { createFactoryStats, createSslStats, type SslStats } from './stats.ts';

const SUPPORTED = new Set([
  'common_tls_context',
  'require_client_certificate',
  'require_sni',
  'session_ticket_keys',
  'session_ticket_keys_sds_secret_config',
  'disable_stateless_session_resumption',
  'disable_stateful_session_resumption',
  'session_timeout',
  'ocsp_staple_policy',
  'full_scan_certs_on_sni_mismatch',
  'prefer_client_ciphers',
]);
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
  refuseUnsupported(config, DownstreamTlsContextSchema, SUPPORTED, '');
  const common = atPath('common_tls_context', () =>
    readCommonContext(config.commonTlsContext, 'server', context, context.loggers.logger('connection')),
  );
  if (common.certificates.length === 0)
    throw ConfigError.at(
      'common_tls_context.tls_certificates',
      'No TLS certificates found for server context: give tls_certificates or tls_certificate_sds_secret_configs',
    );
  try {
    const settings = readSettings(config, common, context);
    return new DownstreamTls(common, ticketKeysRef(config, context), settings, context);
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
  const clientCertificates = requireClientCertificate || common.validation !== undefined;
  if (clientCertificates && config.sessionTicketKeysType.case?.startsWith('sessionTicketKeys'))
    context.warn(
      '',
      'clients show certificates here, so that a ticket is good only on the worker that gave it, whatever the keys: elsewhere the handshake is a full one',
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

function ticketKeysRef(
  { sessionTicketKeysType: type }: DownstreamTlsContext,
  context: ListenerFactoryContext,
): SecretRef<'sessionTicketKeys'> | undefined {
  switch (type.case) {
    case 'sessionTicketKeys':
      return inlineSecret('sessionTicketKeys', type.value, '', 'session_ticket_keys');
    case 'sessionTicketKeysSdsSecretConfig': {
      const path = 'session_ticket_keys_sds_secret_config';
      return atPath(path, () => namedSecret(type.value, 'sessionTicketKeys', path, context));
    }
    default:
      return undefined;
  }
}

function readParts(
  common: CommonContext,
  tickets: SecretRef<'sessionTicketKeys'> | undefined,
  reader: SourceReader,
): ServerParts {
  const [material, ticketKeys] = readAll<[Material, readonly Buffer[] | undefined]>(
    () => readMaterial(common, false, reader),
    () => tickets && useSecret(tickets, reader, (keys) => readTicketKeys(keys, reader)),
  );
  return { material, ticketKeys };
}

const TICKET_SALT_BYTES = 32;

/** `envoy.transport_sockets.tls` on a listener. */
export class DownstreamTls implements DownstreamTransportSocket {
  readonly name = 'tls';
  readonly secure = true;
  private readonly options: AcceptOptions;
  private readonly live: Live<ServerContext>;
  private readonly stats: SslStats;
  private readonly unregister: () => void;
  private readonly keyLog: CommonContext['keyLog'];

  constructor(
    common: CommonContext,
    tickets: SecretRef<'sessionTicketKeys'> | undefined,
    settings: ServerSettings,
    context: ListenerFactoryContext,
  ) {
    const { clock, listenerScope, listenerName, loggers, certificates, processKey } = context;
    const memory: ServerMemory = {
      processKey,
      ticketSalt: randomBytes(TICKET_SALT_BYTES),
      intermediates: new Intermediates(),
    };
    this.stats = createSslStats(listenerScope);
    this.keyLog = common.keyLog;
    const factoryStats = createFactoryStats(listenerScope, 'server');
    this.live = new Live<ServerContext>({
      ...TLS_CONTEXT,
      owner: `listener '${listenerName}'`,
      context,
      logger: loggers.logger('secret'),
      secrets: tickets === undefined ? secretsOf(common) : [...secretsOf(common), tickets],
      build: (reader) =>
        new ServerContext(settings, readParts(common, tickets, reader), clock.wallTime(), memory),
      onBuilt: ({ material }) => tellExpiration(material, this.stats),
      onUpdated: () => factoryStats.contextUpdate.inc(),
      onUpdateFailed: () => factoryStats.contextUpdateFailed.inc(),
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

  /** Stops watching files and secrets. Connections that are there go on. */
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
