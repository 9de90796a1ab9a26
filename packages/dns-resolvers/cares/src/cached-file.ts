import { readFile, stat } from 'node:fs/promises';

/** A hosts file with a million names would be a mistake; reading it must not become one for the proxy. */
const MAX_BYTES = 4 * 1024 * 1024;

/** A small file, parsed again when it has changed. A file that is not there, or too large, is empty. */
export class CachedFile<T> {
  private readonly path: string;
  private readonly parse: (text: string) => T;
  /** One object, so that "still not there" is not a change. */
  private readonly empty: T;
  private stamp = '';
  private value: T;

  constructor(path: string, parse: (text: string) => T) {
    this.path = path;
    this.parse = parse;
    this.empty = parse('');
    this.value = this.empty;
  }

  /** The file's content as it is now. Never rejects. */
  async read(): Promise<T> {
    try {
      const { mtimeMs, size, ino } = await stat(this.path);
      const stamp = `${mtimeMs} ${size} ${ino}`;
      if (stamp === this.stamp) return this.value;
      this.value = size > MAX_BYTES ? this.empty : this.parse(await readFile(this.path, 'utf8'));
      this.stamp = stamp;
    } catch {
      this.stamp = '';
      this.value = this.empty;
    }
    return this.value;
  }
}
