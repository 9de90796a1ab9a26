import { execFileSync } from 'node:child_process';
import { readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { bundleSidecar, SIDECAR_BUNDLE } from '../src/bundle.mjs';
import { add, tree } from './tree.ts';

const SIDECAR = {
  'apps/sidecar/src/main.ts': [
    "import { Worker } from 'node:worker_threads';",
    "import { shared } from './shared.ts';",
    "import { old } from './old.cjs';",
    "import { fileText } from './text.ts';",
    "const worker = new Worker(new URL('./worker.ts', import.meta.url));",
    "worker.on('message', (message) => console.log([shared(), old, fileText(), message].join(' ')));",
  ].join('\n'),
  'apps/sidecar/src/shared.ts': "export const shared = (): string => 'shared';\n",
  'apps/sidecar/src/text.ts': [
    "import { readFileSync } from 'node:fs';",
    "export const fileText = () => readFileSync(new URL('../assets/note.txt', import.meta.url), 'utf8').trim();",
  ].join('\n'),
  'apps/sidecar/assets/note.txt': 'note\n',
  'apps/sidecar/src/old.cjs': "exports.old = require('os').EOL === '\\n' ? 'old' : 'odd';\n",
  'apps/sidecar/src/worker.ts': [
    "import { parentPort } from 'node:worker_threads';",
    "import { shared } from './shared.ts';",
    "parentPort?.postMessage('worker ' + shared());",
  ].join('\n'),
};

test('a bundle has main, what main finds beside itself, and runs', async () => {
  const root = tree(SIDECAR);
  await bundleSidecar(root);
  const out = join(root, SIDECAR_BUNDLE);
  expect(readdirSync(out)).toEqual(
    expect.arrayContaining(['main.js', 'main.js.map', 'worker.js', 'note.txt']),
  );
  expect(execFileSync(process.execPath, [join(out, 'main.js')], { encoding: 'utf8' })).toBe(
    'shared old note worker shared\n',
  );
});

test('two files of one name are refused', async () => {
  const root = tree(SIDECAR);
  add(root, {
    'apps/sidecar/src/text.ts': [
      "export const urls = [new URL('../assets/note.txt', import.meta.url), new URL('./note.txt', import.meta.url)];",
      'export const fileText = () => String(urls);',
    ].join('\n'),
    'apps/sidecar/src/note.txt': 'other\n',
  });
  await expect(bundleSidecar(root, 'silent')).rejects.toThrow(/two files of one name/);
});

test('a source that does not resolve fails the bundle', async () => {
  const root = tree(SIDECAR);
  add(root, { 'apps/sidecar/src/shared.ts': "export * from './absent.ts';\n" });
  await expect(bundleSidecar(root, 'silent')).rejects.toThrow(/absent\.ts/);
});

test('nothing is left of an earlier bundle', async () => {
  const root = tree(SIDECAR);
  await bundleSidecar(root);
  add(root, { 'apps/sidecar/src/main.ts': "console.log('main');\n" });
  await bundleSidecar(root);
  expect(readdirSync(join(root, SIDECAR_BUNDLE)).sort()).toEqual(['main.js', 'main.js.map']);
  symlinkSync(join(root, SIDECAR_BUNDLE, 'main.js'), join(root, 'link.mjs'));
  expect(execFileSync(process.execPath, [join(root, 'link.mjs')], { encoding: 'utf8' })).toBe('main\n');
});
