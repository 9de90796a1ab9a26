import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { examples, extractExamples, renameFiles } from '../src/readme.mjs';
import { aPackage, tree } from './tree.ts';

const README = [
  '# One',
  '',
  '```ts',
  "import 'a';",
  '```',
  '',
  '```yaml',
  'a: 1',
  '```',
  '```ts fragment',
  'x',
  '```',
  '```ts',
  'y',
  '```',
].join('\n');

test('blocks that say ts and nothing else, with their lines', () => {
  expect(examples(README)).toEqual([
    { code: "import 'a';\n", line: 4 },
    { code: 'y\n', line: 14 },
  ]);
  expect(examples('no code')).toEqual([]);
});

test('extracted files keep the line numbers, and errors name the README', () => {
  const root = tree({
    'package.json': { workspaces: ['packages/*/*'] },
    ...aPackage('packages/kernel/core', '@dragoman/core', {}),
    'packages/kernel/core/README.md': README,
  });
  const origin = extractExamples(root);
  const [file] = origin.keys();
  expect([...origin.values()]).toEqual(['packages/kernel/core/README.md', 'packages/kernel/core/README.md']);
  expect(readFileSync(join(root, file), 'utf8').split('\n')[3]).toBe("import 'a';");
  expect(existsSync(join(root, '.cache/readme/tsconfig.json'))).toBe(true);
  expect(renameFiles(`${file}(4,1): error TS1`, origin)).toBe(
    'packages/kernel/core/README.md(4,1): error TS1',
  );
});
