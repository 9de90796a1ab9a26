/** One thing wrong in a configuration, located as well as it can be. */
export interface ConfigProblem {
  /** The file it stands in, as the user named it. */
  file?: string;
  /** 1-based line in {@link file}. */
  line?: number;
  /** 1-based column in {@link line}. */
  column?: number;
  /** Path in the config, e.g. `static_resources.listeners[0].address`. Empty for the whole document. */
  path: string;
  /** What is wrong, what was expected, what to do. */
  message: string;
  /** The nearest valid name, offered as `did you mean "…"?`. */
  suggestion?: string;
  /** Default `error`. */
  severity?: 'error' | 'warning';
}

/** `file:line:column: path: message; did you mean "x"?`, leaving out what is not known. */
export function formatProblem(problem: ConfigProblem): string {
  const place = [problem.file, problem.line, problem.column].filter((part) => part !== undefined).join(':');
  const head = [place, problem.path].filter((part) => part !== '').join(': ');
  const tail = problem.suggestion === undefined ? '' : `; did you mean "${problem.suggestion}"?`;
  return `${head === '' ? '' : `${head}: `}${problem.message}${tail}`;
}

/** A configuration that cannot be used. Carries every problem found, not only the first. */
export class ConfigError extends Error {
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[] | ConfigProblem) {
    const list = Array.isArray(problems)
      ? (problems as readonly ConfigProblem[])
      : [problems as ConfigProblem];
    super(list.map(formatProblem).join('\n'));
    this.name = 'ConfigError';
    this.problems = list;
  }

  /** A single problem at `path`. */
  static at(path: string, message: string, suggestion?: string): ConfigError {
    return new ConfigError(suggestion === undefined ? { path, message } : { path, message, suggestion });
  }

  /** The same problems with `prefix` put before each path: a factory reports paths relative to its own message. */
  within(prefix: string): ConfigError {
    return new ConfigError(
      this.problems.map((problem) => ({ ...problem, path: joinPath(prefix, problem.path) })),
    );
  }
}

/** Joins two config paths: `a` + `b` → `a.b`, `a` + `[0]` → `a[0]`. */
export function joinPath(prefix: string, path: string): string {
  if (prefix === '') return path;
  if (path === '') return prefix;
  return path.startsWith('[') ? prefix + path : `${prefix}.${path}`;
}

/**
 * Runs `read`; a {@link ConfigError} it throws comes out with `prefix` before its paths, any other
 * error becomes a ConfigError at `prefix`.
 */
export function atPath<T>(prefix: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof ConfigError) throw error.within(prefix);
    throw ConfigError.at(prefix, error instanceof Error ? error.message : String(error));
  }
}

/** Collects problems so that all of them are reported, not only the first. */
export class ProblemCollector {
  readonly problems: ConfigProblem[] = [];

  /** Runs `read`; problems it throws are kept under `prefix`, and `undefined` comes back. */
  try<T>(prefix: string, read: () => T): T | undefined {
    try {
      return atPath(prefix, read);
    } catch (error) {
      this.problems.push(...(error as ConfigError).problems);
      return undefined;
    }
  }

  add(path: string, message: string, suggestion?: string): void {
    this.problems.push(suggestion === undefined ? { path, message } : { path, message, suggestion });
  }

  /** @throws ConfigError when anything was collected. */
  throwIfAny(): void {
    if (this.problems.length > 0) throw new ConfigError(this.problems);
  }
}
