/** The packages of this repository, as a table for the README. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readWorkspaces } from '../workspaces.mjs';
import { table } from './blocks.mjs';

/** Every workspace, with the text of its sources. */
export function packagesWithSources(root) {
  return readWorkspaces(root).map((workspace) => ({
    ...workspace,
    sources: globSync('src/**/*.ts', { cwd: join(root, workspace.dir) })
      .filter((file) => !file.startsWith(join('src', 'gen')))
      .map((file) => readFileSync(join(root, workspace.dir, file), 'utf8'))
      .join('\n'),
  }));
}

/** Published packages: name, folder, the description of its package.json. */
export function packageTable(root) {
  const rows = readWorkspaces(root)
    .filter((workspace) => !workspace.private)
    .map(({ dir, name, manifest }) => [`\`${name}\``, `[${dir}](${dir})`, manifest.description ?? '']);
  return table(['package', 'folder', 'what it is'], rows);
}
