import { spawnSync } from 'node:child_process';

const INDEX = new URL('../src/index.ts', import.meta.url).href;

/** Runs a module in a Node of its own; `posix` is this package. Warnings are printed whatever the environment says. */
export function runChild(
  code: string,
  nodeFlags: readonly string[] = [],
): { stdout: string; stderr: string } {
  const args = [...nodeFlags, '--conditions=dragoman-source', '--input-type=module', '--eval'];
  const { NODE_NO_WARNINGS: _, NODE_OPTIONS: __, ...env } = process.env;
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [...args, `import * as posix from ${JSON.stringify(INDEX)};\n${code}`],
    { encoding: 'utf8', env },
  );
  return { stdout, stderr };
}
