import { ConfigError } from '@dragoman/core';

/** Problems. A server that has one wrong has many, and the answer to it should fit into a log line. */
const MAX_TOLD = 10;

/**
 * Runs `read`; the paths of what it refuses come out as `<resource name>: <path in it>`.
 *
 * @throws ConfigError
 */
export function inResource<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(
      error.problems.map(({ path, ...problem }) => ({
        ...problem,
        path: path === '' ? name : `${name}: ${path}`,
      })),
    );
  }
}

/** As {@link inResource}, of several resources and no more than a few problems. @throws ConfigError */
export function fewOf(problems: ConfigError['problems']): ConfigError {
  const more = problems.length - MAX_TOLD;
  if (more <= 0) return new ConfigError(problems);
  return new ConfigError([
    ...problems.slice(0, MAX_TOLD),
    { path: '', message: `and ${more} more problems` },
  ]);
}
