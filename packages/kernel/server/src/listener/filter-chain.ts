import {
  DiscoveredExtension,
  durationMs,
  type ExtensionConfigSource,
  type Filter,
  type FilterChain,
  FilterChainSchema,
  resolveExtension,
  type Metadata,
} from '@dragoman/api';
import {
  atPath,
  type Connection,
  type ConnectionCloseKind,
  type ConnectionHandler,
  ConfigError,
  type CreateNetworkFilter,
  type DownstreamTransportSocket,
  type ListenerFactoryContext,
  type Logger,
  type NetworkFilter,
  type NetworkFilterConnection,
  type NetworkFilterExtension,
  ProblemCollector,
  refuseUnsupported,
  type StreamInfo,
  type ConfigMetadata,
  type FilterChainInfo,
} from '@dragoman/core';

const SUPPORTED = new Set([
  'filter_chain_match',
  'filters',
  'transport_socket',
  'metadata',
  'name',
  'transport_socket_connect_timeout',
]);

/** A filter chain of a listener, compiled. */
export interface CompiledChain {
  /** For logs. */
  readonly info: FilterChainInfo;
  readonly name: string;
  readonly transportSocket: DownstreamTransportSocket | undefined;
  /** `transport_socket_connect_timeout`, ms; 0: none. */
  readonly transportTimeoutMs: number;
  readonly filters: readonly CompiledNetworkFilter[];
  /** Some of {@link filters} are discovered. */
  readonly discovers: boolean;
}

export interface CompiledNetworkFilter {
  readonly name: string;
  /** Undefined: its config has not come. */
  readonly create: CreateNetworkFilter | undefined;
}

/** The filters of a connection that begins now; undefined: the config of one has not come. */
export function filtersOf({ discovers, filters }: CompiledChain): NetworkFilters | undefined {
  return discovers && filters.some(({ create }) => create === undefined)
    ? undefined
    : (filters as NetworkFilters);
}

type NetworkFilters = readonly { readonly name: string; readonly create: CreateNetworkFilter }[];

/**
 * @throws ConfigError with paths below the chain
 * @param listenerMetadata of the listener that the chain belongs to
 */
export function compileChain(
  config: FilterChain,
  context: ListenerFactoryContext,
  listenerMetadata: ConfigMetadata,
): CompiledChain {
  refuseUnsupported(config, FilterChainSchema, SUPPORTED);
  const problems = new ProblemCollector();
  const transportSocket = problems.try('transport_socket', () => compileTransportSocket(config, context));
  const chainContext: ListenerFactoryContext = { ...context, secure: transportSocket?.secure ?? false };
  const resolved = config.filters.map((filter, i) =>
    problems.try(`filters[${i}]`, () => resolveFilter(filter, chainContext)),
  );
  problems.throwIfAny();
  checkOrder(resolved as Listed[]);
  const watched: (() => void)[] = [];
  const filters = (resolved as Listed[]).map((listed, i): CompiledNetworkFilter => {
    const { name } = listed;
    if (listed.kind === 'static') {
      const { extension, config: message } = listed;
      const create = problems.try(`filters[${i}].typed_config`, () =>
        extension.create(message, chainContext),
      );
      return { name, create };
    }
    const at = `filters[${i}].config_discovery`;
    const last = i === resolved.length - 1;
    const found = problems.try(at, () => discoverFilter(listed, last, chainContext));
    if (found !== undefined) watched.push(() => atPath(at, () => found.watch()));
    return new DiscoveredNetworkFilter(name, found);
  });
  problems.throwIfAny();
  for (const watch of watched) watch();
  return {
    name: config.name,
    info: { name: config.name, metadata: readMetadata(config.metadata), listenerMetadata },
    transportSocket,
    transportTimeoutMs: durationMs(config.transportSocketConnectTimeout) ?? 0,
    filters,
    discovers: watched.length > 0,
  };
}

/** `filter_metadata` by namespace. */
export function readMetadata(metadata: Metadata | undefined): ConfigMetadata {
  return new Map(Object.entries(metadata?.filterMetadata ?? {})) as ConfigMetadata;
}

interface Resolved {
  readonly kind: 'static';
  readonly name: string;
  readonly extension: NetworkFilterExtension;
  readonly config: never;
}

/** A filter whose config is discovered. */
interface Unknown {
  readonly kind: 'discovered';
  readonly name: string;
  readonly source: ExtensionConfigSource;
}

type Listed = Resolved | Unknown;

type Discovered = DiscoveredExtension<'network-filters', CreateNetworkFilter>;

class DiscoveredNetworkFilter implements CompiledNetworkFilter {
  readonly name: string;
  private readonly discovered: Discovered | undefined;

  constructor(name: string, discovered: Discovered | undefined) {
    this.name = name;
    this.discovered = discovered;
  }

  get create(): CreateNetworkFilter | undefined {
    return this.discovered?.current;
  }
}

function discoverFilter(
  { name, source }: Unknown,
  last: boolean,
  context: ListenerFactoryContext,
): Discovered {
  return new DiscoveredExtension({
    category: 'network-filters',
    kind: 'network_filter',
    name,
    source,
    context,
    create(extension, message, dynamicResources) {
      checkPlace(extension, last, '');
      return extension.create(message, { ...context, dynamicResources });
    },
  });
}

function resolveFilter(filter: Filter, context: ListenerFactoryContext): Listed {
  const { name, configType } = filter;
  if (configType.case === 'configDiscovery') return { kind: 'discovered', name, source: configType.value };
  const any = configType.case === 'typedConfig' ? configType.value : undefined;
  const { extension, message } = resolveExtension(context.extensions, 'network-filters', name, any);
  return { kind: 'static', name, extension, config: message };
}

function checkOrder(filters: readonly Listed[]): void {
  if (filters.length === 0) {
    throw ConfigError.at(
      'filters',
      'there is no filter: a chain needs at least one terminal filter, e.g. envoy.filters.network.tcp_proxy',
    );
  }
  filters.forEach((listed, i) => {
    if (listed.kind === 'static') checkPlace(listed.extension, i === filters.length - 1, `filters[${i}]`);
  });
}

function checkPlace({ name, terminal }: NetworkFilterExtension, last: boolean, path: string): void {
  if (terminal && !last)
    throw ConfigError.at(path, `${name} is a terminal filter: it must be the last of the chain`);
  if (last && !terminal)
    throw ConfigError.at(path, `${name} is not a terminal filter: the chain needs one at its end`);
}

function compileTransportSocket(
  config: FilterChain,
  context: ListenerFactoryContext,
): DownstreamTransportSocket | undefined {
  const given = config.transportSocket;
  if (given === undefined) return undefined;
  const any = given.configType.case === 'typedConfig' ? given.configType.value : undefined;
  const { extension, message } = resolveExtension(context.extensions, 'transport-sockets', given.name, any);
  if (extension.createDownstream === undefined) {
    throw ConfigError.at('typed_config', `${extension.name} cannot be used on a listener`);
  }
  return atPath('typed_config', () => extension.createDownstream?.(message, context));
}

/** Has a connection's stream info, which is made only when somebody asks for it. */
export interface InfoSource {
  readonly info: StreamInfo;
}

/** The filters of one connection. Bytes go through them in order until one pauses or the terminal one takes them. */
export class NetworkFilterChain implements ConnectionHandler {
  private readonly slots: FilterSlot[];
  private closed = false;

  constructor(connection: Connection, filters: NetworkFilters, source: InfoSource, logger: Logger) {
    this.logger = logger;
    this.connection = connection;
    const sole = filters.length === 1;
    this.slots = filters.map(
      ({ name, create: make }, index) =>
        new FilterSlot(this, connection, { name, index, sole }, source, make),
    );
  }

  /** The connection is there: the filters hear of it, and then get its bytes. */
  open(): void {
    this.openFrom(0);
  }

  private readonly logger: Logger;
  private readonly connection: Connection;

  onData(data: Buffer): void {
    // One filter is the rule (an HTTP connection manager, a TCP proxy): no walk.
    if (this.slots.length === 1) {
      const [slot] = this.slots as [FilterSlot];
      if (slot.waiting) slot.hold(data);
      else if (slot.filter.onData?.(data) === 'pause') slot.waiting = true;
      return;
    }
    this.dataFrom(0, data);
  }

  onEnd(): void {
    for (const slot of this.slots) {
      if (slot.waiting) {
        slot.endHeld = true;
        return;
      }
      slot.filter.onEnd?.();
    }
  }

  onWritable(): void {
    for (const slot of this.slots) slot.filter.onWritable?.();
  }

  onClose(kind: ConnectionCloseKind, reason: string): void {
    this.closed = true;
    for (const slot of this.slots) {
      try {
        slot.filter.onClose?.(kind, reason);
      } catch (error) {
        this.logger.error(`network filter ${slot.name} failed while its connection closed: ${String(error)}`);
      }
    }
  }

  /** @internal a filter goes on after a pause */
  resumeFrom(index: number): void {
    const slot = this.slots[index] as FilterSlot;
    if (!slot.waiting || this.closed) return;
    slot.waiting = false;
    if (slot.opening) {
      slot.opening = false;
      this.openFrom(index + 1);
    }
    const held = slot.takeHeld();
    if (held !== undefined) this.dataFrom(slot.heldOwn ? index : index + 1, held);
    slot.heldOwn = true;
    if (slot.endHeld && !slot.waiting && !this.closed) {
      slot.endHeld = false;
      for (const next of this.slots.slice(index)) next.filter.onEnd?.();
    }
  }

  private openFrom(from: number): void {
    for (let i = from; i < this.slots.length; i++) {
      const slot = this.slots[i] as FilterSlot;
      if (slot.filter.onNewConnection?.() === 'pause') {
        slot.waiting = true;
        slot.opening = true;
        return;
      }
      if (!this.connection.open) return;
    }
  }

  private dataFrom(from: number, data: Buffer): void {
    let current = data;
    for (let i = from; i < this.slots.length; i++) {
      const slot = this.slots[i] as FilterSlot;
      if (slot.waiting) {
        slot.hold(current);
        return;
      }
      const verdict = slot.filter.onData?.(current);
      if (this.closed || !this.connection.open) return;
      if (verdict === 'pause') {
        // What it has seen goes to the next filter once it resumes.
        slot.waiting = true;
        slot.heldOwn = false;
        slot.hold(current);
        return;
      }
      if (verdict !== undefined) current = verdict;
      if (current.length === 0) return;
    }
  }
}

class FilterSlot implements NetworkFilterConnection {
  readonly name: string;
  readonly connection: Connection;
  readonly sole: boolean;
  readonly filter: NetworkFilter;
  waiting = false;
  opening = false;
  endHeld = false;
  /** What is held has not been seen by this filter. */
  heldOwn = true;
  private held: Buffer[] | undefined = undefined;
  private paused = false;
  private readonly chain: NetworkFilterChain;
  private readonly index: number;
  private readonly source: InfoSource;

  constructor(
    chain: NetworkFilterChain,
    connection: Connection,
    { name, index, sole }: { readonly name: string; readonly index: number; readonly sole: boolean },
    source: InfoSource,
    make: CreateNetworkFilter,
  ) {
    this.chain = chain;
    this.connection = connection;
    this.name = name;
    this.index = index;
    this.sole = sole;
    this.source = source;
    this.filter = make(this);
  }

  get info(): StreamInfo {
    return this.source.info;
  }

  resume(): void {
    this.chain.resumeFrom(this.index);
  }

  /** Keeps a copy; the peer is not read until the filter resumes, so that at most one read's bytes wait. */
  hold(data: Buffer): void {
    this.held ??= [];
    this.held.push(Buffer.from(data));
    if (!this.paused) {
      this.paused = true;
      this.connection.pauseReading();
    }
  }

  takeHeld(): Buffer | undefined {
    const { held } = this;
    this.held = undefined;
    if (this.paused) {
      this.paused = false;
      this.connection.resumeReading();
    }
    return held === undefined ? undefined : Buffer.concat(held);
  }
}
