/** The layer check: imports go down, never sideways or in circles; names agree; every package is complete. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join, posix } from 'node:path';
import { listFiles, readWorkspaces } from '../workspaces.mjs';
import {
  CONTRACTS,
  extensionNames,
  KERNEL_HEIGHT,
  LIBRARY_HEIGHT,
  NOT_SHIPPED,
  placeOf,
} from './categories.mjs';
import { findCycles } from './cycles.mjs';
import { readModule } from './modules.mjs';

const SCRIPTS = ['.ts', '.mts', '.js', '.mjs'];
const BUILTIN = new Set(builtinModules);

/**
 * @param {string} root repository root
 * @returns {{ errors: string[], packages: number, files: number }} each error is one line that starts with a path
 */
export function checkLayers(root) {
  const errors = [];
  const workspaces = readWorkspaces(root);
  const byName = new Map(workspaces.map((workspace) => [workspace.name, workspace]));
  const rootManifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const everywhere = new Set(Object.keys(rootManifest.devDependencies ?? {}));
  const packageGraph = new Map();
  let files = 0;

  for (const workspace of workspaces) {
    const place = placeOf(workspace.dir);
    if (typeof place === 'string') {
      errors.push(place);
      continue;
    }
    const modules = new Map();
    for (const path of listFiles(root, workspace.dir, SCRIPTS, SKIP)) {
      try {
        modules.set(path, readModule(root, path));
      } catch (error) {
        errors.push(error.message);
      }
    }
    files += modules.size;
    checkName(workspace, place, modules, errors);
    checkComplete(root, workspace, place, modules, errors);
    checkFileCycles(modules, errors);
    const edges = new Set();
    const context = { workspace, place, byName, everywhere, edges, errors };
    for (const module of modules.values()) checkImports(context, module);
    for (const name of Object.keys(workspace.manifest.dependencies ?? {}))
      if (byName.has(name)) edges.add(name);
    packageGraph.set(workspace.name, edges);
  }
  for (const cycle of findCycles(packageGraph)) {
    errors.push(`${byName.get(cycle[0]).dir}: packages import each other in a circle: ${cycle.join(' → ')}`);
  }
  return { errors: errors.sort(), packages: workspaces.length, files };
}

/** Generated code is left out; a template's own sources are not. */
const SKIP = new Set(['node_modules', 'dist', 'gen', 'fixtures']);

/** Folder, npm name and extension name agree. */
function checkName({ dir, name }, place, modules, errors) {
  if (!place.npm.includes(name))
    errors.push(`${dir}/package.json: named ${name}, but the folder makes it ${place.npm[0]}`);
  if (place.kind !== 'extension') return;
  const expected = extensionNames(place.category, place.folder);
  const wanted = expected.filter((one) => one.startsWith('envoy.')).join(' or ');
  const sources = [...modules.values()].filter(({ path }) => path.startsWith(`${dir}/src/`));
  const definitions = sources.flatMap(({ path, definitions: found }) =>
    found.map((one) => ({ path, ...one })),
  );
  for (const { path, line, callee, name: given } of definitions) {
    if (!expected.includes(given)) {
      errors.push(`${path}:${line}: ${callee} names ${given}, but the folder makes it ${wanted}`);
    }
  }
  if (definitions.length === 0 && !sources.some(({ strings }) => expected.some((one) => strings.has(one)))) {
    errors.push(`${dir}/src: no extension named ${wanted} is defined here`);
  }
}

/** README, tests, one entry point that only exports. */
function checkComplete(root, { dir, manifest }, place, modules, errors) {
  const readme = join(root, dir, 'README.md');
  if (place.kind !== 'tests') {
    if (!existsSync(readme) || statSync(readme).size < MINIMUM_README_BYTES)
      errors.push(`${dir}: no README.md worth the name`);
    const tested = [...modules.keys()].some(
      (path) => path.startsWith(`${dir}/test/`) && path.endsWith('.test.ts'),
    );
    if (!tested) errors.push(`${dir}: no test/*.test.ts`);
  }
  if (manifest.exports === undefined) {
    if (manifest.private !== true) errors.push(`${dir}/package.json: a published package needs exports`);
    return;
  }
  const entry = modules.get(`${dir}/src/index.ts`);
  if (entry === undefined) errors.push(`${dir}: no src/index.ts`);
  else if (entry.statement !== undefined) {
    errors.push(
      `${entry.path}:${entry.statement}: the entry point only exports; code belongs in a file of its own`,
    );
  }
  const paths = Object.keys(manifest.exports).filter((path) => path !== './package.json');
  if (paths.length !== 1 || paths[0] !== '.') {
    errors.push(`${dir}/package.json: one entry point a package, this has ${paths.join(', ')}`);
  }
}

const MINIMUM_README_BYTES = 200;

/** Circles of value imports. Type-only imports are erased, so a circle of those does no harm and is allowed. */
function checkFileCycles(modules, errors) {
  const graph = new Map();
  for (const [path, { imports }] of modules) {
    const targets = imports
      .filter(({ specifier, typeOnly }) => !typeOnly && specifier.startsWith('.'))
      .map(({ specifier }) => posix.join(posix.dirname(path), specifier));
    graph.set(path, targets);
  }
  for (const cycle of findCycles(graph))
    errors.push(`${cycle[0]}: files import each other in a circle: ${cycle.join(' → ')}`);
}

/** One file's imports: inside the package, declared, and downwards. */
function checkImports(context, { path, imports }) {
  const { workspace, place, byName, everywhere, edges, errors } = context;
  const { dir, name, manifest } = workspace;
  const shipped =
    place.kind !== 'tests' && !workspace.private && /^(src|bin)\//.test(path.slice(dir.length + 1));
  const declared = new Set([
    ...Object.keys(manifest.dependencies ?? {}),
    ...Object.keys(manifest.peerDependencies ?? {}),
    ...Object.keys(manifest.optionalDependencies ?? {}),
  ]);
  const development = new Set([...Object.keys(manifest.devDependencies ?? {}), ...everywhere]);
  for (const { specifier, line } of imports) {
    const at = `${path}:${line}`;
    if (specifier.startsWith('.')) {
      const target = posix.join(posix.dirname(path), specifier);
      if (!target.startsWith(`${dir}/`))
        errors.push(`${at}: ${specifier} reaches into another package; import it by name`);
      continue;
    }
    if (specifier.startsWith('node:')) continue;
    const target = packageName(specifier);
    if (BUILTIN.has(target)) {
      errors.push(`${at}: write node:${specifier}`);
      continue;
    }
    const other = byName.get(target);
    if (
      other !== undefined &&
      specifier !== target &&
      !(specifier.slice(target.length + 1) === 'package.json')
    ) {
      errors.push(`${at}: ${specifier} reaches into a package past its entry point`);
    }
    if (target !== name && !declared.has(target) && (shipped || !development.has(target))) {
      const where = shipped ? 'dependencies' : 'dependencies or devDependencies';
      errors.push(`${at}: ${target} is not in the ${where} of ${dir}/package.json`);
    }
    if (other === undefined || other.name === name) continue;
    if (shipped) edges.add(target);
    const objection = shipped ? forbidden(place, workspace, other) : undefined;
    if (objection !== undefined) errors.push(`${at}: ${objection}`);
  }
}

/** `@scope/name/deep` → `@scope/name`. */
function packageName(specifier) {
  const [first, second] = specifier.split('/');
  return first.startsWith('@') ? `${first}/${second}` : first;
}

/** Why code that ships in `place` must not import `other`; undefined when it may. */
function forbidden(place, { name }, other) {
  const target = placeOf(other.dir);
  if (typeof target === 'string') return undefined;
  if (target.kind === 'tests' && place.kind !== 'tests') return `${other.name} is not for import`;
  switch (place.kind) {
    case 'app':
    case 'tests':
      return undefined;
    case 'kernel':
      if (isShippedLibrary(target) && KERNEL_HEIGHT[place.folder] > LIBRARY_HEIGHT) return undefined;
      if (target.kind !== 'kernel') return `${name} is kernel, ${other.name} stands above it`;
      if (KERNEL_HEIGHT[target.folder] >= KERNEL_HEIGHT[place.folder])
        return `${other.name} does not stand below ${name}`;
      return undefined;
    case 'library':
      if (target.kind === 'library' || CONTRACTS.includes(other.name)) return undefined;
      if (place.folder === 'testing' && target.kind === 'kernel') return undefined;
      return `a library imports ${CONTRACTS.join(', ')} and libraries, not ${other.name}`;
    default:
      if (target.kind === 'extension') return `an extension does not import another (${other.name})`;
      if (isShippedLibrary(target)) return undefined;
      if (CONTRACTS.includes(other.name)) return undefined;
      return `an extension imports ${CONTRACTS.join(', ')} and libraries, not ${other.name}`;
  }
}

function isShippedLibrary({ kind, folder }) {
  return kind === 'library' && !NOT_SHIPPED.includes(folder);
}
