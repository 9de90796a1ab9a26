import {
  type Address as AddressMessage,
  type CaresDnsResolverConfig,
  CaresDnsResolverConfigSchema,
  DnsResolverOptionsSchema,
  SocketAddressSchema,
} from '@dragoman/api';
import { Address, ConfigError, defineDnsResolver, refuseUnsupported } from '@dragoman/core';
import { CaresResolver, type CaresResolverOptions } from './cares-resolver.ts';

const FIELDS = new Set([
  'resolvers',
  'use_resolvers_as_fallback',
  'filter_unroutable_families',
  'dns_resolver_options',
]);
const OPTION_FIELDS = new Set(['no_default_search_domain']);
const SOCKET_FIELDS = new Set(['protocol', 'address', 'port_value', 'ipv4_compat']);
const DNS_PORT = 53;

/** @throws ConfigError with a path below the message */
export function readCaresConfig(config: CaresDnsResolverConfig): CaresResolverOptions {
  refuseUnsupported(config, CaresDnsResolverConfigSchema, FIELDS, '', {
    udp_max_queries: 'udp_max_queries cannot be set: this platform gives no way to limit queries of a socket',
  });
  const options = config.dnsResolverOptions;
  if (options !== undefined)
    refuseUnsupported(options, DnsResolverOptionsSchema, OPTION_FIELDS, 'dns_resolver_options', {
      use_tcp_for_dns_lookups: 'DNS over TCP alone is not possible with the resolver of this platform',
    });
  return {
    servers: config.resolvers.map((address, index) => readServer(address, `resolvers[${index}]`)),
    serversAsFallback: config.useResolversAsFallback,
    useSearchList: options?.noDefaultSearchDomain !== true,
    filterUnroutable: config.filterUnroutableFamilies,
  };
}

function readServer(message: AddressMessage, path: string): string {
  if (message.address.case !== 'socketAddress')
    throw ConfigError.at(path, 'must be a socket_address: a DNS server has an IP and a port');
  const socket = message.address.value;
  refuseUnsupported(socket, SocketAddressSchema, SOCKET_FIELDS, `${path}.socket_address`);
  const port = socket.portSpecifier.case === 'portValue' ? socket.portSpecifier.value : DNS_PORT;
  try {
    return Address.ip(socket.address, port === 0 ? DNS_PORT : port).text;
  } catch {
    throw ConfigError.at(`${path}.socket_address.address`, `"${socket.address}" is not an IP address`);
  }
}

const DEFAULTS: CaresResolverOptions = {
  servers: [],
  serversAsFallback: false,
  useSearchList: true,
  filterUnroutable: false,
};

/** DNS through c-ares, the default resolver. */
export const caresDnsResolver = defineDnsResolver({
  name: 'envoy.network.dns_resolver.cares',
  config: CaresDnsResolverConfigSchema,
  create: (config, context) =>
    new CaresResolver(
      config === undefined ? DEFAULTS : readCaresConfig(config),
      context.stats.scope('dns.cares'),
    ),
});
