import { readFileSync } from 'node:fs';
import { runValidateUpdate } from '@dragoman/admin';

/**
 * `dragoman validate-update`: whether a running proxy would take a resource over.
 * @param argv what follows `validate-update`
 * @returns the exit code
 */
export function validateUpdate(argv: readonly string[]): Promise<number> {
  return runValidateUpdate(argv, {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
    input: () => readFileSync(0, 'utf8'),
  });
}
