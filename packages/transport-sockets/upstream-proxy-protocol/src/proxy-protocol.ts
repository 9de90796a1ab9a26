import {
  create,
  ProxyProtocolConfig_Version as Version,
  type ProxyProtocolConfig,
  ProxyProtocolConfigSchema,
  type ProxyProtocolUpstreamTransport,
  ProxyProtocolUpstreamTransportSchema,
  resolveExtension,
} from '@dragoman/api';
import {
  atPath,
  ConfigError,
  type ConnectionInfo,
  type Counter,
  defineTransportSocket,
  refuseUnsupported,
  type TransportOptions,
  type UpstreamTransportContext,
  type UpstreamTransportSocket,
} from '@dragoman/core';
import { LOCAL_HEADER, writeV1, writeV2 } from '@dragoman/proxy-protocol';
import { TlvSource } from './tlvs.ts';

const SUPPORTED = new Set(['config', 'transport_socket']);
const REASONS = {
  allow_unspecified_address:
    'is not built, in Envoy neither: what has no address is sent as LOCAL or UNKNOWN; remove allow_unspecified_address',
  tlv_as_pool_key:
    'is not built, in Envoy neither: connections are shared by clients with the same addresses and TLVs; remove tlv_as_pool_key',
};

/** `envoy.transport_sockets.upstream_proxy_protocol`: tells upstreams who the client is, then goes on as another transport socket does. */
export const upstreamProxyProtocol = defineTransportSocket({
  name: 'envoy.transport_sockets.upstream_proxy_protocol',
  config: ProxyProtocolUpstreamTransportSchema,
  createUpstream(message, context) {
    refuseUnsupported(message, ProxyProtocolUpstreamTransportSchema, SUPPORTED, '', REASONS);
    const config = message.config ?? create(ProxyProtocolConfigSchema);
    if (config.version === Version.V1) warnOfIdleFields(config, context);
    const tlvs = atPath('config', () => new TlvSource(config, context));
    const counter = context.clusterScope.counter('upstream.proxyprotocol.v2_tlvs_exceed_max_length');
    const preamble =
      config.version === Version.V1 ? v1Header : (...call: PreambleCall) => v2Header(tlvs, counter, ...call);
    return new ProxyProtocolSocket(createInner(message, context), preamble);
  },
});

function createInner(
  { transportSocket }: ProxyProtocolUpstreamTransport,
  context: UpstreamTransportContext,
): UpstreamTransportSocket {
  if (transportSocket === undefined) throw ConfigError.at('transport_socket', 'is required');
  const { name, configType } = transportSocket;
  return atPath('transport_socket', () => {
    const any = configType.case === 'typedConfig' ? configType.value : undefined;
    const { extension, message } = resolveExtension(context.extensions, 'transport-sockets', name, any);
    const { createUpstream } = extension;
    if (createUpstream === undefined) throw ConfigError.at('', `${extension.name} cannot be used upstream`);
    return atPath('typed_config', () => createUpstream.call(extension, message, context));
  });
}

/** A line of version 1 has no room for them. */
function warnOfIdleFields(config: ProxyProtocolConfig, context: UpstreamTransportContext): void {
  const warn = (field: string) =>
    context.warn(`ProxyProtocolUpstreamTransport.config.${field}`, 'has no effect: it needs version V2');
  if (config.passThroughTlvs !== undefined) warn('pass_through_tlvs');
  if (config.addedTlvs.length > 0) warn('added_tlvs');
}

type PreambleCall = [info: ConnectionInfo, options: TransportOptions | undefined];

/** Of a connection that no client stands behind it tells the addresses of the connection itself, as Envoy does. */
function v1Header(info: ConnectionInfo, options: TransportOptions | undefined): Buffer {
  const client = options?.proxyProtocol;
  return client === undefined
    ? writeV1(info.localAddress, info.remoteAddress)
    : writeV1(client.source, client.destination);
}

function v2Header(tlvs: TlvSource, tooLong: Counter, ...[info, options]: PreambleCall): Buffer {
  const client = options?.proxyProtocol;
  if (client === undefined) return LOCAL_HEADER;
  const { bytes, complete } = writeV2(client.source, client.destination, tlvs.tlvsFor(info, client.tlvs));
  if (!complete) tooLong.inc();
  return bytes;
}

/** The wrapped transport socket, after a header. */
class ProxyProtocolSocket implements UpstreamTransportSocket {
  readonly usesProxyProtocol = true;
  readonly wrap: UpstreamTransportSocket['wrap'];
  readonly wrapLater: UpstreamTransportSocket['wrapLater'];
  private readonly inner: UpstreamTransportSocket;
  private readonly header: (...call: PreambleCall) => Buffer;

  constructor(inner: UpstreamTransportSocket, header: (...call: PreambleCall) => Buffer) {
    this.inner = inner;
    this.header = header;
    this.wrap = inner.wrap?.bind(inner);
    this.wrapLater = inner.wrapLater?.bind(inner);
  }

  get name(): string {
    return this.inner.name;
  }

  get secure(): boolean {
    return this.inner.secure;
  }

  get serverName(): string | undefined {
    return this.inner.serverName;
  }

  get applicationProtocols(): readonly string[] | undefined {
    return this.inner.applicationProtocols;
  }

  preamble(info: ConnectionInfo, options: TransportOptions | undefined): Buffer {
    const header = this.header(info, options);
    const next = this.inner.preamble?.(info, options);
    return next === undefined ? header : Buffer.concat([header, next]);
  }

  close(): void {
    this.inner.close?.();
  }
}
