import { libcFor } from './libc.ts';
import { systemError } from './system-error.ts';

const F_DUPFD_CLOEXEC = 1030;

/** Never 0, 1 or 2: a copy that took the place of a closed stdout would be written to. */
const LOWEST_COPY = 3;

const EINTR = 4;

/**
 * A second descriptor for what `fd` stands for, close-on-exec. A socket lives until the last of its descriptors is closed.
 *
 * @returns the lowest free descriptor from 3; whoever asked for it closes it, with {@link closeDescriptor} or
 *   through the handle that took it over (`net.Server.listen({ fd })`)
 * @throws FfiUnavailable
 * @throws Error with `code` and `errno`: `EBADF` when `fd` is not open, `EMFILE` at the limit of the process
 */
export function dup(fd: number): number {
  const libc = libcFor('dup');
  const copy = libc.fcntl(fd, F_DUPFD_CLOEXEC, LOWEST_COPY);
  if (copy < 0) throw systemError('dup', `dup of descriptor ${fd}`, libc.errno());
  return copy;
}

/**
 * Closes a descriptor that {@link dup} or `bindSocket` returned and no handle of Node's has taken over.
 * Not `fs.closeSync`: in a worker thread, that warns about each descriptor that `fs` did not open.
 *
 * @throws FfiUnavailable
 * @throws Error with `code` and `errno`: `EBADF` when `fd` is not open
 */
export function closeDescriptor(fd: number): void {
  const libc = libcFor('close');
  if (libc.close(fd) === 0) return;
  const errno = libc.errno();
  // Linux has let go of the descriptor by then; closing again would hit whoever got the number next.
  if (errno !== EINTR) throw systemError('close', `close of descriptor ${fd}`, errno);
}
