import {
  ConfigError,
  type ConnectOptions,
  type RoutingPriority,
  type TransportOptions,
  type UpstreamTransportSocket,
} from '@dragoman/core';
import type { ClusterDependencies } from '../cluster-dependencies.ts';
import type { UpstreamClusterInfo } from '../cluster-info.ts';
import type { ClusterSettings } from '../config/cluster-settings.ts';
import { http2ClientOptions } from '../config/http2-settings.ts';
import type { UpstreamHost } from '../hosts/host.ts';
import { OverflowTexts } from './overflow-texts.ts';
import type { PoolContext } from './pool-options.ts';

/** @throws ConfigError when the cluster wants what the assembly has not */
export function poolContext(
  settings: ClusterSettings,
  info: UpstreamClusterInfo,
  dependencies: ClusterDependencies & Pick<PoolContext, 'openTcp' | 'predictive' | 'tcpUse'>,
  priority: RoutingPriority,
): PoolContext {
  const { context, connector, createCodec, openTcp, predictive, tcpUse } = dependencies;
  const { http } = settings;
  const bytes = { rxBytes: info.stats.upstreamCxRxBytesTotal, txBytes: info.stats.upstreamCxTxBytesTotal };
  const resources = info.resources(priority);
  const { limits } = resources;
  const logger = context.loggers.logger('pool');
  return {
    overflow: new OverflowTexts(settings.name, priority, limits, logger),
    maxConnectionsPerHost: limits.connectionsPerHost,
    preconnectRatio: settings.preconnectRatio,
    predictive,
    openTcp,
    tcpUse,
    clock: context.clock,
    logger,
    connector,
    createCodec,
    http2: http2Of(settings, info, dependencies),
    stats: info.stats,
    resources,
    newConnection: dependencies.newConnection,
    http,
    connectTimeoutMs: settings.connectTimeoutMs,
    connectOptions: (host, transport): ConnectOptions => {
      const { address } = host;
      const transportSocket = socketOf(host, settings.transport.standard);
      return {
        address,
        bindAddress: address.family === 'pipe' ? undefined : settings.bindAddress,
        transportSocket,
        transport: transportSocket?.usesHostName === true ? named(host, transport) : transport,
        bufferLimitBytes: settings.bufferLimitBytes,
        keepAlive: address.family === 'pipe' ? undefined : settings.keepAlive,
        stats: bytes,
      };
    },
  };
}

/** With the host's name as SNI where the stream asks for none. Pools are a host's own, so it is no part of their key. */
function named(host: UpstreamHost, wish: TransportOptions | undefined): TransportOptions | undefined {
  if (host.hostname === '' || wish?.serverName !== undefined) return wish;
  return { key: host.hostname, ...wish, serverName: host.hostname };
}

function socketOf(
  { socketChoice }: UpstreamHost,
  standard: UpstreamTransportSocket | undefined,
): UpstreamTransportSocket | undefined {
  return socketChoice === undefined ? standard : socketChoice.socket;
}

function http2Of(
  { http: { http2, codec, protocolPath } }: ClusterSettings,
  { statsScope }: UpstreamClusterInfo,
  { http2: codecs, context }: ClusterDependencies,
): PoolContext['http2'] {
  if (http2 === undefined) return undefined;
  if (codecs === undefined) throw ConfigError.at(protocolPath, 'this assembly has no HTTP/2 for upstreams');
  return {
    ...codecs,
    options: http2ClientOptions(http2, codec, context, statsScope),
  };
}
