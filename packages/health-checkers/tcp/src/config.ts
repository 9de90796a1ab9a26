import {
  type HealthCheck_TcpHealthCheck as TcpHealthCheck,
  HealthCheck_TcpHealthCheckSchema as TcpHealthCheckSchema,
  ProxyProtocolConfig_Version as Version,
  type ProxyProtocolConfig,
  ProxyProtocolConfigSchema,
} from '@dragoman/api';
import { atPath, type Connection, refuseUnsupported } from '@dragoman/core';
import { decodePayload } from '@dragoman/health-checking';
import { LOCAL_HEADER, writeV1 } from '@dragoman/proxy-protocol';

/** A `tcp_health_check`, compiled. */
export interface TcpCheckOptions {
  /** Undefined for none. */
  readonly send: Buffer | undefined;
  /** Empty: a connection is all that is asked for. */
  readonly receive: readonly Buffer[];
  /** The PROXY protocol header that a connection begins with. */
  readonly preamble: ((connection: Connection) => Buffer) | undefined;
}

const SUPPORTED: ReadonlySet<string> = new Set(['send', 'receive', 'proxy_protocol_config']);
const UNUSED = 'has no effect on health checks: their headers carry no TLVs; remove it';
const REASONS = { pass_through_tlvs: UNUSED, added_tlvs: UNUSED };

/** @throws ConfigError with a path below the `tcp_health_check` */
export function parseConfig(config: TcpHealthCheck): TcpCheckOptions {
  refuseUnsupported(config, TcpHealthCheckSchema, SUPPORTED);
  const { send, receive, proxyProtocolConfig } = config;
  const blocks = receive.map((payload, i) => atPath(`receive[${i}]`, () => decodePayload(payload)));
  const bytes = send === undefined ? undefined : atPath('send', () => decodePayload(send));
  return {
    send: bytes?.length === 0 ? undefined : bytes,
    receive: blocks.filter(({ length }) => length > 0),
    preamble: proxyProtocolConfig === undefined ? undefined : preambleOf(proxyProtocolConfig),
  };
}

/** Version 1 tells the ends of the connection, version 2 that it is the proxy's own (`LOCAL`). */
function preambleOf(config: ProxyProtocolConfig): (connection: Connection) => Buffer {
  refuseUnsupported(
    config,
    ProxyProtocolConfigSchema,
    new Set(['version']),
    'proxy_protocol_config',
    REASONS,
  );
  if (config.version === Version.V2) return () => LOCAL_HEADER;
  return ({ info }) => writeV1(info.localAddress, info.remoteAddress);
}
