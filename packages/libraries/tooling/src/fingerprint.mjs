/** Is a build up to date? Answered from names, sizes and modification times: a few milliseconds. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { listFiles } from './workspaces.mjs';

/**
 * @param {string} root repository root
 * @param {readonly string[]} paths files and folders, relative to the root; those that do not exist count as such
 * @param {readonly string[]} extensions which files of a folder count
 * @returns {string} changes whenever one of the files is added, removed, resized or touched
 */
export function fingerprint(root, paths, extensions) {
  const hash = createHash('sha256');
  const add = (path) => {
    const { size, mtimeMs } = statSync(join(root, path));
    hash.update(`${path}\0${size}\0${mtimeMs}\n`);
  };
  for (const path of paths) {
    const file = join(root, path);
    if (!existsSync(file)) hash.update(`${path}\0absent\n`);
    else if (statSync(file).isDirectory()) for (const found of listFiles(root, path, extensions)) add(found);
    else add(path);
  }
  return hash.digest('hex');
}

/** Stamps of finished build steps, kept below node_modules so that an install or a fresh clone forgets them. */
export class Stamps {
  constructor(root) {
    this.root = root;
    this.file = join(root, 'node_modules', '.cache', 'dragoman', 'stamps.json');
    try {
      this.stamps = JSON.parse(readFileSync(this.file, 'utf8'));
    } catch {
      this.stamps = {};
    }
  }

  /** Whether `step` was finished with this fingerprint and all of `outputs` are still there. */
  isCurrent(step, value, outputs = []) {
    return this.stamps[step] === value && outputs.every((path) => existsSync(join(this.root, path)));
  }

  /** Forgets a step, before it is run again: a step that fails half-way is not current. */
  clear(step) {
    if (this.stamps[step] === undefined) return;
    delete this.stamps[step];
    this.#write();
  }

  set(step, value) {
    this.stamps[step] = value;
    this.#write();
  }

  #write() {
    mkdirSync(dirname(this.file), { recursive: true });
    writeFileSync(this.file, `${JSON.stringify(this.stamps, undefined, 2)}\n`);
  }
}
