import {
  anyTypeName,
  CaresDnsResolverConfigSchema,
  create,
  DnsCacheCircuitBreakersSchema,
  type DnsCacheConfig,
  DnsCacheConfigSchema,
  durationMs,
  SocketAddressSchema,
  unpackAny,
} from '@dragoman/api';
import {
  atPath,
  ConfigError,
  type DnsLookupFamily,
  type DnsResolver,
  type FactoryContext,
  ProblemCollector,
  refuseUnsupported,
} from '@dragoman/core';
import { type FailureRate, lookupFamily, readFailureRate } from '@dragoman/endpoints';
import { authorityKey } from './authority.ts';

/** `DnsCacheConfig`, read and checked. Times are milliseconds. */
export interface DnsCacheSettings {
  readonly name: string;
  readonly family: DnsLookupFamily;
  /** `dns_refresh_rate`: after an answer without addresses or TTL. Default 60,000. */
  readonly refreshMs: number;
  /** `dns_min_refresh_rate`: no TTL is taken for less. Default 5,000. */
  readonly minRefreshMs: number;
  /** `host_ttl`: unused hosts go. Default 300,000. */
  readonly hostTtlMs: number;
  /** Default 1,024. */
  readonly maxHosts: number;
  /** `dns_failure_refresh_rate`; undefined: {@link refreshMs}. */
  readonly failure: FailureRate | undefined;
  /** `dns_cache_circuit_breaker.max_pending_requests`. Default 1,024. */
  readonly maxPendingRequests: number;
  /** `host:port`. */
  readonly preresolve: readonly string[];
  /** `dns_query_timeout`; 0: none. Default 5,000. */
  readonly queryTimeoutMs: number;
  createResolver(): DnsResolver;
}

const FIELDS = new Set([
  'name',
  'dns_lookup_family',
  'dns_refresh_rate',
  'dns_min_refresh_rate',
  'host_ttl',
  'max_hosts',
  'dns_failure_refresh_rate',
  'dns_cache_circuit_breaker',
  'dns_resolution_config',
  'typed_dns_resolver_config',
  'preresolve_hostnames',
  'dns_query_timeout',
]);
const REASONS = {
  key_value_config: 'what is resolved is kept in memory alone; remove it',
  use_tcp_for_dns_lookups: 'DNS over TCP alone is not possible with the resolver of this platform',
};
const BREAKER_FIELDS = new Set(['max_pending_requests']);
const SOCKET_FIELDS = new Set(['protocol', 'address', 'port_value']);
const CARES = 'envoy.network.dns_resolver.cares';
const DEFAULT_REFRESH_MS = 60_000;
const DEFAULT_MIN_REFRESH_MS = 5_000;
const DEFAULT_HOST_TTL_MS = 300_000;
const DEFAULT_QUERY_TIMEOUT_MS = 5_000;
const DEFAULT_MAX_HOSTS = 1_024;
const DEFAULT_MAX_PENDING = 1_024;

/** @throws ConfigError with every problem, paths relative to the message */
export function readDnsCache(config: DnsCacheConfig, context: FactoryContext): DnsCacheSettings {
  const problems = new ProblemCollector();
  problems.try('', () => refuseUnsupported(config, DnsCacheConfigSchema, FIELDS, '', REASONS));
  if (config.name === '') problems.add('name', 'is empty: a cache needs a name');
  const refreshMs = durationMs(config.dnsRefreshRate) ?? DEFAULT_REFRESH_MS;
  if (!(refreshMs >= 1)) problems.add('dns_refresh_rate', 'must be at least 1 ms');
  const minRefreshMs = durationMs(config.dnsMinRefreshRate) ?? DEFAULT_MIN_REFRESH_MS;
  if (!(minRefreshMs >= 1_000)) problems.add('dns_min_refresh_rate', 'must be at least 1 s');
  const hostTtlMs = durationMs(config.hostTtl) ?? DEFAULT_HOST_TTL_MS;
  if (!(hostTtlMs > 0)) problems.add('host_ttl', 'must be more than 0 s');
  const queryTimeoutMs = durationMs(config.dnsQueryTimeout) ?? DEFAULT_QUERY_TIMEOUT_MS;
  if (queryTimeoutMs < 0) problems.add('dns_query_timeout', 'must not be negative');
  const maxHosts = config.maxHosts ?? DEFAULT_MAX_HOSTS;
  if (maxHosts === 0) problems.add('max_hosts', 'must be more than 0');
  const failure = problems.try('dns_failure_refresh_rate', () =>
    readFailureRate(config.dnsFailureRefreshRate),
  );
  const preresolve = problems.try('', () => readNames(config)) ?? [];
  if (preresolve.length > maxHosts)
    problems.add('preresolve_hostnames', `are ${preresolve.length}, more than max_hosts (${maxHosts})`);
  const { dnsCacheCircuitBreaker: breaker } = config;
  if (breaker !== undefined)
    problems.try('dns_cache_circuit_breaker', () =>
      refuseUnsupported(breaker, DnsCacheCircuitBreakersSchema, BREAKER_FIELDS),
    );
  const createResolver = problems.try('', () => resolverOf(config, context));
  problems.throwIfAny();
  return {
    name: config.name,
    family: lookupFamily(config.dnsLookupFamily),
    refreshMs,
    minRefreshMs,
    hostTtlMs,
    maxHosts,
    failure,
    maxPendingRequests: breaker?.maxPendingRequests ?? DEFAULT_MAX_PENDING,
    preresolve,
    queryTimeoutMs,
    createResolver: createResolver as () => DnsResolver,
  };
}

function readNames(config: DnsCacheConfig): string[] {
  return config.preresolveHostnames.map((socket, index) => {
    const path = `preresolve_hostnames[${index}]`;
    refuseUnsupported(socket, SocketAddressSchema, SOCKET_FIELDS, path);
    const { address, portSpecifier: port } = socket;
    if (address === '') throw ConfigError.at(`${path}.address`, 'is empty: name a host');
    if (port.case !== 'portValue') throw ConfigError.at(`${path}.port_value`, 'is missing');
    return authorityKey(address, port.value);
  });
}

/** The extension that resolves; what is wrong with its config is found when it is made, once, to be closed again. */
function resolverOf(config: DnsCacheConfig, context: FactoryContext): () => DnsResolver {
  const { typedDnsResolverConfig: typed, dnsResolutionConfig: resolution } = config;
  if (typed === undefined) {
    const extension = context.extensions.resolve(
      'dns-resolvers',
      CARES,
      CaresDnsResolverConfigSchema.typeName,
      'typed_dns_resolver_config',
    );
    const message = resolution && create(CaresDnsResolverConfigSchema, { ...omitType(resolution) });
    return checked(() => atPath('dns_resolution_config', () => extension.create(message as never, context)));
  }
  const path = 'typed_dns_resolver_config';
  const any = typed.typedConfig;
  const typeName = any === undefined ? undefined : anyTypeName(any);
  const extension = context.extensions.resolve('dns-resolvers', typed.name, typeName, path);
  return checked(() =>
    atPath(`${path}.typed_config`, () =>
      extension.create((any === undefined ? undefined : unpackAny(any)) as never, context),
    ),
  );
}

function omitType({ resolvers, dnsResolverOptions }: NonNullable<DnsCacheConfig['dnsResolutionConfig']>) {
  return { resolvers, dnsResolverOptions };
}

function checked(make: () => DnsResolver): () => DnsResolver {
  make().close();
  return make;
}
