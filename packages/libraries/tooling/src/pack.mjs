/** The pack check: what `npm publish` would ship is complete and holds nothing else. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { readWorkspaces } from './workspaces.mjs';

const LISTING_LIMIT_BYTES = 256 * 1024 * 1024;

/** A tarball above this many bytes (unpacked) is a mistake, not a package: 40 MiB, which is three times the largest. */
export const MAXIMUM_UNPACKED_BYTES = 40 * 1024 * 1024;

/** Never shipped. */
const REFUSED = [
  /(^|\/)test\//,
  /\.test\.[cm]?[jt]s$/,
  /\.tsbuildinfo$/,
  /(^|\/)bench\//,
  /(^|\/)node_modules\//,
  /\.log$/,
  /(^|\/)\.cache\//,
];

/**
 * What is wrong with one package's tarball.
 *
 * @param {any} manifest its package.json
 * @param {readonly { path: string }[]} files what the tarball holds
 * @param {number} unpackedSize bytes
 * @returns {string[]}
 */
export function checkTarball(manifest, files, unpackedSize) {
  const errors = [];
  const paths = new Set(files.map(({ path }) => path));
  const need = (path, why) => {
    if (!paths.has(path)) errors.push(`${path} is missing from the tarball (${why})`);
  };
  need('README.md', 'every package has one');
  need('package.json', 'npm');
  if (![...paths].some((path) => path.startsWith('src/')))
    errors.push('src is missing from the tarball (source maps point at it)');
  for (const [where, target] of targets(manifest.exports, 'exports')) need(target, where);
  for (const [name, target] of Object.entries(manifest.bin ?? {})) need(normalise(target), `bin ${name}`);
  for (const path of paths)
    if (REFUSED.some((pattern) => pattern.test(path))) errors.push(`${path} does not belong in the tarball`);
  for (const path of paths)
    if (path.startsWith('src/') && path.endsWith('.bin'))
      need(path.replace(/^src/, 'dist'), `beside the module that reads ${path}`);
  for (const path of paths) {
    if (!path.startsWith('dist/') || !path.endsWith('.js') || path.startsWith('dist/bundle/')) continue;
    const source = path.replace(/^dist\//, 'src/').replace(/\.js$/, '');
    if (!['.ts', '.js', '.mjs'].some((extension) => paths.has(source + extension))) {
      errors.push(`${path} has no source any more; remove dist and build again`);
    }
  }
  if (unpackedSize > MAXIMUM_UNPACKED_BYTES)
    errors.push(`${unpackedSize} bytes unpacked, more than ${MAXIMUM_UNPACKED_BYTES}`);
  for (const field of ['name', 'version', 'description', 'license', 'type', 'engines', 'files', 'exports']) {
    if (manifest[field] === undefined) errors.push(`package.json has no ${field}`);
  }
  if (manifest.publishConfig?.access !== 'public')
    errors.push('package.json: publishConfig.access is not "public"');
  return errors;
}

/** Every file that `exports` names, with the way to it. */
function* targets(value, where) {
  if (typeof value === 'string') yield [where, normalise(value)];
  else for (const [key, inner] of Object.entries(value ?? {})) yield* targets(inner, `${where} ${key}`);
}

const normalise = (path) => path.replace(/^\.\//, '');

/**
 * Dependencies that cannot be installed by somebody who has only the registry: private packages, other versions.
 *
 * @param {import('./workspaces.mjs').Workspace} workspace
 * @param {Map<string, import('./workspaces.mjs').Workspace>} byName
 * @returns {string[]}
 */
export function checkDependencies({ manifest }, byName) {
  const errors = [];
  for (const [name, range] of Object.entries({ ...manifest.dependencies, ...manifest.peerDependencies })) {
    const other = byName.get(name);
    if (other === undefined) {
      if (!/^\d+\.\d+\.\d+/.test(range) && manifest.dependencies?.[name] !== undefined) {
        errors.push(`package.json: ${name} is "${range}"; dependencies are pinned to one version`);
      }
    } else if (other.private) errors.push(`package.json: ${name} is not published`);
    else if (range !== other.version)
      errors.push(`package.json: ${name} is "${range}", the workspace has ${other.version}`);
  }
  return errors;
}

/**
 * Checks every publishable package, with one run of `npm pack --dry-run` for all.
 *
 * @param {string} root repository root
 * @param {{ npm: string, env: NodeJS.ProcessEnv }} options
 * @returns {Promise<{ errors: string[], packages: number }>}
 */
export async function checkPack(root, { npm, env }) {
  const workspaces = readWorkspaces(root);
  const byName = new Map(workspaces.map((workspace) => [workspace.name, workspace]));
  const published = workspaces.filter((workspace) => !workspace.private);
  const args = [
    'pack',
    '--dry-run',
    '--json',
    '--loglevel=error',
    ...published.flatMap(({ name }) => ['-w', name]),
  ];
  const { stdout } = await promisify(execFile)(npm, args, { cwd: root, env, maxBuffer: LISTING_LIMIT_BYTES });
  const packed = new Map(tarballs(JSON.parse(stdout)).map((tarball) => [tarball.name, tarball]));
  const errors = [];
  for (const workspace of published) {
    const tarball = packed.get(workspace.name);
    const manifest = JSON.parse(readFileSync(join(root, workspace.dir, 'package.json'), 'utf8'));
    const found =
      tarball === undefined
        ? ['npm pack left it out']
        : checkTarball(manifest, tarball.files, tarball.unpackedSize);
    found.push(...checkDependencies(workspace, byName));
    errors.push(...found.map((error) => `${workspace.dir}: ${error}`));
  }
  return { errors, packages: published.length };
}

/** npm prints a list; newer ones an object by package name. */
const tarballs = (printed) => (Array.isArray(printed) ? printed : Object.values(printed));
