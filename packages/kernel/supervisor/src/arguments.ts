/** What `dragoman supervise` is told. */
export interface SuperviseArguments {
  readonly help: boolean;
  /** Of the proxy, without `--restart-epoch`. */
  readonly flags: readonly string[];
  /** ms; 0: for ever. */
  readonly startTimeoutMs: number;
  /** ms. */
  readonly parentShutdownMs: number;
}

/** A command line that cannot be used. */
export class SuperviseUsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'SuperviseUsageError';
  }
}

const DEFAULT_START_TIMEOUT_S = 60;
/** Envoy's. */
const DEFAULT_PARENT_SHUTDOWN_TIME_S = 900;
const START_TIMEOUT = '--start-timeout-s';
const MAX_SECONDS = 2_147_483;

export const SUPERVISE_HELP = `Usage: dragoman supervise [${START_TIMEOUT} <seconds>] -- <flags of dragoman>

Runs dragoman so that it can be replaced without a lost connection: the listening sockets belong to
this process, and each run of dragoman (an epoch) gets them from it.

  ${START_TIMEOUT} <seconds>       How long a new epoch may take until it serves; 0: for ever
                                    (default: ${DEFAULT_START_TIMEOUT_S})
  -h, --help                        Print this and exit

Of the flags behind the two dashes --parent-shutdown-time-s is read here too: how long an old epoch
may drain (default: ${DEFAULT_PARENT_SHUTDOWN_TIME_S}). --restart-epoch is set for each epoch and must not be given.

Signals: SIGHUP starts the next epoch; when it serves the one before drains, when it fails the one
before serves on. SIGTERM and SIGINT drain and end (a second one ends at once), SIGUSR1 reopens the logs.
`;

/**
 * @param argv what follows `supervise`
 * @throws SuperviseUsageError
 */
export function readArguments(argv: readonly string[]): SuperviseArguments {
  const dashes = argv.indexOf('--');
  const own = dashes < 0 ? argv : argv.slice(0, dashes);
  const flags = dashes < 0 ? [] : argv.slice(dashes + 1);
  if (own.includes('--help') || own.includes('-h')) {
    return { help: true, flags, startTimeoutMs: 0, parentShutdownMs: 0 };
  }
  if (dashes < 0) {
    throw new SuperviseUsageError(
      'the flags of dragoman must follow two dashes: dragoman supervise -- -c <path>; --help says more',
    );
  }
  if (flagValue(flags, '--restart-epoch') !== undefined) {
    throw new SuperviseUsageError('--restart-epoch is set for each epoch by supervise: leave it out');
  }
  return {
    help: false,
    flags,
    startTimeoutMs: readOwn(own) * 1000,
    parentShutdownMs: parentShutdownTimeS(flags) * 1000,
  };
}

/** The arguments of an epoch: whatever follows another `--` is not looked at there. */
export function epochFlags(flags: readonly string[], epoch: number): string[] {
  const end = endOfFlags(flags);
  return [...flags.slice(0, end), '--restart-epoch', String(epoch), ...flags.slice(end)];
}

/** The inverse of {@link epochFlags}; 0 when it does not say. */
export function epochOf(flags: readonly string[]): number {
  return seconds(flagValue(flags, '--restart-epoch')) ?? 0;
}

function readOwn(own: readonly string[]): number {
  let value: number | undefined;
  for (let at = 0; at < own.length; at++) {
    const [name, attached] = own[at].split('=', 2);
    if (name !== START_TIMEOUT) {
      throw new SuperviseUsageError(
        `unexpected argument "${own[at]}": flags of dragoman must follow two dashes`,
      );
    }
    const text = attached ?? own[++at];
    value = seconds(text);
    if (value === undefined) {
      throw new SuperviseUsageError(
        `${START_TIMEOUT} must be a whole number from 0 to ${MAX_SECONDS}, is "${text ?? ''}"`,
      );
    }
  }
  return value ?? DEFAULT_START_TIMEOUT_S;
}

/** A value that is no number is for the epoch to complain of. */
function parentShutdownTimeS(flags: readonly string[]): number {
  return seconds(flagValue(flags, '--parent-shutdown-time-s')) ?? DEFAULT_PARENT_SHUTDOWN_TIME_S;
}

function flagValue(flags: readonly string[], name: string): string | undefined {
  for (let at = 0; at < endOfFlags(flags); at++) {
    if (flags[at] === name) return flags[at + 1] ?? '';
    if (flags[at].startsWith(`${name}=`)) return flags[at].slice(name.length + 1);
  }
  return undefined;
}

function endOfFlags(flags: readonly string[]): number {
  const end = flags.findIndex((flag) => flag === '--' || flag === '--ignore_rest');
  return end < 0 ? flags.length : end;
}

function seconds(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,10}$/.test(text)) return undefined;
  return Number(text) <= MAX_SECONDS ? Number(text) : undefined;
}
