import { readFileSync } from 'node:fs';
import {
  type Bootstrap,
  HttpConnectionManagerSchema,
  type LayeredRuntime,
  type LoadedConfig,
  loadConfig,
  type RouteConfiguration,
  RouteConfigurationSchema,
  unpackAnyAs,
} from '@dragoman/api';
import { ConfigError, type ConfigProblem } from '@dragoman/core';
import { parse } from 'yaml';

/** A route configuration from a file. */
export interface LoadedRoutes {
  readonly config: RouteConfiguration;
  /** Where it stands in the file; empty: it is the file. */
  readonly path: string;
  /** Of a bootstrap. */
  readonly layeredRuntime: LayeredRuntime | undefined;
  readonly warnings: readonly ConfigProblem[];
  readonly loaded: Pick<LoadedConfig<unknown>, 'place' | 'file'>;
}

/**
 * Reads a file that holds a `RouteConfiguration`, or a bootstrap with routes in its listeners.
 * @param listener which of a bootstrap's listeners; needed where several have routes
 * @throws ConfigError with every problem of the file
 */
export function loadRoutes(file: string, listener?: string): LoadedRoutes {
  const bytes = readFile(file);
  if (!isBootstrap(file, bytes)) {
    if (listener !== undefined)
      throw fileError(file, `--listener-name is for a bootstrap; this is a route configuration`);
    const loaded = loadConfig({ bytes, file }, { schema: RouteConfigurationSchema });
    return {
      config: loaded.message,
      path: '',
      layeredRuntime: undefined,
      warnings: loaded.warnings,
      loaded,
    };
  }
  const loaded = loadConfig({ bytes, file });
  const found = routesOf(loaded.message).filter(
    (routes) => listener === undefined || routes.listener === listener,
  );
  const [first] = found;
  if (first === undefined || found.length > 1) throw fileError(file, notOne(loaded.message, found, listener));
  return {
    config: first.config,
    path: first.path,
    layeredRuntime: loaded.message.layeredRuntime,
    warnings: loaded.warnings,
    loaded,
  };
}

/** @throws ConfigError that names the file */
export function readFile(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw fileError(file, `cannot be read: ${(error as Error).message}`);
  }
}

const fileError = (file: string, message: string) => new ConfigError({ file, path: '', message });

/** By what only a bootstrap has. A file that cannot be told is read as routes, whose errors say more. */
function isBootstrap(file: string, bytes: Buffer): boolean {
  if (/\.(pb|pb_text|textproto|pbtxt)$/i.test(file)) return false;
  let top: unknown;
  try {
    top = parse(bytes.toString('utf8'));
  } catch {
    return false;
  }
  if (typeof top !== 'object' || top === null) return false;
  return 'static_resources' in top || 'staticResources' in top;
}

interface FoundRoutes {
  readonly listener: string;
  readonly config: RouteConfiguration;
  readonly path: string;
}

/** The inline routes of all HTTP connection managers. */
function routesOf(bootstrap: Bootstrap): FoundRoutes[] {
  return (bootstrap.staticResources?.listeners ?? []).flatMap((listener, i) => {
    const at = `static_resources.listeners[${i}]`;
    const chains = listener.filterChains.map((chain, c) => ({ chain, path: `${at}.filter_chains[${c}]` }));
    if (listener.defaultFilterChain !== undefined)
      chains.push({ chain: listener.defaultFilterChain, path: `${at}.default_filter_chain` });
    return chains.flatMap(({ chain, path }) =>
      chain.filters.flatMap(({ configType }, f): FoundRoutes[] => {
        if (configType.case !== 'typedConfig') return [];
        const manager = unpackAnyAs(configType.value, HttpConnectionManagerSchema);
        if (manager?.routeSpecifier.case !== 'routeConfig') return [];
        return [
          {
            listener: listener.name,
            config: manager.routeSpecifier.value,
            path: `${path}.filters[${f}].typed_config.route_config`,
          },
        ];
      }),
    );
  });
}

function notOne(bootstrap: Bootstrap, found: readonly FoundRoutes[], listener: string | undefined): string {
  if (found.length > 1 && listener !== undefined)
    return `the listener "${listener}" has ${found.length} route configurations; write the one to check into a file of its own`;
  const names = [...new Set(routesOf(bootstrap).map((routes) => routes.listener))];
  if (names.length === 0) return 'no listener has a route_config';
  const list = names.map((name) => `"${name}"`).join(', ');
  return listener === undefined
    ? `several listeners have routes (${list}): name one with --listener-name`
    : `no listener "${listener}" has routes; those that have are ${list}`;
}
