import {
  type ScopedRouteConfiguration,
  ScopedRouteConfigurationSchema,
  type ScopedRoutes,
  type ScopedRoutes_ScopeKeyBuilder_FragmentBuilder_HeaderValueExtractor as Extractor,
  ScopedRoutesSchema,
} from '@dragoman/api';
import {
  atPath,
  type Cancellable,
  ConfigError,
  ProblemCollector,
  type RequestHeaders,
  type Route,
  type RouteMiss,
  type RouteTable,
  refuseUnsupported,
  type StreamInfo,
} from '@dragoman/core';
import { utf8Bytes } from '@dragoman/matching';
import { compileRouteTable, type RouteTableOptions } from './compile.ts';
import type { CompiledRouteTable } from './route-table.ts';

const SUPPORTED = new Set(['name', 'scope_key_builder', 'scoped_route_configurations_list']);
const REASONS = {
  rds_config_source:
    'is for the scopes of scoped_rds: inline scopes hold their route configurations; remove it',
};

const SCOPE_SUPPORTED = new Set(['name', 'key', 'route_configuration']);
const SCOPE_REASONS = {
  route_configuration_name:
    'a route configuration is fetched by its name only from a management server, which inline scopes cannot do in Envoy either; write route_configuration',
  on_demand: 'only what comes from a management server can be loaded on demand; remove it',
};

/** One part of a scope key out of a request; undefined: the request has no scope. */
export type FragmentReader = (headers: RequestHeaders) => string | undefined;

const NO_SCOPE: RouteMiss = { details: 'no_scope', text: 'no scope has the key of the request' };

/** Route tables by scope: which one a request gets stands in its headers. */
export class ScopedRouteTable implements RouteTable {
  readonly name: string;
  private readonly readers: readonly FragmentReader[];
  private readonly scopes: ReadonlyMap<string, CompiledRouteTable>;

  /** @param scopes by key; those whose routes have not come yet are left out */
  constructor(
    name: string,
    readers: readonly FragmentReader[],
    scopes: ReadonlyMap<string, CompiledRouteTable>,
  ) {
    this.name = name;
    this.readers = readers;
    this.scopes = scopes;
  }

  tableFor(headers: RequestHeaders): CompiledRouteTable | undefined {
    const fragments: string[] = [];
    for (const read of this.readers) {
      const fragment = read(headers);
      if (fragment === undefined) return undefined;
      fragments.push(fragment);
    }
    return this.scopes.get(keyText(fragments));
  }

  miss(headers: RequestHeaders, info: StreamInfo, random: number): RouteMiss {
    return this.tableFor(headers)?.miss(headers, info, random) ?? NO_SCOPE;
  }

  match(headers: RequestHeaders, info: StreamInfo, random: number): Route | undefined {
    return this.tableFor(headers)?.match(headers, info, random);
  }

  demand(headers: RequestHeaders, onAnswer: (found: boolean) => void): Cancellable | undefined {
    const table: RouteTable | undefined = this.tableFor(headers);
    return table?.demand?.(headers, onAnswer);
  }
}

/** Different for different keys: each fragment says how long it is. */
function keyText(fragments: readonly string[]): string {
  if (fragments.length === 1) return fragments[0] as string;
  let text = '';
  for (const fragment of fragments) text += `${fragment.length}:${fragment}`;
  return text;
}

/**
 * Compiles `scoped_routes` with inline scopes. Whether the clusters exist is for the caller to check.
 * @throws ConfigError with every problem found, paths below the message
 */
export function compileScopedRoutes(
  config: ScopedRoutes,
  options: Omit<RouteTableOptions, 'path'>,
): ScopedRouteTable {
  const problems = new ProblemCollector();
  problems.try('', () => refuseUnsupported(config, ScopedRoutesSchema, SUPPORTED, '', REASONS));
  const readers = problems.try('', () => compileScopeKey(config)) ?? [];
  const specifier = config.configSpecifier;
  const scopes = new Map<string, CompiledRouteTable>();
  const names = new Set<string>();
  if (specifier.case === 'scopedRouteConfigurationsList') {
    specifier.value.scopedRouteConfigurations.forEach((scope, i) => {
      problems.try(`scoped_route_configurations_list.scoped_route_configurations[${i}]`, () => {
        if (names.has(scope.name)) throw ConfigError.at('name', `the scope "${scope.name}" is there already`);
        names.add(scope.name);
        addScope(scope, config.scopeKeyBuilder?.fragments.length ?? 0, scopes, options);
      });
    });
  } else if (specifier.case === undefined) {
    problems.add('', 'needs scoped_route_configurations_list or scoped_rds');
  }
  problems.throwIfAny();
  return new ScopedRouteTable(config.name, readers, scopes);
}

/** Compiles `scope_key_builder`. @throws ConfigError with every problem, paths below `scoped_routes` */
export function compileScopeKey(config: ScopedRoutes): readonly FragmentReader[] {
  const problems = new ProblemCollector();
  const builders = config.scopeKeyBuilder?.fragments ?? [];
  if (builders.length === 0) problems.add('scope_key_builder.fragments', 'a key needs one fragment at least');
  const readers: FragmentReader[] = [];
  builders.forEach(({ type }, i) => {
    problems.try(`scope_key_builder.fragments[${i}]`, () => {
      if (type.case !== 'headerValueExtractor') throw ConfigError.at('', 'needs header_value_extractor');
      readers.push(atPath('header_value_extractor', () => compileExtractor(type.value)));
    });
  });
  problems.throwIfAny();
  return readers;
}

function addScope(
  scope: ScopedRouteConfiguration,
  fragmentCount: number,
  scopes: Map<string, CompiledRouteTable>,
  options: Omit<RouteTableOptions, 'path'>,
): void {
  refuseUnsupported(scope, ScopedRouteConfigurationSchema, SCOPE_SUPPORTED, '', SCOPE_REASONS);
  const { routeConfiguration } = scope;
  if (routeConfiguration === undefined) throw ConfigError.at('route_configuration', 'is required');
  const key = scopeKey(scope, fragmentCount);
  if (scopes.has(key)) throw ConfigError.at('key', 'another scope has the same key');
  scopes.set(key, compileRouteTable(routeConfiguration, { ...options, path: 'route_configuration' }));
}

/** The key under which a table keeps a scope. @throws ConfigError with a path below the scope */
export function scopeKey({ key }: ScopedRouteConfiguration, fragmentCount: number): string {
  const fragments = (key?.fragments ?? []).map(({ type }, i) => {
    if (type.case !== 'stringKey') throw ConfigError.at(`key.fragments[${i}]`, 'needs string_key');
    return utf8Bytes(type.value);
  });
  if (fragments.length !== fragmentCount)
    throw ConfigError.at(
      'key.fragments',
      `has ${fragments.length} fragments, while scope_key_builder makes keys of ${fragmentCount}: no request would have this scope`,
    );
  return keyText(fragments);
}

/** Reads the first line of a header: a piece of it by number, or the value behind a key. */
function compileExtractor(config: Extractor): FragmentReader {
  const name = config.name.toLowerCase();
  if (name === '') throw ConfigError.at('name', 'is required');
  const separator = utf8Bytes(config.elementSeparator);
  const piecesOf = (value: string) => (separator === '' ? [value] : value.split(separator));
  const how = config.extractType;
  switch (how.case) {
    case 'index': {
      const index = how.value;
      if (index > 0 && separator === '')
        throw ConfigError.at('index', 'must be 0 without an element_separator: there is one element');
      return (headers) => {
        const value = headers.get(name);
        return value === undefined ? undefined : piecesOf(value)[index];
      };
    }
    case 'element': {
      const between = utf8Bytes(how.value.separator);
      const key = utf8Bytes(how.value.key);
      if (between === '') throw ConfigError.at('element.separator', 'is required');
      if (key === '') throw ConfigError.at('element.key', 'is required');
      return (headers) => {
        const value = headers.get(name);
        return value === undefined ? undefined : valueBehind(piecesOf(value), key, between);
      };
    }
    default:
      throw ConfigError.at('', 'needs one of index, element');
  }
}

/** What stands behind the first `key`; empty when nothing separates it from the next piece. */
function valueBehind(pieces: readonly string[], key: string, separator: string): string | undefined {
  for (const piece of pieces) {
    const at = piece.indexOf(separator);
    if ((at < 0 ? piece : piece.slice(0, at)) === key)
      return at < 0 ? '' : piece.slice(at + separator.length);
  }
  return undefined;
}
