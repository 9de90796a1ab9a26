import {
  type Any,
  checkConstraints,
  type DescMessage,
  type ExtensionConfigSource,
  type Filter,
  type HttpConnectionManager,
  type HttpFilter,
  type ListenerFilter,
  type Message,
  RouteConfigurationSchema,
  type SdsSecretConfig,
  SecretSchema,
  TypedExtensionConfigSchema,
  type Visitor,
} from '@dragoman/api';
import type { ResourceReference } from '@dragoman/core';

/** A resource that a config names, and where its subscription counts. */
export interface FoundReference extends ResourceReference {
  /** Of the server's stats. */
  readonly statPrefix: string;
}

/** Every resource that a config names in place of holding it, also inside `Any`; each once. */
export function referencesIn(message: Message, type: DescMessage): readonly FoundReference[] {
  const found: FoundReference[] = [];
  const visit = <M>(read: (message: M) => FoundReference | undefined): Visitor[] => [
    ((one: M) => {
      const reference = read(one);
      if (reference !== undefined) found.push(reference);
    }) as unknown as Visitor,
  ];
  // What is wrong with it otherwise is for others to say.
  checkConstraints(type, message, {
    visitors: new Map([
      [
        'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
        visit(routesOfManager),
      ],
      [
        'envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter',
        visit((filter: HttpFilter) => extension(filter, 'http_filter')),
      ],
      ['envoy.config.listener.v3.Filter', visit((filter: Filter) => extension(filter, 'network_filter'))],
      [
        'envoy.config.listener.v3.ListenerFilter',
        visit((filter: ListenerFilter) => extension(filter, 'listener_filter')),
      ],
      ['envoy.extensions.transport_sockets.tls.v3.SdsSecretConfig', visit(secret)],
    ]),
  });
  return found;
}

function routesOfManager({ routeSpecifier, statPrefix }: HttpConnectionManager): FoundReference | undefined {
  if (routeSpecifier.case !== 'rds') return undefined;
  const { configSource, routeConfigName: name } = routeSpecifier.value;
  if (configSource === undefined) return undefined;
  return {
    type: RouteConfigurationSchema,
    source: configSource,
    name,
    statPrefix: `http.${statPrefix}.rds.${name}`,
  };
}

interface ConfiguredFilter {
  readonly name: string;
  readonly configType:
    | { readonly case: 'configDiscovery'; readonly value: ExtensionConfigSource }
    | { readonly case: 'typedConfig'; readonly value: Any }
    | { readonly case: undefined };
}

function extension(filter: ConfiguredFilter, kind: string): FoundReference | undefined {
  const { name, configType } = filter;
  if (configType.case !== 'configDiscovery' || configType.value.configSource === undefined) return undefined;
  return {
    type: TypedExtensionConfigSchema,
    source: configType.value.configSource,
    name,
    statPrefix: `extension_config_discovery.${kind}.${name}`,
  };
}

/** Files each thread reads for itself: with a secret it follows the files that the secret names. */
function secret({ name, sdsConfig: source }: SdsSecretConfig): FoundReference | undefined {
  const how = source?.configSourceSpecifier.case;
  if (source === undefined || how === 'path' || how === 'pathConfigSource') return undefined;
  return { type: SecretSchema, source, name, statPrefix: `sds.${name}` };
}
