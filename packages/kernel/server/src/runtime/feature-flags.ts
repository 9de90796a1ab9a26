import type { Logger } from '@dragoman/core';

/** Switches of Envoy's own code, which come and go with its versions. */
const SWITCHES = ['envoy.reloadable_features.', 'envoy.restart_features.'];

/** Those that act here. */
const KNOWN: ReadonlySet<string> = new Set([
  'envoy.reloadable_features.http_reject_path_with_fragment',
  'envoy.reloadable_features.max_request_headers_count',
  'envoy.reloadable_features.max_request_headers_size_kb',
  'envoy.reloadable_features.max_response_headers_count',
  'envoy.reloadable_features.max_response_headers_size_kb',
  'envoy.reloadable_features.orca_weight_manager_use_named_metrics_first',
]);

/** Other keys that Envoy reads and nothing here does, and why. */
const IDLE: ReadonlyMap<string, string> = new Map([
  [
    're2.max_program_size.error_level',
    'it measures programs of RE2; patterns are limited here by their length with repetitions written out',
  ],
  [
    're2.max_program_size.warn_level',
    'it measures programs of RE2; patterns are limited here by their length with repetitions written out',
  ],
  [
    'envoy.features.enable_all_deprecated_features',
    'no field is refused for being deprecated, unless envoy.features.fail_on_any_deprecated_feature says so',
  ],
]);

/** Warns of keys of Envoy's that have no effect, once of each. */
export class FeatureFlags {
  private readonly logger: Logger;
  private readonly warned = new Set<string>();

  constructor(logger: Logger) {
    this.logger = logger;
  }

  check(values: ReadonlyMap<string, string>): void {
    for (const key of values.keys()) {
      if (this.warned.has(key)) continue;
      const reason = whyIdle(key);
      if (reason === undefined) continue;
      if (this.warned.size >= MAX_WARNINGS) return;
      this.warned.add(key);
      this.logger.warn(`runtime: "${key}" has no effect: ${reason}`);
    }
  }
}

function whyIdle(key: string): string | undefined {
  if (KNOWN.has(key)) return undefined;
  if (SWITCHES.some((prefix) => key.startsWith(prefix)))
    return "it switches between two ways of Envoy's code, of which this proxy has one";
  return IDLE.get(key);
}

/** A management server can name as many as it likes. */
const MAX_WARNINGS = 100;
