/** The build: generate the API, refresh project references, compile, bundle the sidecar. */
import { copyFileSync, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { bundleSidecar, SIDECAR_BUNDLE, SIDECAR_ENTRY } from './bundle.mjs';
import { fingerprint, Stamps } from './fingerprint.mjs';
import { writeConfigs } from './references.mjs';
import { childEnvironment, findNode, run } from './runtime.mjs';
import { buildable, readWorkspaces } from './workspaces.mjs';

const API = 'packages/kernel/api';
const GENERATOR = `${API}/scripts/generate.mjs`;
/** What a module reads that lies beside it: goes to where the module is compiled to. */
const ASSET = '.bin';
const SOURCES = ['.ts', '.mts', '.js', '.mjs', '.json', '.proto', '.yaml'];

/**
 * Builds what is out of date. A build with nothing to do takes some 50 ms and starts no process.
 *
 * @param {string} root repository root
 * @param {{ log: (line: string) => void, force?: boolean }} options
 * @returns {Promise<{ built: boolean }>}
 * @throws {Error} when a step fails; the tool has printed why
 */
export async function build(root, { log, force = false }) {
  const stamps = new Stamps(root);
  const projects = buildable(root, readWorkspaces(root));
  const inputs = [
    'package-lock.json',
    'tsconfig.base.json',
    'packages/libraries/tooling/src',
    ...['scripts', 'overlay'].map((dir) => `${API}/${dir}`),
    ...projects.flatMap(({ dir }) => [`${dir}/package.json`, `${dir}/src`]),
  ];
  const assets = projects.flatMap(({ dir }) => assetsOf(root, dir).map((path) => `${dir}/dist/${path}`));
  const bundle = existsSync(join(root, SIDECAR_ENTRY)) ? [`${SIDECAR_BUNDLE}/main.js`] : [];
  const outputs = [...projects.map(({ dir }) => `${dir}/dist/index.js`), ...assets, ...bundle];
  const step = async (name, body) => {
    const started = performance.now();
    await body();
    log(`${name} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
  };

  const value = fingerprint(root, inputs, SOURCES);
  if (!force && stamps.isCurrent('build', value, outputs)) return { built: false };
  stamps.clear('build');
  const node = findNode(root);
  const env = childEnvironment(root);
  const tool = async (what, args) => {
    const code = await run(node, args, { cwd: root, env });
    if (code !== 0) throw new Error(`${what} failed`);
  };

  if (existsSync(join(root, GENERATOR)))
    await step('generated the API', () => tool('generating the API', [GENERATOR]));
  for (const path of writeConfigs(root)) log(`wrote ${path}`);
  await step('compiled', () => tool('tsc', [join('node_modules', 'typescript', 'bin', 'tsc'), '-b']));
  copyAssets(root, projects);
  if (existsSync(join(root, SIDECAR_ENTRY))) await step('bundled the sidecar', () => bundleSidecar(root));
  stamps.set('build', fingerprint(root, inputs, SOURCES));
  return { built: true };
}

/** Relative to `src`. */
function assetsOf(root, dir) {
  const folder = join(root, dir, 'src');
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true }).filter((path) => path.endsWith(ASSET));
}

/** tsc leaves files alone that are no sources. */
function copyAssets(root, projects) {
  for (const { dir } of projects) {
    for (const path of assetsOf(root, dir))
      copyFileSync(join(root, dir, 'src', path), join(root, dir, 'dist', path));
  }
}
