import { ConfigError, type ConfigProblem, type Runtime } from '@dragoman/core';

/** Deprecated fields and values are mistakes then, but for those that are allowed one by one. */
const FAIL_KEY = 'envoy.features.fail_on_any_deprecated_feature';
/** Before the full name of a field or value: `true` allows it, `false` forbids it. */
const ALLOW_PREFIX = 'envoy.deprecated_features:';

/** How a loader warns of them. */
const DEPRECATED = /^(?:field|value) (\S+) is deprecated$/;

/**
 * Those of the warnings that are about deprecated fields and values.
 * @throws ConfigError with each that runtime forbids
 */
export function deprecatedUses(
  warnings: readonly ConfigProblem[],
  runtime: Runtime,
): readonly ConfigProblem[] {
  const mayByDefault = !runtime.getBoolean(FAIL_KEY, false);
  const uses: ConfigProblem[] = [];
  const refused: ConfigProblem[] = [];
  for (const warning of warnings) {
    const name = DEPRECATED.exec(warning.message)?.[1];
    if (name === undefined) continue;
    const key = ALLOW_PREFIX + name;
    if (runtime.getBoolean(key, mayByDefault)) uses.push(warning);
    else refused.push({ ...warning, message: refusal(warning.message, key, runtime) });
  }
  if (refused.length > 0) throw new ConfigError(refused);
  return uses;
}

function refusal(message: string, key: string, runtime: Runtime): string {
  const by = runtime.get(key) === undefined ? FAIL_KEY : key;
  return `${message}, and the runtime key ${by} refuses it: use what has taken its place, or set the runtime key "${key}" to true`;
}
