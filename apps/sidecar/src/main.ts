// The entry of the command, of its bundle too.
import { type Flags, FlagError, parseFlags } from './flags.ts';
import { helpText } from './help.ts';
import { fullVersion } from './version.ts';

/** @returns the exit code */
async function main(argv: readonly string[]): Promise<number> {
  if (argv[0] === 'supervise') {
    const { supervise } = await import('./supervise.ts');
    return supervise(argv.slice(1));
  }
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

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error) => {
    process.stderr.write(`dragoman: ${error instanceof Error ? error.stack : String(error)}\n`);
    process.exit(1);
  },
);
