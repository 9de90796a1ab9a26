import {
  type DownstreamTlsContext,
  DownstreamTlsContextSchema,
  type UpstreamTlsContext,
  UpstreamTlsContextSchema,
} from '@dragoman/api';
import {
  ConfigError,
  defineTransportSocket,
  type DownstreamTransportSocket,
  type ListenerFactoryContext,
  type TransportSocketExtension,
  type UpstreamTransportContext,
  type UpstreamTransportSocket,
} from '@dragoman/core';
import { createDownstreamTls } from './downstream.ts';
import { createUpstreamTls } from './upstream.ts';

const NAME = 'envoy.transport_sockets.tls';

/** `envoy.transport_sockets.tls` for listeners only; an assembly that has {@link tls} does not list it. */
export const downstreamTls: TransportSocketExtension = defineTransportSocket({
  name: NAME,
  config: DownstreamTlsContextSchema,
  createDownstream: createDownstreamTls,
});

/** `envoy.transport_sockets.tls` for clusters only; an assembly that has {@link tls} does not list it. */
export const upstreamTls: TransportSocketExtension = defineTransportSocket({
  name: NAME,
  config: UpstreamTlsContextSchema,
  createUpstream: createUpstreamTls,
});

type Config = DownstreamTlsContext | UpstreamTlsContext;

/** `envoy.transport_sockets.tls`, both sides: each has a message of its own. */
export const tls: TransportSocketExtension = {
  category: 'transport-sockets',
  name: NAME,
  config: DownstreamTlsContextSchema,
  configAliases: [UpstreamTlsContextSchema],

  createDownstream(config: Config, context: ListenerFactoryContext): DownstreamTransportSocket {
    if (config.$typeName !== DownstreamTlsContextSchema.typeName)
      throw wrongSide(config, DownstreamTlsContextSchema.typeName);
    return createDownstreamTls(config, context);
  },

  createUpstream(config: Config, context: UpstreamTransportContext): UpstreamTransportSocket {
    if (config.$typeName !== UpstreamTlsContextSchema.typeName)
      throw wrongSide(config, UpstreamTlsContextSchema.typeName);
    return createUpstreamTls(config, context);
  },
};

function wrongSide({ $typeName }: Config, expected: string): ConfigError {
  return ConfigError.at('', `expected ${expected}, found ${$typeName}`);
}
