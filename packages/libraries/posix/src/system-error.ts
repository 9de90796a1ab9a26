import { getSystemErrorMessage, getSystemErrorName } from 'node:util';

/**
 * An error as Node's own system calls throw it: `code` is the name (`EBADF`), `errno` its negative number.
 *
 * @param syscall C's name of the call
 * @param what was tried, with its object; the message begins with it
 * @param errno positive, as C has it
 */
export function systemError(syscall: string, what: string, errno: number): NodeJS.ErrnoException {
  const error: NodeJS.ErrnoException = new Error(`${what}: ${getSystemErrorMessage(-errno)}`);
  error.code = getSystemErrorName(-errno);
  error.errno = -errno;
  error.syscall = syscall;
  return error;
}
