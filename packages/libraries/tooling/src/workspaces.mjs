/** Reads the workspaces of the repository. Only node built-ins here. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * @typedef {object} Workspace
 * @property {string} dir folder, relative to the root, with forward slashes: `packages/http-filters/router`
 * @property {string} name npm name
 * @property {string} version
 * @property {boolean} private not published
 * @property {any} manifest the parsed package.json
 */

/**
 * @param {string} root repository root
 * @returns {Workspace[]} sorted by folder
 * @throws {Error} on a package.json that is not JSON or has no name, or on two packages of one name
 */
export function readWorkspaces(root) {
  const { workspaces = [] } = readManifest(root, '.');
  const dirs = workspaces.flatMap((pattern) => expand(root, pattern)).sort();
  const byName = new Map();
  const found = dirs.map((dir) => {
    const manifest = readManifest(root, dir);
    if (typeof manifest.name !== 'string') throw new Error(`${dir}/package.json has no name`);
    const twin = byName.get(manifest.name);
    if (twin !== undefined) throw new Error(`${dir} and ${twin} are both named ${manifest.name}`);
    byName.set(manifest.name, dir);
    return {
      dir,
      name: manifest.name,
      version: manifest.version,
      private: manifest.private === true,
      manifest,
    };
  });
  return found;
}

function readManifest(root, dir) {
  try {
    return JSON.parse(readFileSync(join(root, dir, 'package.json'), 'utf8'));
  } catch (error) {
    throw new Error(`${dir}/package.json: ${error.message}`);
  }
}

/** Workspace patterns of npm, as far as they are used here: `*` stands for one whole path segment. */
function expand(root, pattern) {
  let dirs = [''];
  for (const segment of pattern.split('/')) {
    dirs = dirs.flatMap((dir) => {
      if (segment !== '*') return [dir === '' ? segment : `${dir}/${segment}`];
      const here = join(root, dir);
      if (!existsSync(here)) return [];
      return readdirSync(here, { withFileTypes: true })
        .filter(
          (entry) => entry.isDirectory() && entry.name !== 'node_modules' && !entry.name.startsWith('.'),
        )
        .map((entry) => (dir === '' ? entry.name : `${dir}/${entry.name}`));
    });
  }
  return dirs.filter((dir) => existsSync(join(root, dir, 'package.json')));
}

/** Files below `root/dir` whose name ends in one of `extensions`, relative to `root`; generated folders left out. */
export function listFiles(root, dir, extensions, skip = SKIPPED) {
  const found = [];
  const visit = (folder) => {
    const here = join(root, folder);
    if (!existsSync(here)) return;
    for (const entry of readdirSync(here, { withFileTypes: true })) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) {
        if (!skip.has(entry.name)) visit(path);
      } else if (extensions.some((extension) => entry.name.endsWith(extension))) {
        found.push(path);
      }
    }
  };
  visit(dir);
  return found.sort();
}

const SKIPPED = new Set(['node_modules', 'dist', 'gen', '.git']);

/** Workspaces that `tsc -b` builds: packages and apps with an entry point in TypeScript. */
export function buildable(root, workspaces) {
  return workspaces.filter(
    ({ dir }) => /^(packages|apps)\//.test(dir) && existsSync(join(root, dir, 'src', 'index.ts')),
  );
}
