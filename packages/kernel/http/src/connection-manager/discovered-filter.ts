import {
  anyTypeName,
  type Any,
  type ExtensionConfigSource,
  resolveExtension,
  type TypedExtensionConfig,
  TypedExtensionConfigSchema,
} from '@dragoman/api';
import {
  atPath,
  ConfigError,
  type CreateHttpFilter,
  type CreateTerminalHttpFilter,
  type HttpFilter,
  type HttpFilterContext,
  type LocalReply,
  OwnedResources,
  ProblemCollector,
  ResponseFlag,
  type StreamInfo,
  type TerminalHttpFilter,
} from '@dragoman/core';

type Factory = CreateHttpFilter | CreateTerminalHttpFilter;

/** A config, compiled. */
interface Version {
  readonly factory: Factory;
  /** What the filter watches itself. */
  readonly resources: OwnedResources | undefined;
}

/** Envoy's has no details. */
const MISSING: LocalReply = { status: 500, details: 'no_filter_config' };

/** A filter whose config is discovered (ECDS). New streams get the one that is in place when they begin. */
export class DiscoveredFilter {
  readonly name: string;
  private readonly source: ExtensionConfigSource;
  /** Full names of the messages that it may be configured by. */
  private readonly types: ReadonlySet<string>;
  private readonly terminal: boolean;
  private readonly context: HttpFilterContext;
  /** Of the default config, or what answers in its place. */
  private readonly fallback: Version;
  private factory: Factory;
  private version: Version;
  /** Perhaps refused by somebody else. */
  private prepared: Version | undefined = undefined;
  private watched = false;

  /**
   * @param terminal it stands where a terminal filter has to be, else where none may be
   * @throws ConfigError with paths below `config_discovery`
   */
  constructor(name: string, source: ExtensionConfigSource, terminal: boolean, context: HttpFilterContext) {
    this.name = name;
    this.source = source;
    this.types = new Set(source.typeUrls.map((url) => url.slice(url.lastIndexOf('/') + 1)));
    this.terminal = terminal;
    this.context = context;
    checkSource(source, context);
    const { defaultConfig } = source;
    this.fallback =
      defaultConfig === undefined
        ? { factory: missing(terminal), resources: undefined }
        : atPath('default_config', () => this.compile(defaultConfig));
    this.version = this.fallback;
    this.factory = this.fallback.factory;
  }

  /** Makes the filter of a stream. */
  readonly create = (stream: Parameters<Factory>[0]): HttpFilter | TerminalHttpFilter =>
    this.factory(stream as never);

  /** Takes over what is known of the config, and hears of others from now on. */
  watch(): void {
    const { name, source, context } = this;
    context.dynamicResources.watch(
      { type: TypedExtensionConfigSchema, source: source.configSource, name },
      { prepare: (config) => this.prepare(config) },
    );
    this.watched = true;
  }

  private prepare(config: TypedExtensionConfig | undefined): () => void {
    this.letGo(this.prepared);
    this.prepared = undefined;
    const version = this.versionOf(config);
    this.prepared = version;
    return () => {
      const before = this.version;
      this.version = version;
      this.factory = version.factory;
      this.prepared = undefined;
      this.letGo(before);
    };
  }

  /** Ends what a version watches that is used no more; streams that began with it keep what they have. */
  private letGo(version: Version | undefined): void {
    if (version !== this.fallback && version !== this.version) version?.resources?.close();
  }

  private versionOf(config: TypedExtensionConfig | undefined): Version {
    if (config === undefined) return this.fallback;
    const { name, context } = this;
    try {
      const { typedConfig } = config;
      if (typedConfig === undefined) throw ConfigError.at('typed_config', 'is required');
      return atPath('typed_config', () => this.compile(typedConfig));
    } catch (error) {
      if (this.watched || !(error instanceof ConfigError)) throw error;
      // A new listener may be ahead of its filters' configs: one that fits will come.
      context.stats.counter(`extension_config_discovery.http_filter.${name}.config_conflict`).inc();
      context.loggers
        .logger('filter')
        .warn(`the config of "${name}" does not fit its listener, which begins without: ${error.message}`);
      return this.fallback;
    }
  }

  private compile(config: Any): Version {
    const { name, types, terminal, context } = this;
    const typeName = anyTypeName(config);
    if (!types.has(typeName))
      throw ConfigError.at('', `is a ${typeName}, while type_urls allow ${[...types].join(', ')}`);
    const { extension, message } = resolveExtension(context.extensions, 'http-filters', name, config, '');
    if (extension.terminal !== terminal)
      throw ConfigError.at(
        '',
        terminal
          ? `${extension.name} is not a terminal filter, as the last has to be`
          : `${extension.name} is a terminal filter: it must be the last`,
      );
    const resources = new OwnedResources(context.dynamicResources);
    try {
      const factory = extension.create(message, { ...context, dynamicResources: resources });
      return { factory, resources };
    } catch (error) {
      resources.close();
      throw error;
    }
  }
}

function checkSource(source: ExtensionConfigSource, { extensions }: HttpFilterContext): void {
  const problems = new ProblemCollector();
  if (source.configSource === undefined) problems.add('config_source', 'is required');
  if (source.applyDefaultConfigWithoutWarming && source.defaultConfig === undefined)
    problems.add('apply_default_config_without_warming', 'needs a default_config');
  if (source.typeUrls.length === 0) problems.add('type_urls', 'needs one at least');
  source.typeUrls.forEach((url, i) => {
    const typeName = url.slice(url.lastIndexOf('/') + 1);
    const path = `type_urls[${i}]`;
    problems.try('', () => extensions.resolve('http-filters', typeName, typeName, path));
  });
  problems.throwIfAny();
}

/** Answers every request: it must not go on without a filter that belongs there. */
function missing(terminal: boolean): Factory {
  const refuse = (stream: { readonly info: StreamInfo; reply(reply: LocalReply): void }) => {
    stream.info.setResponseFlag(ResponseFlag.NoFilterConfigFound);
    stream.reply(MISSING);
  };
  const filter: CreateHttpFilter = (stream) => ({
    onRequestHeaders() {
      refuse(stream);
      return 'pause';
    },
  });
  const last: CreateTerminalHttpFilter = (stream) => ({
    onRequestHeaders: () => refuse(stream),
    onRequestBody: () => true,
    onRequestTrailers() {},
    onDownstreamWritable() {},
    onComplete() {},
  });
  return terminal ? last : filter;
}
