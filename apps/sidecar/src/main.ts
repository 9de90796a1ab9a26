// The entry of the command, of its bundle too.

/**
 * Each role loads what is its own: a supervisor runs for as long as all of its proxies together and needs little of their code.
 * @returns the exit code
 */
async function main(argv: readonly string[]): Promise<number> {
  if (argv[0] === 'supervise') {
    const { supervise } = await import('./supervise.ts');
    return supervise(argv.slice(1));
  }
  if (argv[0] === 'check-routes') {
    const { checkRoutes } = await import('./check-routes.ts');
    return checkRoutes(argv.slice(1));
  }
  if (argv[0] === 'explain') {
    const { explain } = await import('./explain.ts');
    return explain(argv.slice(1));
  }
  if (argv[0] === 'validate-update') {
    const { validateUpdate } = await import('./validate-update.ts');
    return validateUpdate(argv.slice(1));
  }
  const { command } = await import('./command.ts');
  return command(argv);
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error) => {
    process.stderr.write(`dragoman: ${error instanceof Error ? error.stack : String(error)}\n`);
    process.exit(1);
  },
);
