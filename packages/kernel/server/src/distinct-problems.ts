import type { ConfigProblem } from '@dragoman/core';

/** What two readers look at (a cluster: its discovery and its pools) may be wrong for both. */
export function withoutRepeats(problems: readonly ConfigProblem[]): readonly ConfigProblem[] {
  const seen = new Set<string>();
  return problems.filter(({ path, message }) => {
    const key = `${path}\0${message}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}
