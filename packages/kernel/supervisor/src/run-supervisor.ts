import { spawn } from 'node:child_process';
import type { Clock } from '@dragoman/core';
import { epochFlags, readArguments, SUPERVISE_HELP, type SuperviseArguments } from './arguments.ts';
import { type Binder, systemBinder } from './bound-socket.ts';
import { machineClock } from './clock.ts';
import type { ChildLike } from './epoch.ts';
import { lineLog } from './log.ts';
import { SUPERVISED } from './protocol.ts';
import { type InheritedSocket, SocketBook } from './socket-book.ts';
import { type Notifier, type SignalSource, Supervisor } from './supervisor.ts';

/** What a supervisor finds around it. */
export interface SupervisorSurroundings {
  /** The script that each epoch runs: that of this process. */
  readonly entry: string;
  /** Node, and its options. */
  readonly execPath: string;
  readonly execArgv: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly pid: number;
  readonly signals: SignalSource;
  /** For the log and for errors: standard error. */
  readonly writeError: (text: string) => void;
  /** For `--help`: standard output. */
  readonly write: (text: string) => void;
  /** Default: the machine's. */
  readonly clock?: Clock;
  /** Default: none is told. */
  readonly notifier?: Notifier;
  /** Sockets of systemd. Default: none. */
  readonly inherited?: readonly InheritedSocket[];
  /** Default: {@link systemBinder}. */
  readonly binder?: Binder;
  /** Starts a process with this Node and the three standard streams of this one. Default: node's `spawn`. */
  readonly spawn?: (execPath: string, args: readonly string[], env: NodeJS.ProcessEnv) => ChildLike;
}

/** For the supervisor, not for the epochs. */
const OWN_VARIABLES = [
  'NOTIFY_SOCKET',
  'WATCHDOG_USEC',
  'WATCHDOG_PID',
  'LISTEN_FDS',
  'LISTEN_PID',
  'LISTEN_FDNAMES',
];

/**
 * The command `dragoman supervise`.
 *
 * @param argv what follows `supervise`
 * @returns the exit code, when the last epoch has ended
 */
export async function runSupervisor(
  argv: readonly string[],
  surroundings: SupervisorSurroundings,
): Promise<number> {
  const { write, writeError } = surroundings;
  let given: SuperviseArguments;
  let binder: Binder;
  try {
    given = readArguments(argv);
    if (given.help) {
      write(SUPERVISE_HELP);
      return 0;
    }
    binder = surroundings.binder ?? systemBinder();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    writeError(`dragoman supervise: ${error.message}\n`);
    return 1;
  }
  return supervise(given, binder, surroundings);
}

function supervise(
  { flags, startTimeoutMs, parentShutdownMs }: SuperviseArguments,
  binder: Binder,
  surroundings: SupervisorSurroundings,
): Promise<number> {
  const { entry, execPath, execArgv, pid, signals, notifier } = surroundings;
  const { clock = machineClock, inherited = [], spawn: start = spawnEpoch } = surroundings;
  const env = epochEnvironment(surroundings.env);
  return new Promise((resolve) => {
    new Supervisor({
      spawn: (epoch) => start(execPath, [...execArgv, entry, ...epochFlags(flags, epoch)], env),
      sockets: new SocketBook({ binder, inherited }),
      clock,
      log: lineLog(surroundings.writeError, clock, pid),
      exit: resolve,
      signals,
      notifier,
      startTimeoutMs,
      parentShutdownMs,
    }).start();
  });
}

/** The advanced form keeps infinities, big integers and typed arrays in stats as they are. */
function spawnEpoch(execPath: string, args: readonly string[], env: NodeJS.ProcessEnv): ChildLike {
  return spawn(execPath, args, {
    env,
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    serialization: 'advanced',
  });
}

function epochEnvironment(own: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = { ...own, [SUPERVISED]: '1' };
  for (const name of OWN_VARIABLES) delete env[name];
  return env;
}
