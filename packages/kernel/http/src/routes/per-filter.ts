import { type Any, FilterConfigSchema, unpackAnyAs } from '@dragoman/api';
import { ConfigError } from '@dragoman/core';
import type { HeaderMutation } from '@dragoman/header-edits';

/**
 * Compiles one entry of `typed_per_filter_config` by the filter's name.
 *
 * @param optional From `FilterConfig.is_optional`: an unknown filter gives undefined instead of an error.
 * @throws ConfigError at `path` when there is no such filter, or it takes no per-route config
 */
export type PerFilterConfigResolver = (name: string, config: Any, path: string, optional: boolean) => unknown;

/** What one level of a route configuration says of a filter. */
interface FilterSetting {
  /** Undefined when only {@link disabled} was said. */
  readonly config: unknown;
  readonly disabled: boolean;
}

const NOTHING: readonly unknown[] = [];

/** What one level of a configuration says of headers and filters. */
export interface Level {
  readonly request: HeaderMutation | undefined;
  readonly response: HeaderMutation | undefined;
  /** With those of everything around it. */
  readonly perFilter: PerFilterConfigs;
}

/** The `typed_per_filter_config` of a route with that of everything around it. */
export class PerFilterConfigs {
  static readonly none = new PerFilterConfigs(new Map(), new Map());

  /** A level inside that says nothing. */
  readonly plainLevel: Level = { request: undefined, response: undefined, perFilter: this };
  private readonly configs: ReadonlyMap<string, readonly unknown[]>;
  private readonly disabled: ReadonlyMap<string, boolean>;

  private constructor(
    configs: ReadonlyMap<string, readonly unknown[]>,
    disabled: ReadonlyMap<string, boolean>,
  ) {
    this.configs = configs;
    this.disabled = disabled;
  }

  /** The configs of a filter, most specific first. */
  get(name: string): readonly unknown[] {
    return this.configs.get(name) ?? NOTHING;
  }

  /** What the most specific level that names the filter says; undefined when none does. */
  isDisabled(name: string): boolean | undefined {
    return this.disabled.get(name);
  }

  /**
   * A level inside this one.
   * @throws ConfigError for an entry that cannot be used
   */
  with(
    level: { readonly [name: string]: Any },
    resolve: PerFilterConfigResolver,
    path: string,
  ): PerFilterConfigs {
    const names = Object.keys(level);
    if (names.length === 0) return this;
    const configs = new Map(this.configs);
    const disabled = new Map(this.disabled);
    for (const name of names) {
      const setting = readSetting(name, level[name] as Any, resolve, `${path}[${JSON.stringify(name)}]`);
      if (setting === undefined) continue;
      disabled.set(name, setting.disabled);
      if (setting.config !== undefined) configs.set(name, [setting.config, ...(configs.get(name) ?? [])]);
    }
    return new PerFilterConfigs(configs, disabled);
  }
}

function readSetting(
  name: string,
  config: Any,
  resolve: PerFilterConfigResolver,
  path: string,
): FilterSetting | undefined {
  const wrapper = unpackAnyAs(config, FilterConfigSchema);
  if (wrapper === undefined) {
    const resolved = resolve(name, config, path, false);
    return resolved === undefined ? undefined : { config: resolved, disabled: false };
  }
  if (wrapper.config === undefined) {
    if (!wrapper.disabled)
      throw ConfigError.at(`${path}.config`, `a config or disabled: true is required for "${name}"`);
    return { config: undefined, disabled: true };
  }
  const resolved = resolve(name, wrapper.config, `${path}.config`, wrapper.isOptional);
  if (resolved === undefined && !wrapper.disabled) return undefined;
  return { config: resolved, disabled: wrapper.disabled };
}
