import { processSurroundings, runSupervisor } from '@dragoman/supervisor';

/**
 * `dragoman supervise`: this process holds the listening sockets, and runs the proxy in others that take over from one another.
 * @param argv what follows `supervise`
 * @returns the exit code
 */
export function supervise(argv: readonly string[]): Promise<number> {
  return runSupervisor(argv, processSurroundings());
}
