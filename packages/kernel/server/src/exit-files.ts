import type { LogFilesImpl } from '@dragoman/access-log';

const open = new Set<LogFilesImpl>();

/** Nothing asynchronous runs any more: what waits is written in one go. */
function writeAll(): void {
  for (const files of open) files.close();
}

/** Writes what waits in `files` when the process exits without closing its proxies, as it does on a second SIGTERM. */
export function writeOnExit(files: LogFilesImpl): void {
  // One listener for all proxies: Node warns of more than ten.
  if (open.size === 0) process.on('exit', writeAll);
  open.add(files);
}

/** `files` were closed. */
export function forgetOnExit(files: LogFilesImpl): void {
  if (open.delete(files) && open.size === 0) process.off('exit', writeAll);
}
