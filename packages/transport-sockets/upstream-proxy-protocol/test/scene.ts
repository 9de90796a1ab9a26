import { createFormatterFactory } from '@dragoman/access-log';
import {
  anyPack,
  create,
  type MessageInitShape,
  ProxyProtocolConfig_Version as Version,
  ProxyProtocolPassThroughTLVs_PassTLVsMatchType as MatchType,
  type ProxyProtocolConfigSchema,
  ProxyProtocolUpstreamTransportSchema,
  RawBufferSchema,
  UpstreamTlsContextSchema,
} from '@dragoman/api';
import {
  Address,
  defineTransportSocket,
  ExtensionRegistry,
  type ProxyProtocolTlv,
  type TransportOptions,
  type UpstreamTransportSocket,
} from '@dragoman/core';
import { connectionInfo, type TestContext, testContext } from '@dragoman/testing';
import { upstreamProxyProtocol } from '../src/index.ts';

export const { V1, V2 } = Version;
export const { INCLUDE, INCLUDE_ALL } = MatchType;

const rawBuffer = defineTransportSocket({
  name: 'envoy.transport_sockets.raw_buffer',
  config: RawBufferSchema,
  createUpstream: () => ({ name: 'raw_buffer', secure: false }),
});

/** Only for listeners. */
const downstreamOnly = defineTransportSocket({
  name: 'envoy.transport_sockets.tap',
  config: UpstreamTlsContextSchema,
  createDownstream: () => ({ name: 'tap', secure: false }),
});

/** Wraps `inner` where it is given, else plain sockets. */
export function contextWith(inner?: UpstreamTransportSocket): TestContext {
  const tls =
    inner === undefined
      ? downstreamOnly
      : defineTransportSocket({
          name: 'envoy.transport_sockets.tls',
          config: UpstreamTlsContextSchema,
          createUpstream: () => inner,
        });
  return testContext({
    extensions: new ExtensionRegistry([rawBuffer, tls]),
    formatters: createFormatterFactory({ hostname: 'host.test' }),
  });
}

export type Config = MessageInitShape<typeof ProxyProtocolConfigSchema>;

const packed = {
  raw: anyPack(RawBufferSchema, create(RawBufferSchema)),
  tls: anyPack(UpstreamTlsContextSchema, create(UpstreamTlsContextSchema)),
};

export function message(config: Config | undefined, wrapped: 'raw' | 'tls' = 'raw', more: object = {}) {
  return create(ProxyProtocolUpstreamTransportSchema, {
    ...(config === undefined ? {} : { config }),
    transportSocket: { name: 'wrapped', configType: { case: 'typedConfig', value: packed[wrapped] } },
    ...more,
  }) as never;
}

export function socketFor(
  config: Config | undefined,
  context: TestContext = contextWith(),
  wrapped: 'raw' | 'tls' = 'raw',
): UpstreamTransportSocket {
  const socket = upstreamProxyProtocol.createUpstream?.(message(config, wrapped), context);
  if (socket === undefined) throw new Error('it is for upstreams');
  return socket;
}

/** An upstream connection's ends. */
export const INFO = connectionInfo({
  id: 12,
  localAddress: Address.ip('174.2.2.222', 50_000),
  directRemoteAddress: Address.ip('172.0.0.1', 80),
});

export function client(
  source: string,
  destination: string,
  tlvs: readonly ProxyProtocolTlv[] = [],
): TransportOptions {
  return {
    key: 'k',
    proxyProtocol: { source: Address.of(source), destination: Address.of(destination), tlvs },
  };
}

export function tlv(type: number, value: string | Buffer): ProxyProtocolTlv {
  return { type, value: Buffer.from(value as string) };
}

export function header(config: Config | undefined, options?: TransportOptions, info = INFO): Buffer {
  const bytes = socketFor(config).preamble?.(info, options);
  if (bytes === undefined) throw new Error('no header');
  return bytes;
}
