import {
  DiscoveredExtension,
  durationMs,
  type ExtensionConfigSource,
  type Listener,
  ListenerSchema,
  resolveExtension,
} from '@dragoman/api';
import {
  atPath,
  ConfigError,
  type ListenerFactoryContext,
  type ListenerFilter,
  neverOverloaded,
  OwnedResources,
  ProblemCollector,
  refuseUnsupported,
  type TimeoutScale,
  type WorkerContext,
} from '@dragoman/core';
import { type BindTarget, readBindTarget } from './addresses.ts';
import { type CompiledChain, compileChain, readMetadata } from './filter-chain.ts';
import { FilterChainMatcher, type FilterChains } from './filter-chain-match.ts';
import { FilterChainTree, type NamedChain } from './filter-chain-tree.ts';
import { compileFilterDisabled } from './filter-disabled.ts';
import type { CompiledListenerFilter } from './listener-filter-run.ts';
import { readSocketTuning, type SocketTuning } from './socket-options.ts';

const SUPPORTED = new Set([
  'name',
  'address',
  'additional_addresses',
  'stat_prefix',
  'filter_chains',
  'filter_chain_matcher',
  'default_filter_chain',
  'per_connection_buffer_limit_bytes',
  'metadata',
  'drain_type',
  'listener_filters',
  'listener_filters_timeout',
  'continue_on_listener_filters_timeout',
  'socket_options',
  'traffic_direction',
  'access_log',
  'tcp_backlog_size',
  'bind_to_port',
  'enable_reuse_port',
  'use_original_dst',
  'ignore_global_conn_limit',
  'bypass_overload_manager',
]);

const REASONS = {
  transparent: 'transparent (IP_TRANSPARENT) cannot be set on Node yet; remove it',
  freebind: 'freebind (IP_FREEBIND) cannot be set on Node yet; remove it',
  connection_balance_config:
    'connection_balance_config is not supported: the kernel spreads connections (SO_REUSEPORT); remove it',
  udp_listener_config: 'UDP listeners are not supported yet',
  api_listener: 'API listeners are not supported',
};

const DEFAULT_BUFFER_LIMIT = 1024 * 1024;
const DEFAULT_FILTERS_TIMEOUT_MS = 15_000;
/** The kernel caps it at net.core.somaxconn, which is Envoy's default. */
const DEFAULT_BACKLOG = 4096;
/** What `use_original_dst` learns the address from. */
const ORIGINAL_DST = 'envoy.filters.listener.original_dst';
const TRAFFIC_DIRECTIONS = ['UNSPECIFIED', 'INBOUND', 'OUTBOUND'];

/** A listener's config, compiled. */
export interface CompiledListener {
  readonly name: string;
  readonly config: Listener;
  readonly targets: readonly BindTarget[];
  readonly bindToPort: boolean;
  /** Connections go on with the listener at the address that they were made to before they were redirected. */
  readonly useOriginalDst: boolean;
  readonly reusePort: boolean;
  readonly backlog: number;
  readonly tuning: SocketTuning;
  readonly bufferLimitBytes: number;
  readonly trafficDirection: string;
  readonly ignoreGlobalLimit: boolean;
  readonly context: ListenerFactoryContext;
  /** Shortens `transport_socket_connect_timeout`; undefined: nothing does. */
  readonly connectScale: TimeoutScale | undefined;
  readonly chains: FilterChains<CompiledChain>;
  readonly listenerFilters: readonly CompiledListenerFilter[];
  readonly listenerFiltersTimeoutMs: number;
  readonly continueOnFiltersTimeout: boolean;
  readonly accessLogs: ReturnType<WorkerContext['accessLoggers']>;
  /** Nobody is accepted, and nobody is left: lets go of what its parts watch. */
  close(): void;
  /** Forgets its stats, as far as no other listener has a part in them. */
  forget(): void;
}

/** The part of a listener's stats names that stands for it: its `stat_prefix`, or its address as stats write it. */
export function statsName(listener: Listener, target: BindTarget): string {
  return listener.statPrefix !== '' ? listener.statPrefix : target.address.text.replaceAll(':', '_');
}

/**
 * @param name the config's, or what stands for one that has none
 * @throws ConfigError with paths below the listener
 */
export function compileListener(config: Listener, name: string, context: WorkerContext): CompiledListener {
  const resources = new OwnedResources(context.dynamicResources);
  const lease = context.stats.lease();
  try {
    const own = { ...context, dynamicResources: resources, stats: lease.stats };
    const compiled = compileParts(config, name, own, () => resources.close());
    return { ...compiled, forget: () => lease.release() };
  } catch (error) {
    resources.close();
    lease.release();
    throw error;
  }
}

/** @param close ends what the listener watches besides its transport sockets */
function compileParts(
  config: Listener,
  name: string,
  context: WorkerContext,
  close: () => void,
): Omit<CompiledListener, 'forget'> {
  const problems = new ProblemCollector();
  problems.try('', () => refuseUnsupported(config, ListenerSchema, SUPPORTED, '', REASONS));
  const main = problems.try('address', () => readBindTarget(config.address));
  const more = config.additionalAddresses.map((additional, i) =>
    problems.try(`additional_addresses[${i}].address`, () => {
      if (additional.socketOptions !== undefined)
        throw ConfigError.at('socket_options', 'is not supported on additional addresses yet');
      return readBindTarget(additional.address);
    }),
  );
  const tuning = problems.try('', () => readSocketTuning(config.socketOptions));
  if (config.filterChains.length === 0 && config.defaultFilterChain === undefined) {
    problems.add('filter_chains', 'a listener needs at least one filter chain, or default_filter_chain');
  }
  problems.throwIfAny();
  const targets = [main, ...more] as BindTarget[];
  const bufferLimitBytes = config.perConnectionBufferLimitBytes ?? DEFAULT_BUFFER_LIMIT;
  const trafficDirection = TRAFFIC_DIRECTIONS[config.trafficDirection] ?? 'UNSPECIFIED';
  const listenerContext: ListenerFactoryContext = {
    ...context,
    overload: config.bypassOverloadManager ? neverOverloaded : context.overload,
    listenerScope: context.stats.scope(`listener.${statsName(config, targets[0] as BindTarget)}`),
    perConnectionBufferLimitBytes: bufferLimitBytes,
    listenerName: name,
    trafficDirection,
    secure: false,
  };
  const metadata = readMetadata(config.metadata);
  const accessLogs = problems.try('access_log', () => context.accessLoggers(config.accessLog));
  const chains = config.filterChains.map((chain, i) => {
    const path = `filter_chains[${i}]`;
    return {
      name: chain.name,
      match: chain.filterChainMatch,
      path,
      chain: problems.try(path, () => compileChain(chain, listenerContext, metadata)),
    };
  });
  const { defaultFilterChain } = config;
  const fallback =
    defaultFilterChain === undefined
      ? undefined
      : problems.try('default_filter_chain', () =>
          compileChain(defaultFilterChain, listenerContext, metadata),
        );
  const watched: (() => void)[] = [];
  const listenerFilters = config.listenerFilters.map((filter, i) => {
    const path = `listener_filters[${i}]`;
    const watch = (start: () => void) => watched.push(() => atPath(`${path}.config_discovery`, start));
    return problems.try(path, () => compileListenerFilter(filter, listenerContext, watch));
  });
  const useOriginalDst = config.useOriginalDst ?? false;
  // After those of the config, as in Envoy.
  if (useOriginalDst)
    listenerFilters.push(problems.try('use_original_dst', () => originalDstFilter(listenerContext)));
  const closeSockets = (): void => {
    for (const { chain } of chains) chain?.transportSocket?.close?.();
    fallback?.transportSocket?.close?.();
  };
  try {
    problems.throwIfAny();
    for (const watch of watched) watch();
  } catch (error) {
    closeSockets();
    throw error;
  }
  const compiledChains = chains as readonly NamedChain<CompiledChain>[];
  const tree = config.filterChainMatcher;
  return {
    name,
    config,
    targets,
    bindToPort: config.bindToPort ?? true,
    useOriginalDst,
    reusePort: config.enableReusePort ?? true,
    backlog: config.tcpBacklogSize ?? DEFAULT_BACKLOG,
    tuning: tuning as SocketTuning,
    bufferLimitBytes,
    trafficDirection,
    ignoreGlobalLimit: config.ignoreGlobalConnLimit,
    context: listenerContext,
    connectScale: listenerContext.overload.timeoutScale('TRANSPORT_SOCKET_CONNECT'),
    chains:
      tree === undefined
        ? new FilterChainMatcher(compiledChains, fallback)
        : new FilterChainTree(tree, compiledChains, fallback, listenerContext),
    listenerFilters: listenerFilters as CompiledListenerFilter[],
    listenerFiltersTimeoutMs:
      config.listenerFiltersTimeout === undefined
        ? DEFAULT_FILTERS_TIMEOUT_MS
        : durationMs(config.listenerFiltersTimeout),
    continueOnFiltersTimeout: config.continueOnListenerFiltersTimeout,
    accessLogs: accessLogs ?? [],
    close: () => {
      closeSockets();
      close();
    },
  };
}

function originalDstFilter(context: ListenerFactoryContext): CompiledListenerFilter {
  const { extension, message } = resolveExtension(
    context.extensions,
    'listener-filters',
    ORIGINAL_DST,
    undefined,
    '',
  );
  return { disabled: undefined, create: extension.create(message, context) };
}

/** Instead of a filter whose config goes while the filters before it look at a connection. */
const CLOSING: ListenerFilter = { maxReadBytes: 0, onAccept: () => 'close' };

/** @param onWatch is given what begins to watch for a config that is discovered */
function compileListenerFilter(
  filter: Listener['listenerFilters'][number],
  context: ListenerFactoryContext,
  onWatch: (watch: () => void) => void,
): CompiledListenerFilter {
  const { filterDisabled, configType } = filter;
  if (configType.case === 'configDiscovery') {
    const discovered = atPath('config_discovery', () =>
      discoverListenerFilter(filter.name, configType.value, context),
    );
    onWatch(() => discovered.watch());
    return {
      disabled: readDisabled(filterDisabled),
      create: () => discovered.current?.() ?? CLOSING,
      missing: () => discovered.current === undefined,
    };
  }
  const any = configType.case === 'typedConfig' ? configType.value : undefined;
  const { extension, message } = resolveExtension(context.extensions, 'listener-filters', filter.name, any);
  return {
    disabled: readDisabled(filterDisabled),
    create: atPath('typed_config', () => extension.create(message, context)),
  };
}

function readDisabled(
  config: Listener['listenerFilters'][number]['filterDisabled'],
): CompiledListenerFilter['disabled'] {
  return config === undefined ? undefined : atPath('filter_disabled', () => compileFilterDisabled(config));
}

function discoverListenerFilter(
  name: string,
  source: ExtensionConfigSource,
  context: ListenerFactoryContext,
) {
  return new DiscoveredExtension<'listener-filters', () => ListenerFilter>({
    category: 'listener-filters',
    kind: 'tcp_listener_filter',
    name,
    source,
    context,
    create: (extension, message, dynamicResources) =>
      extension.create(message, { ...context, dynamicResources }),
  });
}
