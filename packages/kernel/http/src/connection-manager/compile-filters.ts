import {
  anyTypeName,
  type ExtensionConfigSource,
  type HttpFilter as HttpFilterConfig,
  resolveExtension,
  typeNameOf,
  unpackAnyAs,
} from '@dragoman/api';
import {
  atPath,
  ConfigError,
  type CreateHttpFilter,
  type CreateTerminalHttpFilter,
  type HttpFilterContext,
  type HttpFilterExtension,
  ProblemCollector,
} from '@dragoman/core';
import type { PerFilterConfigResolver } from '../routes/index.ts';
import { DiscoveredFilter } from './discovered-filter.ts';
import type { CompiledFilterChain } from './filter-chain.ts';

/** A filter of a list: its extension was found, its config read. */
export interface ResolvedFilter {
  readonly kind: 'static';
  readonly name: string;
  readonly disabled: boolean;
  readonly extension: HttpFilterExtension;
  readonly message: never;
  /** In the config. */
  readonly path: string;
}

/** A filter of a list whose config is discovered. */
export interface UnknownFilter {
  readonly kind: 'discovered';
  readonly name: string;
  readonly disabled: boolean;
  readonly source: ExtensionConfigSource;
  readonly path: string;
}

type ListedFilter = ResolvedFilter | UnknownFilter;

/**
 * Compiles a list of filters: finds the extensions, checks their order, and makes the factories.
 * @param field where the list stands
 * @throws ConfigError with paths from `<field>[i]`
 */
export function compileFilterChain(
  filters: readonly HttpFilterConfig[],
  context: HttpFilterContext,
  field = 'http_filters',
): CompiledFilterChain {
  const problems = new ProblemCollector();
  const resolved = resolveFilters(filters, context, field, ROUTER);
  const watched: (() => void)[] = [];
  const compiled = resolved.map((listed) => {
    const { name, disabled, path } = listed;
    if (listed.kind === 'static') {
      const { extension, message } = listed;
      const factory = problems.try(`${path}.typed_config`, () => extension.create(message, context));
      return { name, disabled, factory };
    }
    const at = `${path}.config_discovery`;
    const terminal = listed === resolved.at(-1);
    const filter = problems.try(at, () => new DiscoveredFilter(name, listed.source, terminal, context));
    if (filter !== undefined) watched.push(() => atPath(at, () => filter.watch()));
    return { name, disabled, factory: filter?.create };
  });
  problems.throwIfAny();
  for (const watch of watched) watch();
  const last = compiled.at(-1) as unknown as { name: string; factory: CreateTerminalHttpFilter };
  return {
    filters: compiled
      .slice(0, -1)
      .map(({ name, disabled, factory }) => ({ name, disabled, create: factory as CreateHttpFilter })),
    terminal: { name: last.name, create: last.factory },
  };
}

/**
 * Finds the extensions of a list of filters, and checks their order.
 * @param field where the list stands
 * @param usual the terminal filter that such a list usually ends with
 * @throws ConfigError with paths from `<field>[i]`
 */
export function resolveFilters(
  filters: readonly HttpFilterConfig[],
  context: HttpFilterContext,
  field: string,
  usual: string,
): readonly ListedFilter[] {
  const problems = new ProblemCollector();
  const resolved: ListedFilter[] = [];
  filters.forEach((filter, i) => {
    const path = `${field}[${i}]`;
    const found = problems.try(path, () => resolve(filter, path, context));
    if (found !== undefined) resolved.push(found);
  });
  problems.throwIfAny();
  checkOrder(resolved, field, usual);
  return resolved;
}

const ROUTER = 'envoy.filters.http.router';

/**
 * Finds what compiles `typed_per_filter_config`: the extension of the chain's filter of that name, else the
 * extension of that name.
 */
export function perFilterConfigResolver(
  filters: readonly HttpFilterConfig[],
  context: HttpFilterContext,
): PerFilterConfigResolver {
  return (name, config, path, optional) => {
    const inChain = filters.find((filter) => filter.name === name);
    const extension =
      (inChain === undefined ? undefined : atPath(path, () => findExtension(inChain, context))) ??
      context.extensions.find('http-filters', name);
    if (extension === undefined) {
      if (optional) return undefined;
      return context.extensions.resolve('http-filters', name, anyTypeName(config), path);
    }
    const { perRoute } = extension;
    const message = perRoute === undefined ? undefined : unpackAnyAs(config, perRoute);
    if (perRoute === undefined || message === undefined) {
      throw ConfigError.at(
        path,
        perRoute === undefined
          ? `${extension.name} takes no config for a route`
          : `expected ${perRoute.typeName}, found ${anyTypeName(config)}`,
      );
    }
    return extension.createPerRoute === undefined
      ? message
      : atPath(path, () => extension.createPerRoute?.(message as never, context));
  };
}

function findExtension(
  filter: HttpFilterConfig,
  context: HttpFilterContext,
): HttpFilterExtension | undefined {
  if (filter.configType.case === 'configDiscovery') {
    const names = filter.configType.value.typeUrls.map(typeNameOf);
    const found = new Set(names.map((name) => context.extensions.findByType('http-filters', name)));
    if (found.size > 1)
      throw ConfigError.at(
        '',
        `"${filter.name}" may turn out to be one of several filters: for a config of its own on a route, let type_urls name one`,
      );
    return [...found][0];
  }
  if (filter.configType.case !== 'typedConfig') return context.extensions.find('http-filters', filter.name);
  const typeName = anyTypeName(filter.configType.value);
  return (
    context.extensions.findByType('http-filters', typeName) ??
    context.extensions.find('http-filters', filter.name)
  );
}

function resolve(
  filter: HttpFilterConfig,
  path: string,
  context: HttpFilterContext,
): ListedFilter | undefined {
  const { name, disabled, configType } = filter;
  if (configType.case === 'configDiscovery')
    return { kind: 'discovered', name, disabled, source: configType.value, path };
  if (filter.isOptional && findExtension(filter, context) === undefined) {
    context.warn(`http filter ${name}`, 'is optional and not part of this proxy: it is left out');
    return undefined;
  }
  const config = configType.case === 'typedConfig' ? configType.value : undefined;
  const { extension, message } = resolveExtension(context.extensions, 'http-filters', name, config);
  return { kind: 'static', name, disabled, extension, message, path };
}

function checkOrder(resolved: readonly ListedFilter[], field: string, usual: string): void {
  const last = resolved.at(-1);
  if (last === undefined) {
    throw ConfigError.at(field, `there is no filter: the last must be a terminal one, usually ${usual}`);
  }
  const names = new Set<string>();
  for (const listed of resolved) {
    const { name, path } = listed;
    if (names.has(name))
      throw ConfigError.at(`${path}.name`, `there are two filters named "${name}"; names must differ`);
    names.add(name);
    if (listed.kind === 'static' && listed.extension.terminal && path !== last.path)
      throw ConfigError.at(path, `${listed.extension.name} is a terminal filter: it must be the last`);
  }
  if (last.kind === 'static' && !last.extension.terminal) {
    throw ConfigError.at(
      last.path,
      `the last filter must be a terminal one, usually ${usual}; ${last.extension.name} is not`,
    );
  }
  if (last.disabled) throw ConfigError.at(`${last.path}.disabled`, 'a terminal filter cannot be disabled');
}
