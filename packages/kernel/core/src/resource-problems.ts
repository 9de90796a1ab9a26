import { atPath, ConfigError, type ConfigProblem } from './config-error.ts';

/** Problems of a resource, located by its name: `<name>: <path in it>`, the name alone where they are of all of it. */
export function locatedIn(name: string, problems: readonly ConfigProblem[]): ConfigProblem[] {
  return problems.map((problem) => ({
    ...problem,
    path: problem.path === '' ? name : `${name}: ${problem.path}`,
  }));
}

/**
 * Runs `read`, which looks at one resource of several.
 * @throws ConfigError with paths as {@link locatedIn} makes them
 */
export function inResource<T>(name: string, read: () => T): T {
  try {
    return atPath('', read);
  } catch (error) {
    throw new ConfigError(locatedIn(name, (error as ConfigError).problems));
  }
}

/** The longest beginning of a problem's path that is the name of a resource; undefined: the problem does not say which one it is about. */
export function resourceOf({ path }: ConfigProblem, isName: (name: string) => boolean): string | undefined {
  for (let end = path.length; end > 0; end--) {
    if ((end === path.length || SEPARATORS.includes(path.charAt(end))) && isName(path.slice(0, end)))
      return path.slice(0, end);
  }
  return undefined;
}

/** What stands between a name and the path in it. */
const SEPARATORS = ':.[';
