import { rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';

/**
 * Removes the file of a Unix socket whose process is gone. A socket on which somebody accepts stays, as does anything
 * else, and binding then fails.
 */
export async function removeStaleSocket(path: string): Promise<void> {
  try {
    if (!statSync(path).isSocket()) return;
  } catch {
    // Not there, or not to be seen: binding will tell.
    return;
  }
  const alive = await new Promise<boolean>((resolve) => {
    const probe = connect({ path });
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
  if (!alive) rmSync(path, { force: true });
}
