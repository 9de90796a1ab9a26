import { getSystemErrorMap } from 'node:util';

/** The C library's wording for the errors that sockets meet; libuv's own differs, and Envoy prints the C library's. */
const TEXTS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'Connection refused',
  ECONNRESET: 'Connection reset by peer',
  ECONNABORTED: 'Software caused connection abort',
  EPIPE: 'Broken pipe',
  ETIMEDOUT: 'Connection timed out',
  EHOSTUNREACH: 'No route to host',
  ENETUNREACH: 'Network is unreachable',
  EADDRNOTAVAIL: 'Cannot assign requested address',
  EADDRINUSE: 'Address already in use',
  EACCES: 'Permission denied',
  EPERM: 'Operation not permitted',
  ENOENT: 'No such file or directory',
  EMFILE: 'Too many open files',
  ENOBUFS: 'No buffer space available',
};

/** What went wrong on a socket, in the words of the C library (`Connection refused`). */
export function describeSocketError(error: NodeJS.ErrnoException): string {
  if (error.code !== undefined && TEXTS[error.code] !== undefined) return TEXTS[error.code] as string;
  if (error.errno !== undefined) {
    const known = getSystemErrorMap().get(error.errno);
    if (known !== undefined) return known[1];
  }
  return error.message;
}
