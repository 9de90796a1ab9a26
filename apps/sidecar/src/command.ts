import { type Flags, FlagError, parseFlags } from './flags.ts';
import { helpText } from './help.ts';
import { fullVersion } from './version.ts';

/**
 * `dragoman`: does what the flags say in this process.
 * @param argv without the interpreter and the script
 * @returns the exit code
 */
export async function command(argv: readonly string[]): Promise<number> {
  let flags: Flags;
  try {
    flags = parseFlags(argv);
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    process.stderr.write(`dragoman: ${error.message}\n`);
    return 1;
  }
  switch (flags.action) {
    case 'help':
      process.stdout.write(helpText());
      return 0;
    case 'version':
      process.stdout.write(`dragoman  version: ${fullVersion()}\n`);
      return 0;
    case 'hot-restart-version': {
      const { HOT_RESTART_VERSION } = await import('@dragoman/server');
      // Where Envoy writes it.
      process.stderr.write(flags.disableHotRestart ? 'disabled' : HOT_RESTART_VERSION);
      return 0;
    }
    default: {
      // Only now: the other actions need nothing of it.
      const { serve } = await import('./serve.ts');
      return serve(flags);
    }
  }
}
