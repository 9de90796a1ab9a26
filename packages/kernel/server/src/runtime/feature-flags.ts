import type { Logger } from '@dragoman/core';

/** Switches of Envoy's own code, which come and go with its versions. */
const PREFIXES = ['envoy.reloadable_features.', 'envoy.restart_features.', 'envoy.deprecated_features'];

/** Those that act here. */
const KNOWN: ReadonlySet<string> = new Set([
  'envoy.reloadable_features.orca_weight_manager_use_named_metrics_first',
]);

/** Warns of feature flags without effect, once of each. */
export class FeatureFlags {
  private readonly logger: Logger;
  private readonly warned = new Set<string>();

  constructor(logger: Logger) {
    this.logger = logger;
  }

  check(values: ReadonlyMap<string, string>): void {
    for (const key of values.keys()) {
      if (KNOWN.has(key) || this.warned.has(key) || !PREFIXES.some((prefix) => key.startsWith(prefix)))
        continue;
      if (this.warned.size >= MAX_WARNINGS) return;
      this.warned.add(key);
      this.logger.warn(
        `runtime: "${key}" has no effect: it switches code of Envoy's that this proxy does not have`,
      );
    }
  }
}

/** A management server can name as many as it likes. */
const MAX_WARNINGS = 100;
