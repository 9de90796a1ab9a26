import {
  type ApiConfigSource,
  ApiConfigSourceSchema,
  type DescMessage,
  isMessage,
  typeUrl,
} from '@dragoman/api';
import {
  atPath,
  ConfigError,
  type ConfigSubscription,
  type ConfigSubscriptions,
  type Logger,
  type SubscriptionOptions,
} from '@dragoman/core';
import { isCollection, isXdstp, SubscriptionStats } from '@dragoman/xds-sources';
import { type DiscoveryType, discoveryType } from './discovery-types.ts';
import { NameRouter } from './name-router.ts';
import type { Xds, XdsOptions } from './options.ts';
import { OtherSubscription } from './other-subscription.ts';
import type { Part } from './part.ts';
import { PauseBook } from './pause-book.ts';
import { reportType, type TypeReport, type XdsReport } from './report.ts';
import { ResourceReader } from './resource-reader.ts';
import { type CompiledSource, compileGrpcSource, type GrpcSource } from './source-config.ts';
import { checkService, createStream, type Stream } from './streams.ts';
import { Watch } from './watch.ts';

/**
 * Subscriptions to management servers.
 * @throws ConfigError with paths that begin at `ads_config`, `config_sources[…]` or `default_config_source`
 */
export function createXds(options: XdsOptions): Xds {
  return new Subscriptions(options);
}

class Subscriptions implements Xds, ConfigSubscriptions {
  readonly subscriptions: ConfigSubscriptions = this;
  private readonly options: XdsOptions;
  private readonly logger: Logger;
  private readonly reader: ResourceReader;
  private readonly pauses = new PauseBook(() => this.resumed());
  private readonly router: NameRouter;
  private readonly ads: { readonly stream: Stream; source: GrpcSource } | undefined;
  /** Those of a source of their own, by its config and, where they are not aggregated, type. */
  private readonly streams = new Map<string, Stream>();
  /** To files and REST services. */
  private readonly others = new Set<OtherSubscription>();
  private closed = false;

  constructor(options: XdsOptions) {
    this.options = options;
    const { context, adsConfig } = options;
    this.logger = context.loggers.logger('config');
    this.reader = new ResourceReader(
      options.unknownFields ?? 'warn',
      context.stats.counter('server.dynamic_unknown_fields'),
      context.warn.bind(context),
    );
    this.router = new NameRouter(options);
    this.ads = adsConfig === undefined ? undefined : atPath('ads_config', () => this.createAds(adsConfig));
  }

  // --- ConfigSubscriptions -------------------------------------------------------------------------------------------------

  subscribe<D extends DescMessage>(options: SubscriptionOptions<D>): ConfigSubscription {
    if (this.closed) throw ConfigError.at('', 'the proxy is going down: nothing is subscribed to any more');
    const parts = new Map<string, Part>();
    const type = discoveryType(options.type);
    const stats = new SubscriptionStats(options.stats, options.type);
    let stopped = false;
    const stop = (): void => {
      stopped = true;
      for (const part of parts.values()) part.stop();
      parts.clear();
    };
    const apply = (names: readonly string[] | undefined): void => {
      const routed = this.router.route(options.source, options.type, names);
      for (const [key, part] of parts) {
        if (routed.has(key)) continue;
        part.stop();
        parts.delete(key);
      }
      for (const [key, { source, names: own }] of routed) {
        const part = parts.get(key);
        if (part !== undefined) part.setNames(own ?? []);
        else
          parts.set(
            key,
            this.openPart(source, own, options as unknown as SubscriptionOptions<DescMessage>, type, stats),
          );
      }
    };
    try {
      apply(options.names);
    } catch (error) {
      stop();
      throw error;
    }
    return {
      setNames: (names) => {
        if (!stopped && !this.closed && options.names !== undefined) apply(names);
      },
      stop,
    };
  }

  check(source: unknown, type: DescMessage, names: readonly string[] | undefined, namespaced = false): void {
    for (const { source: one, names: own } of this.router.route(source, type, names).values())
      this.checkPart(one, own, type, namespaced);
  }

  // --- Xds -----------------------------------------------------------------------------------------------------------------

  report(): XdsReport {
    const types: TypeReport[] = [];
    const add = ({ mux }: Stream, source: string) => {
      for (const channel of mux.channels.values()) types.push(reportType(channel, source));
    };
    if (this.ads !== undefined) add(this.ads.stream, 'ads');
    for (const stream of this.streams.values()) add(stream, stream.mux.destination);
    for (const other of this.others) types.push(reportType(other, other.source));
    return { types };
  }

  pause(url: string): () => void {
    return this.pauses.pause([url]);
  }

  replaceAds(config: ApiConfigSource): void {
    const { ads } = this;
    if (ads === undefined)
      throw ConfigError.at(
        '',
        'the proxy was started without ads_config: there is no aggregated stream to replace',
      );
    const source = this.compileAds(config);
    if (source.delta !== ads.source.delta)
      throw ConfigError.at(
        'api_type',
        'a running proxy cannot change between incremental and state-of-the-world streams',
      );
    this.logger.info('replacing the servers of the aggregated discovery stream');
    if (ads.stream.mux.connected) ads.stream.connect(source);
    ads.source = source;
  }

  close(): void {
    this.closed = true;
    this.ads?.stream.mux.close();
    for (const { mux } of this.streams.values()) mux.close();
    for (const other of [...this.others]) other.stop();
    this.streams.clear();
  }

  // --- Parts ---------------------------------------------------------------------------------------------------------------

  private openPart(
    source: CompiledSource,
    names: readonly string[] | undefined,
    options: SubscriptionOptions<DescMessage>,
    type: DiscoveryType,
    stats: SubscriptionStats,
  ): Part {
    this.admit(source, names, options.namespaced === true);
    const { clock } = this.options.context;
    const createWatch = () =>
      new Watch({
        names,
        namespaced: options.namespaced === true,
        stats,
        clock,
        callbacks: options.callbacks,
        initialFetchTimeoutMs: source.initialFetchTimeoutMs,
        logger: this.logger,
        label: type.label,
      });
    switch (source.kind) {
      case 'ads':
        return this.onStream(this.adsStream(), options, names, createWatch, undefined);
      case 'grpc':
        return this.onOwnStream(source.grpc, options, names, type, createWatch);
      default:
        return this.onOther(source, names, options);
    }
  }

  private checkPart(
    source: CompiledSource,
    names: readonly string[] | undefined,
    type: DescMessage,
    namespaced: boolean,
  ): void {
    this.admit(source, names, namespaced);
    const { otherSources } = this.options;
    switch (source.kind) {
      case 'grpc': {
        const { grpc } = source;
        if (!grpc.aggregated) checkService(grpc.delta, discoveryType(type));
        atPath('api_config_source', () => this.checkServices(grpc.config));
        return;
      }
      case 'rest':
        atPath('api_config_source', () => otherSources?.checkRest(source.rest, type));
        return;
      case 'path':
        atPath(source.below, () => otherSources?.checkPath(source.path));
    }
  }

  /** Whether this proxy, as it was put together, has the source at all. @throws ConfigError with a path below the config source */
  private admit(source: CompiledSource, names: readonly string[] | undefined, namespaced: boolean): void {
    const { otherSources } = this.options;
    if (source.kind === 'ads' && this.ads === undefined)
      throw ConfigError.at(
        'ads',
        'there is no aggregated stream: set dynamic_resources.ads_config in the bootstrap',
      );
    if (source.kind !== 'path') this.checkNode();
    if (namespaced && names?.some(isXdstp))
      throw ConfigError.at('', `"${names[0]}" is an xdstp name, and cannot stand for what is below it`);
    if (namespaced && !this.isIncremental(source))
      throw ConfigError.at(
        '',
        'virtual hosts come over incremental streams only: write api_type: DELTA_GRPC, also in ads_config where the source is ads',
      );
    if (source.kind === 'ads' || source.kind === 'grpc') return;
    const collection = names?.find(isCollection);
    if (collection !== undefined)
      throw ConfigError.at('', `"${collection}" is a collection, and those come over gRPC only`);
    if (otherSources !== undefined) return;
    throw source.kind === 'rest'
      ? ConfigError.at('api_config_source.api_type', 'REST is not part of this proxy; use a gRPC stream')
      : ConfigError.at(
          source.below === '' ? 'path' : source.below,
          'files are not part of this proxy as config sources; use a gRPC stream',
        );
  }

  private isIncremental(source: CompiledSource): boolean {
    return source.kind === 'grpc'
      ? source.grpc.delta
      : source.kind === 'ads' && this.ads?.source.delta === true;
  }

  private checkServices({ grpcServices }: ApiConfigSource): void {
    for (const [i, service] of grpcServices.entries())
      atPath(`grpc_services[${i}]`, () => this.options.grpc.create(service));
  }

  private onStream(
    { mux }: Stream,
    { type, stats }: SubscriptionOptions<DescMessage>,
    names: readonly string[] | undefined,
    createWatch: () => Watch,
    onUnused: (() => void) | undefined,
  ): Part {
    const url = typeUrl(type);
    const channel = mux.channelOf(type, url);
    channel.checkRoom(names ?? []);
    const watch = createWatch();
    const leave = mux.subscribe(type, url, watch, onUnused === undefined ? undefined : stats);
    return {
      setNames: (wanted) => {
        if (watch.stopped) return;
        channel.checkRoom(wanted);
        channel.setNames(watch, wanted);
      },
      stop: () => {
        if (watch.stopped) return;
        leave();
        if (mux.unused) onUnused?.();
      },
    };
  }

  private onOwnStream(
    grpc: GrpcSource,
    options: SubscriptionOptions<DescMessage>,
    names: readonly string[] | undefined,
    type: DiscoveryType,
    createWatch: () => Watch,
  ): Part {
    const key = grpc.aggregated ? grpc.key : `${grpc.key} ${options.type.typeName}`;
    let stream = this.streams.get(key);
    if (stream === undefined) {
      const made = this.createStream(grpc, grpc.aggregated ? undefined : type);
      atPath('api_config_source', () => made.connect(grpc));
      this.streams.set(key, made);
      stream = made;
    }
    const { mux } = stream;
    return this.onStream(stream, options, names, createWatch, () => {
      mux.close();
      this.streams.delete(key);
    });
  }

  private onOther(
    source: Extract<CompiledSource, { readonly kind: 'path' | 'rest' }>,
    names: readonly string[] | undefined,
    options: SubscriptionOptions<DescMessage>,
  ): Part {
    const { otherSources, context } = this.options;
    if (otherSources === undefined) throw new Error('a source that was not admitted');
    const other: OtherSubscription = new OtherSubscription(
      source.kind === 'rest' ? 'rest' : 'file',
      // The source is not that of the subscription where a name says which one it is.
      { ...options, source: source.config, names },
      context.clock,
      (own) =>
        source.kind === 'rest'
          ? atPath('api_config_source', () => otherSources.rest(own, source.rest))
          : atPath(source.below, () => otherSources.path(own, source.path)),
      () => this.others.delete(other),
    );
    this.others.add(other);
    return other;
  }

  // --- Streams -------------------------------------------------------------------------------------------------------------

  private createAds(config: ApiConfigSource): { readonly stream: Stream; source: GrpcSource } {
    const source = this.compileAds(config);
    const stream = this.createStream(source, undefined);
    stream.mux.stats.attach(this.options.context.stats);
    return { stream, source };
  }

  private compileAds(config: ApiConfigSource): GrpcSource {
    if (!isMessage(config, ApiConfigSourceSchema))
      throw ConfigError.at('', `must be a ${ApiConfigSourceSchema.typeName}`);
    const source = compileGrpcSource(config, (path, message) =>
      this.options.context.warn(`ads_config.${path}`, message),
    );
    this.checkServices(config);
    return source;
  }

  /** Connected when somebody wants something from it: what is asked first goes out in one breath. */
  private adsStream(): Stream {
    const { ads } = this;
    if (ads === undefined) throw new Error('a source that was not admitted');
    if (!ads.stream.mux.connected) ads.stream.connect(ads.source);
    return ads.stream;
  }

  private createStream({ delta }: GrpcSource, type: DiscoveryType | undefined): Stream {
    const { context, node, grpc } = this.options;
    const common = {
      clock: context.clock,
      logger: this.logger,
      node,
      isPaused: (url: string) => type === undefined && this.pauses.isPaused(url),
    };
    return createStream(delta, type, common, this.reader, grpc);
  }

  private resumed(): void {
    this.ads?.stream.mux.resumed();
    for (const { mux } of this.streams.values()) mux.resumed();
  }

  private checkNode(): void {
    const { id, cluster } = this.options.node;
    if (id === '' || cluster === '')
      throw ConfigError.at(
        '',
        'a management server has to know who asks: set id and cluster of node in the bootstrap, or --service-node and --service-cluster',
      );
  }
}
