import { runCheckRoutes } from '@dragoman/route-check';
import { extensions } from './extensions.ts';

/**
 * `dragoman check-routes`: where requests would go, without traffic.
 * @param argv what follows `check-routes`
 * @returns the exit code
 */
export function checkRoutes(argv: readonly string[]): number {
  return runCheckRoutes(argv, {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
    extensions,
  });
}
