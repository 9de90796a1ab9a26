import { listenDescriptors, ServiceNotifier, socketAddress } from '@dragoman/posix';
import { machineClock } from './clock.ts';
import { lineLog } from './log.ts';
import type { SupervisorSurroundings } from './run-supervisor.ts';
import type { InheritedSocket } from './socket-book.ts';

/**
 * The process that this is called in, with what systemd has given it: sockets (`LISTEN_FDS`), and a place to tell how it
 * is (`NOTIFY_SOCKET`).
 *
 * @param entry the script that epochs run, default: this process's own
 * @throws Error when a variable of systemd is malformed, or when a socket of it cannot be looked at (`FfiUnavailable`)
 */
export function processSurroundings(entry = process.argv[1]): SupervisorSurroundings {
  const { env, pid, execPath, execArgv } = process;
  const writeError = (text: string) => void process.stderr.write(text);
  const log = lineLog(writeError, machineClock, pid);
  return {
    entry,
    execPath,
    execArgv,
    env,
    pid,
    signals: process,
    write: (text) => void process.stdout.write(text),
    writeError,
    clock: machineClock,
    notifier: new ServiceNotifier({
      env,
      clock: machineClock,
      onError: (error) => log('warning', `the service manager cannot be told: ${error.message}`),
    }),
    inherited: listenDescriptors(env, pid).map(
      ({ fd }): InheritedSocket => ({ fd, address: socketAddress(fd) }),
    ),
  };
}
