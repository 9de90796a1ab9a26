import { readdirSync, readFileSync, realpathSync, type Stats, statSync } from 'node:fs';
import { join } from 'node:path';

/** Envoy's limit. */
const MAX_DEPTH = 16;
/** Files and folders of a tree: links may lead back up, and each way round counts. */
const MAX_ENTRIES = 10_000;
const MAX_FILE_BYTES = 1024 * 1024;
const MAX_TREE_BYTES = 16 * 1024 * 1024;

/** What is read there may never end. */
const DEVICES = /^\/(dev|proc|sys)(\/|$)/;

/**
 * The files below a folder, each a value, by path with dots for slashes. Names that begin with two dots are passed over: they are how Kubernetes keeps the versions of a volume.
 * @param folders gets every folder that was looked into, also when it throws
 * @throws Error that names the file or folder which is no good
 */
export function readTree(root: string, folders: Set<string>): Map<string, string> {
  const real = realpathSync(root);
  if (DEVICES.test(real)) throw new Error(`${real}: runtime values do not come from there`);
  const values = new Map<string, string>();
  let entries = 0;
  let bytes = 0;
  const walk = (folder: string, prefix: string, depth: number): void => {
    if (depth > MAX_DEPTH) throw new Error(`${folder}: deeper than ${MAX_DEPTH} folders`);
    folders.add(folder);
    for (const name of readdirSync(folder).sort()) {
      if (name.startsWith('..')) continue;
      entries++;
      if (entries > MAX_ENTRIES) throw new Error(`${root}: more than ${MAX_ENTRIES} files and folders`);
      const path = join(folder, name);
      const stat = statOf(path);
      if (stat.isDirectory()) walk(path, `${prefix}${name}.`, depth + 1);
      else if (stat.isFile()) {
        bytes += stat.size;
        if (stat.size > MAX_FILE_BYTES) throw new Error(`${path}: more than ${MAX_FILE_BYTES} bytes`);
        if (bytes > MAX_TREE_BYTES) throw new Error(`${root}: more than ${MAX_TREE_BYTES} bytes in all`);
        values.set(prefix + name, fileValue(readFileSync(path, 'utf8')));
      }
    }
  };
  walk(root, '', 1);
  return values;
}

function statOf(path: string): Stats {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw new Error(`${path}: the link leads nowhere`);
  return stat;
}

/** Without lines that begin with `#`, empty lines, and the space at the end. */
function fileValue(text: string): string {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .join('\n')
    .trimEnd();
}
