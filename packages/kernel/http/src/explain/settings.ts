import {
  type HttpConnectionManager,
  type JsonObject,
  type JsonValue,
  type Message,
  toConfigJson,
} from '@dragoman/api';
import type { FoundRoute } from './explained-routes.ts';
import type { Setting } from './explanation.ts';

type Level = 'route' | 'virtual host' | 'route configuration' | 'connection manager';

interface Known {
  readonly name: string;
  /** Most specific first: the first that has the field wins. */
  readonly levels: readonly Level[];
  /** Shown where no level has it. */
  readonly fallback?: JsonValue;
  /** Those of all levels hold together. */
  readonly additive?: boolean;
}

/** What bounds, repeats, limits or copies a request that goes upstream. */
const KNOWN: readonly Known[] = [
  { name: 'timeout', levels: ['route'], fallback: '15s' },
  { name: 'idle_timeout', levels: ['route'] },
  { name: 'stream_idle_timeout', levels: ['connection manager'], fallback: '300s' },
  { name: 'request_timeout', levels: ['connection manager'] },
  { name: 'max_stream_duration', levels: ['route'] },
  { name: 'retry_policy', levels: ['route', 'virtual host'] },
  { name: 'retry_policy_typed_config', levels: ['route', 'virtual host'] },
  { name: 'hedge_policy', levels: ['route', 'virtual host'] },
  { name: 'rate_limits', levels: ['route', 'virtual host'], additive: true },
  { name: 'request_mirror_policies', levels: ['route', 'virtual host', 'route configuration'] },
  { name: 'internal_redirect_policy', levels: ['route'] },
  { name: 'hash_policy', levels: ['route'] },
  { name: 'upgrade_configs', levels: ['route', 'connection manager'] },
  { name: 'metadata_match', levels: ['route'] },
  { name: 'priority', levels: ['route'] },
  { name: 'cluster_not_found_response_code', levels: ['route'] },
  { name: 'auto_host_rewrite', levels: ['route'] },
  { name: 'per_request_buffer_limit_bytes', levels: ['route', 'virtual host'] },
  { name: 'include_request_attempt_count', levels: ['virtual host'] },
  { name: 'include_attempt_count_in_response', levels: ['virtual host'] },
];

/** The settings that hold for a route which forwards, with the level that each comes from. */
export function settingsOf(manager: HttpConnectionManager, { table, host, config }: FoundRoute): Setting[] {
  const route = config === undefined ? {} : (toConfigJson(config) as JsonObject);
  const levels: Record<Level, JsonObject> = {
    // A field of the route itself, or of its action.
    route: { ...route, ...(route.route as JsonObject | undefined) },
    // Without their routes: these may be many.
    'virtual host': host === undefined ? {} : without(host, { routes: [] }),
    'route configuration': table === undefined ? {} : without(table, { virtualHosts: [] }),
    'connection manager': without(manager, { routeSpecifier: { case: undefined } }),
  };
  const settings: Setting[] = [];
  for (const { name, levels: order, fallback, additive = false } of KNOWN) {
    const having = order.filter((level) => levels[level][name] !== undefined);
    for (const level of additive ? having : having.slice(0, 1))
      settings.push({ name, value: levels[level][name] as JsonValue, from: level });
    if (having.length === 0 && fallback !== undefined)
      settings.push({ name, value: fallback, from: 'default' });
  }
  return settings;
}

function without<M extends Message>(message: M, parts: Partial<M>): JsonObject {
  return toConfigJson({ ...message, ...parts }) as JsonObject;
}
