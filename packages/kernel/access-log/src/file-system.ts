import { closeSync, constants, fstatSync, openSync, type Stats, statSync, write, writeSync } from 'node:fs';
import { devNull } from 'node:os';

/** What log files need of the operating system; tests put their own in its place. */
export interface FileSystem {
  /** Opens for appending, creating the file when it is not there; gives its descriptor. Throws a system error. */
  open(path: string): number;
  /** Writes some of `data` from `offset` on; `written` is less than asked for when the target takes no more at once. */
  write(
    fd: number,
    data: Uint8Array,
    offset: number,
    done: (error: NodeJS.ErrnoException | null, written: number) => void,
  ): void;
  /** The same at once. Throws a system error. */
  writeSync(fd: number, data: Uint8Array, offset: number): number;
  close(fd: number): void;
  /**
   * Whether several threads may write there, to a path or descriptor, and each write stays in one piece: so it is for a regular
   * file, not for a pipe, a socket or a terminal. True as well for what cannot be asked: opening or writing says why.
   */
  keepsWritesWhole(target: string | number): boolean;
  /** Blocks the thread. Only on the way out, while a pipe is full. */
  sleep(ms: number): void;
}

/** As Envoy creates its log files: readable by all, writable by the owner, less the umask. */
const FILE_MODE = 0o644;

/**
 * Not blocking matters for a named pipe: without a reader it cannot be opened (instead of hanging the process), and when
 * it is full a write says so (instead of holding a thread).
 */
const FLAGS = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | (constants.O_NONBLOCK ?? 0);

function statusOf(target: string | number): Stats {
  return typeof target === 'number' ? fstatSync(target) : statSync(target);
}

/** The machine's file system. */
export const systemFileSystem: FileSystem = {
  open: (path) => openSync(path, FLAGS, FILE_MODE),
  write: (fd, data, offset, done) => write(fd, data, offset, data.length - offset, null, done),
  writeSync: (fd, data, offset) => writeSync(fd, data, offset, data.length - offset, null),
  close: (fd) => closeSync(fd),
  keepsWritesWhole: (target) => {
    try {
      const status = statusOf(target);
      return status.isFile() || status.rdev === statusOf(devNull).rdev;
    } catch {
      return true;
    }
  },
  sleep: (ms) => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  },
};
