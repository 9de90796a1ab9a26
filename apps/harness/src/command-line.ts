import { parseArgs } from 'node:util';
import type { UpstreamOptions } from './upstream.ts';

export const USAGE = `Usage: dragoman-harness upstream [flags]

An HTTP service to stand behind a proxy, in demos and tests.

  --host <ip>          address to listen on (default: 127.0.0.1)
  --port <number>      port to listen on; 0: the system chooses (default: 0)
  --latency-ms <ms>    wait before each answer (default: 0)
  --fail-every <n>     every n-th answer is a 503; 0: none (default: 0)
  --body <text>        body of the answers (default: the request's method and path)
  --help               print this and exit
`;

/** A command line that cannot be used. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}

const MAX_PORT = 65_535;
/** Longer than this a timer of Node's cannot wait. */
const MAX_DELAY_MS = 2 ** 31 - 1;

/**
 * @param argv without the interpreter and the script
 * @returns undefined when help is asked for
 * @throws UsageError
 */
export function parseCommandLine(argv: readonly string[]): UpstreamOptions | undefined {
  const { values, positionals } = read(argv);
  if (values.help === true) return undefined;
  const [command, more] = positionals;
  if (command !== 'upstream') {
    throw new UsageError(command === undefined ? 'a command is needed: upstream' : `no command "${command}"`);
  }
  if (more !== undefined) throw new UsageError(`unexpected argument "${more}"`);
  return {
    port: whole('port', values.port, MAX_PORT),
    latencyMs: whole('latency-ms', values['latency-ms'], MAX_DELAY_MS),
    failEvery: whole('fail-every', values['fail-every'], Number.MAX_SAFE_INTEGER),
    ...(values.host === undefined ? {} : { host: values.host }),
    ...(values.body === undefined ? {} : { body: values.body }),
  };
}

function read(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        host: { type: 'string' },
        port: { type: 'string' },
        'latency-ms': { type: 'string' },
        'fail-every': { type: 'string' },
        body: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function whole(name: string, given: string | undefined, most: number): number {
  if (given === undefined) return 0;
  const value = /^\d+$/.test(given) ? Number(given) : Number.NaN;
  if (value <= most) return value;
  throw new UsageError(`--${name} must be a whole number from 0 to ${most}, is "${given}"`);
}
