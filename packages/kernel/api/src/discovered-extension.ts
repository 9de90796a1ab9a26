import type { Any } from '@bufbuild/protobuf/wkt';
import {
  atPath,
  ConfigError,
  type DynamicResources,
  type ExtensionCategory,
  type ExtensionOf,
  type FactoryContext,
  OwnedResources,
  ProblemCollector,
} from '@dragoman/core';
import { anyTypeName } from './any.ts';
import {
  type ExtensionConfigSource,
  type TypedExtensionConfig,
  TypedExtensionConfigSchema,
} from './gen/index.ts';
import { typeNameOf } from './registry.ts';
import { resolveExtension } from './resolve-extension.ts';

export interface DiscoveredExtensionOptions<C extends ExtensionCategory, F> {
  readonly category: C;
  /** Of the filter in its config: the name of the resource. */
  readonly name: string;
  readonly source: ExtensionConfigSource;
  readonly context: FactoryContext;
  /** What stands for its kind in `extension_config_discovery.<kind>.<name>.config_conflict`, e.g. `http_filter`. */
  readonly kind: string;
  /**
   * Compiles a config.
   * @param resources end with it: what the extension watches
   * @throws ConfigError with a path below the config
   */
  create(extension: ExtensionOf<C>, message: never, resources: DynamicResources): F;
}

/** A config, compiled. */
interface Version<F> {
  readonly made: F;
  readonly resources: OwnedResources;
}

/** An extension of a config whose own config is discovered (`ExtensionConfigSource`). */
export class DiscoveredExtension<C extends ExtensionCategory, F> {
  /** What is made of the config that is in place; undefined: there is none, and no default. */
  current: F | undefined;
  private readonly options: DiscoveredExtensionOptions<C, F>;
  /** Full names of the messages that it may be configured by. */
  private readonly types: ReadonlySet<string>;
  /** Of the default config. */
  private readonly fallback: Version<F> | undefined;
  private version: Version<F> | undefined;
  /** Perhaps refused by somebody else. */
  private prepared: Version<F> | undefined = undefined;
  private watched = false;

  /** @throws ConfigError with paths below `config_discovery` */
  constructor(options: DiscoveredExtensionOptions<C, F>) {
    const { defaultConfig, typeUrls } = options.source;
    this.options = options;
    this.types = new Set(typeUrls.map(typeNameOf));
    checkSource(options);
    this.fallback =
      defaultConfig === undefined ? undefined : atPath('default_config', () => this.compile(defaultConfig));
    this.version = this.fallback;
    this.current = this.fallback?.made;
  }

  /**
   * Takes over what is known of the config, and hears of others from now on, until the context's resources end. Once.
   * @throws ConfigError with paths below `config_discovery`
   */
  watch(): void {
    const { name, source, context } = this.options;
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
      this.current = version?.made;
      this.prepared = undefined;
      this.letGo(before);
    };
  }

  /** Ends what a version watches that is used no more; who began with it keeps what it has. */
  private letGo(version: Version<F> | undefined): void {
    if (version !== this.fallback && version !== this.version) version?.resources.close();
  }

  private versionOf(config: TypedExtensionConfig | undefined): Version<F> | undefined {
    if (config === undefined) return this.fallback;
    try {
      const { typedConfig } = config;
      if (typedConfig === undefined) throw ConfigError.at('typed_config', 'is required');
      return atPath('typed_config', () => this.compile(typedConfig));
    } catch (error) {
      if (this.watched || !(error instanceof ConfigError)) throw error;
      // A new listener may be ahead of its filters' configs: one that fits will come.
      const { name, kind, context } = this.options;
      context.stats.counter(`extension_config_discovery.${kind}.${name}.config_conflict`).inc();
      context.loggers
        .logger('filter')
        .warn(`the config of "${name}" does not fit its listener, which begins without it: ${error.message}`);
      return this.fallback;
    }
  }

  private compile(config: Any): Version<F> {
    const { category, name, context } = this.options;
    const typeName = anyTypeName(config);
    if (!this.types.has(typeName))
      throw ConfigError.at('', `is a ${typeName}, while type_urls allow ${[...this.types].join(', ')}`);
    const { extension, message } = resolveExtension(context.extensions, category, name, config, '');
    const resources = new OwnedResources(context.dynamicResources);
    try {
      return { made: this.options.create(extension, message, resources), resources };
    } catch (error) {
      resources.close();
      throw error;
    }
  }
}

function checkSource<C extends ExtensionCategory, F>({
  category,
  source,
  context,
}: DiscoveredExtensionOptions<C, F>): void {
  const problems = new ProblemCollector();
  if (source.configSource === undefined) problems.add('config_source', 'is required');
  if (source.applyDefaultConfigWithoutWarming && source.defaultConfig === undefined)
    problems.add('apply_default_config_without_warming', 'needs a default_config');
  if (source.typeUrls.length === 0) problems.add('type_urls', 'needs one at least');
  source.typeUrls.forEach((url, i) => {
    const typeName = typeNameOf(url);
    problems.try('', () => context.extensions.resolve(category, typeName, typeName, `type_urls[${i}]`));
  });
  problems.throwIfAny();
}
