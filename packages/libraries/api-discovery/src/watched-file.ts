import { readFile, stat } from 'node:fs/promises';

/** Tokens and bundles of authorities are a few hundred bytes to a few hundred kilobytes. */
const MAX_BYTES = 1024 * 1024;

/**
 * A small file, read again when it has changed: written in place, replaced, or reached through a link that was turned (as Kubernetes
 * does with volumes). Looked at each time somebody asks, so nothing is watched meanwhile.
 */
export class WatchedFile {
  readonly path: string;
  private stamp = '';
  private content = '';

  constructor(path: string) {
    this.path = path;
  }

  /**
   * The content as it is now. The same string while the file stays as it is.
   * @param force reads also what looks unchanged
   * @throws Error that names the file, when it cannot be read or has more than 1 MiB
   */
  async read(force = false): Promise<string> {
    try {
      const { mtimeNs, ctimeNs, size, ino } = await stat(this.path, { bigint: true });
      const stamp = `${mtimeNs} ${ctimeNs} ${size} ${ino}`;
      if (stamp === this.stamp && !force) return this.content;
      if (size > MAX_BYTES) throw new Error(`has ${size} bytes, more than ${MAX_BYTES}`);
      this.content = await readFile(this.path, 'utf8');
      this.stamp = stamp;
      return this.content;
    } catch (error) {
      this.stamp = '';
      throw new Error(`cannot read "${this.path}": ${(error as Error).message}`);
    }
  }
}
