/** TypeScript project references, derived from the package.json files. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { buildable, readWorkspaces } from './workspaces.mjs';

/**
 * What the tsconfig.json files should hold. Options that a package adds of its own are kept; `references` is
 * always ours.
 *
 * @param {string} root repository root
 * @returns {Map<string, string>} path relative to the root → text
 */
export function expectedConfigs(root) {
  const projects = buildable(root, readWorkspaces(root));
  const dirByName = new Map(projects.map((project) => [project.name, project.dir]));
  const files = new Map();
  for (const project of projects) {
    const path = `${project.dir}/tsconfig.json`;
    const up = posix.relative(project.dir, '.');
    const dependencies = { ...project.manifest.dependencies, ...project.manifest.peerDependencies };
    const references = Object.keys(dependencies)
      .filter((name) => dirByName.has(name))
      .map((name) => posix.relative(project.dir, dirByName.get(name)))
      .sort()
      .map((target) => ({ path: target }));
    const { references: _old, ...kept } = readConfig(root, path) ?? defaultConfig(up);
    files.set(path, serialise({ ...kept, references }));
  }
  files.set(
    'tsconfig.json',
    serialise({ files: [], references: projects.map(({ dir }) => ({ path: dir })) }),
  );
  return files;
}

function defaultConfig(up) {
  return {
    extends: `${up}/tsconfig.base.json`,
    compilerOptions: { rootDir: 'src', outDir: 'dist', tsBuildInfoFile: 'dist/.tsbuildinfo' },
    include: ['src'],
  };
}

function readConfig(root, path) {
  const file = join(root, path);
  if (!existsSync(file)) return undefined;
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new Error(`${path} must be plain JSON (no comments): ${error.message}`);
  }
}

const serialise = (value) => `${JSON.stringify(value, undefined, 2)}\n`;

/**
 * @param {string} root repository root
 * @returns {string[]} paths whose content is not what it should be
 */
export function outdatedConfigs(root) {
  const wrong = [];
  for (const [path, text] of expectedConfigs(root)) {
    const file = join(root, path);
    if (!existsSync(file) || !sameJson(readFileSync(file, 'utf8'), text)) wrong.push(path);
  }
  return wrong;
}

/** Layout is the formatter's business: only the content counts. */
function sameJson(left, right) {
  try {
    return JSON.stringify(JSON.parse(left)) === JSON.stringify(JSON.parse(right));
  } catch {
    return false;
  }
}

/**
 * Writes what is out of date.
 *
 * @param {string} root repository root
 * @returns {string[]} the paths that were written
 */
export function writeConfigs(root) {
  const expected = expectedConfigs(root);
  const wrong = outdatedConfigs(root);
  for (const path of wrong) writeFileSync(join(root, path), expected.get(path));
  return wrong;
}
