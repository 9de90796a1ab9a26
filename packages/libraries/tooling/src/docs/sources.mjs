/**
 * The packages of this tree, for scripts that describe what their code does. Loaded by path, so that nothing has to be
 * built; needs Node with `--conditions=dragoman-source`, which makes packages find each other's sources too.
 */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/**
 * @param {string} root repository root
 * @param {string} path of a module, relative to it
 */
export function importSource(root, path) {
  return import(pathToFileURL(join(root, path)).href);
}

/** What the descriptions of configuration are made with. */
export async function loadSources(root) {
  const [api, core, server, sidecar, pki] = await Promise.all([
    importSource(root, 'packages/kernel/api/src/index.ts'),
    importSource(root, 'packages/kernel/core/src/index.ts'),
    importSource(root, 'packages/kernel/server/src/index.ts'),
    importSource(root, 'apps/sidecar/src/extensions.ts'),
    importSource(root, 'packages/libraries/testing/src/pki.ts'),
  ]);
  return { api, core, server, extensions: sidecar.extensions, pki };
}
