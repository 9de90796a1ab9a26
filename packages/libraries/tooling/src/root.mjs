/** Where the repository is, and how the scripts speak. Only node built-ins here. */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Absolute path of the repository root. */
export const repositoryRoot = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..', '..');

/** One line of progress, on standard error: standard output belongs to what is run. */
export function say(line) {
  process.stderr.write(`dragoman: ${line}\n`);
}

/** Runs a script's body; an error becomes one line and exit code 1 (the stack with DRAGOMAN_DEBUG set). */
export async function main(body) {
  try {
    const code = await body(process.argv.slice(2));
    process.exitCode = code ?? 0;
  } catch (error) {
    const debug = process.env.DRAGOMAN_DEBUG !== undefined;
    say(
      `error: ${debug && error instanceof Error ? error.stack : error instanceof Error ? error.message : error}`,
    );
    process.exitCode = 1;
  }
}
