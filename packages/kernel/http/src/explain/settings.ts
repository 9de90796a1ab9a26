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

/** A field, and the level that may have it. */
type Place = readonly [name: string, level: Level];

interface Known {
  /** The first that is there wins. */
  readonly places: readonly Place[];
  /** Shown where there is none. */
  readonly fallback?: readonly [name: string, value: JsonValue];
  /** All that are there hold together. */
  readonly additive?: true;
}

const at = (name: string, ...levels: readonly Level[]): Known => ({
  places: levels.map((level): Place => [name, level]),
});

/** What bounds, repeats, limits or copies a request that goes upstream. */
const KNOWN: readonly Known[] = [
  { ...at('timeout', 'route'), fallback: ['timeout', '15s'] },
  // That of the route takes the place of the connection manager's.
  {
    places: [
      ['idle_timeout', 'route'],
      ['stream_idle_timeout', 'connection manager'],
    ],
    fallback: ['stream_idle_timeout', '300s'],
  },
  at('request_timeout', 'connection manager'),
  at('max_stream_duration', 'route', 'connection manager'),
  at('max_grpc_timeout', 'route'),
  at('grpc_timeout_offset', 'route'),
  {
    places: [
      ['retry_policy', 'route'],
      ['retry_policy_typed_config', 'route'],
      ['retry_policy', 'virtual host'],
      ['retry_policy_typed_config', 'virtual host'],
    ],
  },
  at('hedge_policy', 'route', 'virtual host'),
  // Those of the virtual host only where `applying` leaves them.
  { ...at('rate_limits', 'route', 'virtual host'), additive: true },
  at('request_mirror_policies', 'route', 'virtual host', 'route configuration'),
  at('internal_redirect_policy', 'route'),
  at('hash_policy', 'route'),
  // For each type of upgrade what the route says of it goes first.
  { ...at('upgrade_configs', 'route', 'connection manager'), additive: true },
  at('metadata_match', 'route'),
  at('priority', 'route'),
  at('cluster_not_found_response_code', 'route'),
  at('auto_host_rewrite', 'route'),
  {
    places: [
      ['request_body_buffer_limit', 'route'],
      ['request_body_buffer_limit', 'virtual host'],
      ['per_request_buffer_limit_bytes', 'route'],
      ['per_request_buffer_limit_bytes', 'virtual host'],
    ],
  },
  at('include_request_attempt_count', 'virtual host'),
  at('include_attempt_count_in_response', 'virtual host'),
  at('include_is_timeout_retry_header', 'virtual host'),
];

/** The settings that hold for a route which forwards, with the level that each comes from. */
export function settingsOf(manager: HttpConnectionManager, { table, host, config }: FoundRoute): Setting[] {
  const route = config === undefined ? {} : (toConfigJson(config) as JsonObject);
  const common = manager.commonHttpProtocolOptions;
  const levels = applying({
    // A field of the route itself, or of its action.
    route: { ...route, ...(route.route as JsonObject | undefined) },
    // Without their routes: these may be many.
    'virtual host': host === undefined ? {} : without(host, { routes: [] }),
    'route configuration': table === undefined ? {} : without(table, { virtualHosts: [] }),
    'connection manager': {
      ...without(manager, { routeSpecifier: { case: undefined } }),
      ...pick(common === undefined ? {} : (toConfigJson(common) as JsonObject), 'max_stream_duration'),
    },
  });
  const settings: Setting[] = [];
  for (const { places, fallback, additive = false } of KNOWN) {
    const having = places.filter(([name, level]) => levels[level][name] !== undefined);
    for (const [name, level] of additive ? having : having.slice(0, 1))
      settings.push({ name, value: levels[level][name] as JsonValue, from: level });
    if (having.length === 0 && fallback !== undefined)
      settings.push({ name: fallback[0], value: fallback[1], from: 'default' });
  }
  return settings;
}

/** Rate limits of a virtual host hold for a route without any, or with `include_vh_rate_limits`. */
function applying(levels: Record<Level, JsonObject>): Record<Level, JsonObject> {
  const { route, 'virtual host': host } = levels;
  if (route.rate_limits === undefined || route.include_vh_rate_limits === true) return levels;
  const { rate_limits: _, ...rest } = host;
  return { ...levels, 'virtual host': rest };
}

function pick(from: JsonObject, name: string): JsonObject {
  const value = from[name];
  return value === undefined ? {} : { [name]: value };
}

function without<M extends Message>(message: M, parts: Partial<M>): JsonObject {
  return toConfigJson({ ...message, ...parts }) as JsonObject;
}
