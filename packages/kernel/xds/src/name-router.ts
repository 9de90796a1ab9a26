import type { DescMessage } from '@dragoman/api';
import { atPath, ConfigError } from '@dragoman/core';
import { isXdstp, parseXdstp } from '@dragoman/xds-sources';
import type { XdsOptions } from './options.ts';
import { type CompiledSource, type ConfigSource, compileSource } from './source-config.ts';
import { MAX_NAMES } from './type-channel.ts';

/** Names, and where they come from. */
export interface RoutedNames {
  readonly source: CompiledSource;
  readonly names: readonly string[] | undefined;
}

/** Longer names are nobody's. */
const MAX_NAME_LENGTH = 8192;
const OWN = '';

/** Finds the source of each name: an `xdstp://` name says by its authority which one it is. */
export class NameRouter {
  private readonly warn: (path: string, message: string) => void;
  private readonly byAuthority = new Map<string, { readonly key: string; readonly source: CompiledSource }>();
  private readonly fallback: CompiledSource | undefined;
  /** Each is compiled, and warned about, once. */
  private readonly compiled = new WeakMap<object, CompiledSource>();

  /** @throws ConfigError with paths that begin at `config_sources[…]` or `default_config_source` */
  constructor({ context, configSources = [], defaultConfigSource }: XdsOptions) {
    this.warn = context.warn.bind(context);
    for (const [i, config] of configSources.entries()) {
      const key = `config_sources[${i}]`;
      const source = this.compile(config, key);
      for (const authority of source.authorities) {
        const other = this.byAuthority.get(authority);
        if (other !== undefined)
          throw ConfigError.at(
            `${key}.authorities`,
            `"${authority}" is already an authority of ${other.key}`,
          );
        this.byAuthority.set(authority, { key, source });
      }
    }
    this.fallback =
      defaultConfigSource === undefined
        ? undefined
        : this.compile(defaultConfigSource, 'default_config_source');
  }

  /**
   * @param source of the subscription; undefined where all names are `xdstp://` ones
   * @returns by a key that stays the same for the same source
   * @throws ConfigError with a path below the source
   */
  route(source: unknown, type: DescMessage, names: readonly string[] | undefined): Map<string, RoutedNames> {
    const own = source === undefined ? undefined : this.compiledOnce(source);
    if (names === undefined) return new Map([[OWN, { source: required(own), names }]]);
    if (names.length > MAX_NAMES)
      throw ConfigError.at(
        '',
        `${names.length} resources are asked for by name, and there may be ${MAX_NAMES}`,
      );
    const routed = new Map<string, { readonly source: CompiledSource; readonly names: string[] }>();
    // Without names the subscription is open all the same, where it says.
    if (own !== undefined && names.length === 0) routed.set(OWN, { source: own, names: [] });
    for (const name of names) {
      const found = this.find(name, type, own);
      const entry = routed.get(found.key);
      if (entry === undefined) routed.set(found.key, { source: found.source, names: [name] });
      else entry.names.push(name);
    }
    return routed;
  }

  private compiledOnce(source: unknown): CompiledSource {
    const known = this.compiled.get(source as object);
    if (known !== undefined) return known;
    const compiled = compileSource(source, this.warn);
    this.compiled.set(compiled.config, compiled);
    return compiled;
  }

  private find(
    name: string,
    type: DescMessage,
    own: CompiledSource | undefined,
  ): { readonly key: string; readonly source: CompiledSource } {
    if (name === '') throw ConfigError.at('', 'the name of a resource may not be empty');
    if (name.length > MAX_NAME_LENGTH)
      throw ConfigError.at(
        '',
        `the name of a resource has ${name.length} characters, and may have ${MAX_NAME_LENGTH}`,
      );
    if (!isXdstp(name)) return { key: OWN, source: required(own) };
    const { authority, resourceType, directives } = parseXdstp(name);
    if (resourceType !== type.typeName)
      throw ConfigError.at('', `"${name}" names a ${resourceType}, and a ${type.typeName} is wanted`);
    if (directives.length > 0)
      throw ConfigError.at('', `"${name}": directives (what is behind #) are not supported; remove them`);
    if (own?.authorities.includes(authority) === true) return { key: OWN, source: own };
    const known = this.byAuthority.get(authority);
    if (known !== undefined) return known;
    if (own !== undefined) return { key: OWN, source: own };
    if (this.fallback !== undefined) return { key: 'default_config_source', source: this.fallback };
    throw ConfigError.at(
      '',
      `no config source has the authority "${authority}" of "${name}": add one to config_sources, or set default_config_source, in the bootstrap`,
    );
  }

  private compile(config: ConfigSource, path: string): CompiledSource {
    return atPath(path, () =>
      compileSource(config, (below, message) => this.warn(below === '' ? path : `${path}.${below}`, message)),
    );
  }
}

function required(source: CompiledSource | undefined): CompiledSource {
  if (source === undefined) throw ConfigError.at('', 'a config source is required');
  return source;
}
