import { ConfigError } from '@dragoman/core';

/** Problems. A server that has one wrong has many, and the answer to it should fit into a log line. */
const MAX_TOLD = 10;

/** Of several resources, no more than a few problems. */
export function fewOf(problems: ConfigError['problems']): ConfigError {
  const more = problems.length - MAX_TOLD;
  if (more <= 0) return new ConfigError(problems);
  return new ConfigError([
    ...problems.slice(0, MAX_TOLD),
    { path: '', message: `and ${more} more problems` },
  ]);
}
