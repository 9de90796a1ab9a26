import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';

/** Stands for a file that is not there, or cannot be read. */
const MISSING = '-';

/** What stands for a file as it is now, by its place on the disk, times and size; nothing of it is read. */
export function stampOf(path: string): string {
  try {
    const { dev, ino, mtimeNs, ctimeNs, size } = statSync(path, { bigint: true });
    return `${dev} ${ino} ${mtimeNs} ${ctimeNs} ${size}`;
  } catch {
    return MISSING;
  }
}

/** What stands for the content of a file now: the same for two files that hold the same. Reads all of it. */
export function digestOf(path: string): string {
  let content: Buffer | undefined;
  try {
    content = readFileSync(path);
  } catch {}
  return digestOfContent(content);
}

/**
 * What {@link digestOf} says of a file with this content.
 * @param content undefined: it is not there, or cannot be read
 */
export function digestOfContent(content: Uint8Array | undefined): string {
  return content === undefined ? MISSING : createHash('sha256').update(content).digest('base64');
}
