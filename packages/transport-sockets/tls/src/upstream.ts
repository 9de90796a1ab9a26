import type { Socket } from 'node:net';
import { isIP } from 'node:net';
import { type UpstreamTlsContext, UpstreamTlsContextSchema } from '@dragoman/api';
import {
  atPath,
  type Clock,
  ConfigError,
  type ConnectionInfo,
  type Logger,
  refuseUnsupported,
  type TransportEvents,
  type TransportOptions,
  type UpstreamTransportContext,
  type UpstreamTransportSocket,
} from '@dragoman/core';
import { Live } from '@dragoman/secrets';
import { ClientContext, type ClientSettings } from './client/client-context.ts';
import { connectTls } from './client/connect.ts';
import {
  type CommonContext,
  readCommonContext,
  readMaterial,
  secretsOf,
  TLS_CONTEXT,
} from './common-context.ts';
import { certificateGroup, tellExpiration } from './expiration.ts';
import { NOT_READY } from './failures/failure-reason.ts';
import { wireProtocol } from './params/alpn.ts';
import { createFactoryStats, createSslStats, type FactoryStats, type SslStats } from './stats.ts';

const SUPPORTED = new Set([
  'common_tls_context',
  'sni',
  'auto_host_sni',
  'auto_sni_san_validation',
  'max_session_keys',
  'enforce_rsa_key_usage',
]);
const REASONS = {
  allow_renegotiation:
    'is not supported: Node cannot check the certificate of a renegotiation before bytes flow again; servers that ask for one are refused',
};

const DEFAULT_SESSION_KEYS = 1;
const MAX_SESSION_KEYS = 65_536;

/** Of UpstreamTlsContext, what every connection is made with. */
interface UpstreamSettings extends ClientSettings {
  readonly sni: string;
  readonly autoSni: boolean;
  readonly autoHostSni: boolean;
  readonly enforceKeyUsage: boolean;
}

/**
 * TLS for the connections of a cluster.
 * @throws ConfigError with paths below the UpstreamTlsContext
 */
export function createUpstreamTls(
  config: UpstreamTlsContext,
  context: UpstreamTransportContext,
): UpstreamTls {
  refuseUnsupported(config, UpstreamTlsContextSchema, SUPPORTED, '', REASONS);
  const common = atPath('common_tls_context', () =>
    readCommonContext(config.commonTlsContext, 'client', context, context.loggers.logger('connection')),
  );
  try {
    return new UpstreamTls(common, readSettings(config, common), context);
  } catch (error) {
    common.keyLog?.close();
    throw error;
  }
}

function readSettings(config: UpstreamTlsContext, common: CommonContext): UpstreamSettings {
  const { sni } = config;
  if (sni.includes('\0')) throw ConfigError.at('sni', 'SNI names containing NULL-byte are not allowed');
  if (isIP(sni) !== 0)
    throw ConfigError.at('sni', `"${sni}" is an address: a server name is a DNS name (RFC 6066)`);
  if (common.certificates.length > 1)
    throw ConfigError.at(
      'common_tls_context',
      'Multiple TLS certificates are not supported for client contexts: leave one',
    );
  if (config.autoSniSanValidation && common.validation === undefined)
    throw ConfigError.at(
      'auto_sni_san_validation',
      "'auto_sni_san_validation' was configured without a validation context",
    );
  const maxSessionKeys = config.maxSessionKeys ?? DEFAULT_SESSION_KEYS;
  return {
    params: common.params,
    sni,
    autoSni: config.autoSniSanValidation,
    autoHostSni: config.autoHostSni,
    enforceKeyUsage: config.enforceRsaKeyUsage ?? false,
    maxSessionKeys: Math.min(maxSessionKeys, MAX_SESSION_KEYS),
  };
}

/** `envoy.transport_sockets.tls` of a cluster. */
export class UpstreamTls implements UpstreamTransportSocket {
  readonly name = 'tls';
  readonly secure = true;
  readonly serverName: string;
  readonly usesHostName: boolean;
  readonly applicationProtocols: readonly string[];
  private readonly settings: UpstreamSettings;
  private readonly keyLog: CommonContext['keyLog'];
  private readonly clock: Clock;
  private readonly stats: SslStats;
  private readonly logger: Logger;
  private readonly factoryStats: FactoryStats;
  private readonly live: Live<ClientContext>;
  private readonly unregister: () => void;
  private readonly wires = new Map<string, Buffer>();

  constructor(common: CommonContext, settings: UpstreamSettings, context: UpstreamTransportContext) {
    const { clock, clusterScope, clusterName, loggers, certificates } = context;
    const factoryStats = createFactoryStats(clusterScope, 'client');
    this.settings = settings;
    this.serverName = settings.sni;
    this.usesHostName = settings.autoHostSni;
    this.applicationProtocols = common.alpn;
    this.keyLog = common.keyLog;
    this.clock = clock;
    this.stats = createSslStats(clusterScope);
    this.logger = loggers.logger('connection');
    this.factoryStats = factoryStats;
    this.live = new Live<ClientContext>({
      ...TLS_CONTEXT,
      owner: `cluster '${clusterName}'`,
      context,
      logger: loggers.logger('secret'),
      secrets: secretsOf(common),
      build: (reader) => new ClientContext(settings, readMaterial(common, settings.autoSni, reader)),
      onBuilt: ({ material }) => tellExpiration(material, this.stats),
      onUpdated: () => factoryStats.contextUpdate.inc(),
      onUpdateFailed: () => factoryStats.contextUpdateFailed.inc(),
    });
    this.unregister = certificates.register(() => certificateGroup(this.live.current?.material));
  }

  wrap(
    socket: unknown,
    info: ConnectionInfo,
    options: TransportOptions | undefined,
    events: TransportEvents,
  ): unknown {
    const context = this.live.current;
    if (context === undefined) {
      this.factoryStats.secretsNotReady.inc();
      setImmediate(() => events.onFailed(NOT_READY));
      return socket;
    }
    const serverName = options?.serverName ?? this.settings.sni;
    return connectTls(socket as Socket, events, {
      info,
      stats: this.stats,
      logger: this.logger,
      keyLog: this.keyLog,
      context,
      serverName: isIP(serverName) === 0 ? serverName : '',
      alpn: this.protocolsFor(options),
      verifySubjectAltNames: options?.verifySubjectAltNames,
      enforceKeyUsage: this.settings.enforceKeyUsage,
      now: () => this.clock.wallTime(),
    });
  }

  /** Stops watching files and secrets. Connections that are there go on. */
  close(): void {
    this.live.close();
    this.unregister();
    this.keyLog?.close();
  }

  private protocolsFor(options: TransportOptions | undefined): Buffer | undefined {
    const { applicationProtocols: asked = [], applicationProtocolsFallback: fallback = [] } = options ?? {};
    const own = this.applicationProtocols;
    const list = asked.length > 0 ? asked : own.length > 0 ? own : fallback;
    return list.length === 0 ? undefined : this.wireOf(list);
  }

  /** There are few lists: those of the config, and of the pools. */
  private wireOf(protocols: readonly string[]): Buffer {
    const key = protocols.join(',');
    let wire = this.wires.get(key);
    if (wire === undefined) {
      wire = Buffer.concat(protocols.map(wireProtocol));
      this.wires.set(key, wire);
    }
    return wire;
  }
}
