import {
  type StartTlsConfig,
  StartTlsConfigSchema,
  type UpstreamStartTlsConfig,
  UpstreamStartTlsConfigSchema,
} from '@dragoman/api';
import {
  atPath,
  ConfigError,
  type DownstreamTransportSocket,
  type ExtensionRegistry,
  type ListenerFactoryContext,
  type TransportSocketExtension,
  type UpstreamTransportContext,
  type UpstreamTransportSocket,
} from '@dragoman/core';

/** As connections report it while they are plain, and after: Envoy's. */
const NAME = 'starttls';
const TLS = 'envoy.transport_sockets.tls';
const TLS_FIELD = 'tls_socket_config';

type Config = StartTlsConfig | UpstreamStartTlsConfig;

/** `envoy.transport_sockets.starttls`: plain until a filter calls `connection.startSecureTransport()`, TLS from then on. */
export const starttls: TransportSocketExtension = {
  category: 'transport-sockets',
  name: 'envoy.transport_sockets.starttls',
  config: StartTlsConfigSchema,
  configAliases: [UpstreamStartTlsConfigSchema],

  createDownstream(config: Config, context: ListenerFactoryContext): DownstreamTransportSocket {
    if (config.$typeName !== StartTlsConfigSchema.typeName)
      throw wrongSide(config, StartTlsConfigSchema.typeName);
    const { extension, message } = tlsOf(config, context.extensions);
    const { createDownstream } = extension;
    if (createDownstream === undefined)
      throw ConfigError.at(TLS_FIELD, `${extension.name} cannot be used on a listener`);
    const tls = atPath(TLS_FIELD, () => createDownstream.call(extension, message, context));
    // Not secure: what filters and routes see of a connection before it turns holds for all of it, as in Envoy.
    return { name: NAME, secure: false, acceptLater: tls.accept?.bind(tls), close: () => tls.close?.() };
  },

  createUpstream(config: Config, context: UpstreamTransportContext): UpstreamTransportSocket {
    if (config.$typeName !== UpstreamStartTlsConfigSchema.typeName)
      throw wrongSide(config, UpstreamStartTlsConfigSchema.typeName);
    const { extension, message } = tlsOf(config, context.extensions);
    const { createUpstream } = extension;
    if (createUpstream === undefined)
      throw ConfigError.at(TLS_FIELD, `${extension.name} cannot be used upstream`);
    return new UpstreamStartTls(atPath(TLS_FIELD, () => createUpstream.call(extension, message, context)));
  },
};

function wrongSide({ $typeName }: Config, expected: string): ConfigError {
  return ConfigError.at('', `expected ${expected}, found ${$typeName}`);
}

/** The TLS transport socket of the assembly, with the config for it. */
function tlsOf(
  { tlsSocketConfig }: Config,
  extensions: ExtensionRegistry,
): { readonly extension: TransportSocketExtension; readonly message: never } {
  if (tlsSocketConfig === undefined) throw ConfigError.at(TLS_FIELD, 'is required');
  const extension = extensions.resolve('transport-sockets', TLS, tlsSocketConfig.$typeName, TLS_FIELD);
  return { extension, message: tlsSocketConfig as never };
}

class UpstreamStartTls implements UpstreamTransportSocket {
  readonly name = NAME;
  readonly secure = false;
  readonly wrapLater: UpstreamTransportSocket['wrap'];
  private readonly tls: UpstreamTransportSocket;

  constructor(tls: UpstreamTransportSocket) {
    this.tls = tls;
    this.wrapLater = tls.wrap?.bind(tls);
  }

  get serverName(): string | undefined {
    return this.tls.serverName;
  }

  get applicationProtocols(): readonly string[] | undefined {
    return this.tls.applicationProtocols;
  }

  close(): void {
    this.tls.close?.();
  }
}
