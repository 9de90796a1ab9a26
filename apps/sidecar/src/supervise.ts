import { processSurroundings, runSupervisor, type SupervisorSurroundings } from '@dragoman/supervisor';

/**
 * `dragoman supervise`: this process holds the listening sockets, and runs the proxy in others that take over from one another.
 * @param argv what follows `supervise`
 * @returns the exit code
 */
export async function supervise(argv: readonly string[]): Promise<number> {
  // A log that nobody reads any more is no reason to end what it tells of.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  let surroundings: SupervisorSurroundings;
  try {
    surroundings = processSurroundings();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    process.stderr.write(`dragoman supervise: ${error.message}\n`);
    return 1;
  }
  return runSupervisor(argv, surroundings);
}
