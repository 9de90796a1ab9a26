import { rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';

/**
 * Removes the file of a Unix socket whose process is gone: connecting to it is refused. A socket on which somebody accepts
 * stays, also while its queue is full, as does anything else; binding then fails. Needs no `node:ffi`.
 *
 * @throws what `fs.rmSync` throws: the folder may not be written to
 */
export async function removeStaleSocket(path: string): Promise<void> {
  try {
    if (!statSync(path).isSocket()) return;
  } catch {
    // Not there, or not to be seen: binding will tell.
    return;
  }
  const refused = await new Promise<boolean>((resolve) => {
    const probe = connect({ path });
    probe.once('connect', () => {
      probe.destroy();
      resolve(false);
    });
    probe.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code === 'ECONNREFUSED'));
  });
  if (refused) rmSync(path, { force: true });
}
