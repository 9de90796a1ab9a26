import { runExplain } from '@dragoman/route-check';
import { extensions } from './extensions.ts';

/**
 * `dragoman explain`: where a request would go, and why, without traffic.
 * @param argv what follows `explain`
 * @returns the exit code
 */
export function explain(argv: readonly string[]): Promise<number> {
  return runExplain(argv, {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
    extensions,
  });
}
