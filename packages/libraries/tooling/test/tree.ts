import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';

/** Files by path → a folder that lasts as long as the test. Objects become JSON. */
export function tree(files: Record<string, string | object>): string {
  const root = mkdtempSync(join(tmpdir(), 'dragoman-tooling-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  add(root, files);
  return root;
}

/** Adds to, or changes, a tree. */
export function add(root: string, files: Record<string, string | object>): void {
  for (const [path, content] of Object.entries(files)) {
    const file = join(root, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, typeof content === 'string' ? content : `${JSON.stringify(content, undefined, 2)}\n`);
  }
}

const README = '# A package\n\n'.padEnd(300, 'What it is for. ');

/** The files of a complete package that breaks no rule. */
export function aPackage(
  dir: string,
  name: string,
  sources: Record<string, string>,
  manifest: object = {},
): Record<string, string | object> {
  const files: Record<string, string | object> = {
    [`${dir}/package.json`]: {
      name,
      version: '0.1.0',
      exports: { '.': './dist/index.js', './package.json': './package.json' },
      ...manifest,
    },
    [`${dir}/README.md`]: README,
    [`${dir}/test/one.test.ts`]: "import { test } from 'vitest';\ntest('one', () => {});\n",
  };
  for (const [path, source] of Object.entries(sources)) files[`${dir}/${path}`] = source;
  return files;
}

/** A root with workspaces, and `core`, `api`, one filter and the sidecar, all in order. */
export function aRepository(): Record<string, string | object> {
  return {
    'package.json': {
      name: 'root',
      private: true,
      workspaces: ['packages/*/*', 'apps/*', 'test-e2e', 'benchmarks'],
      devDependencies: { vitest: '1.0.0' },
    },
    ...aPackage('packages/kernel/core', '@dragoman/core', {
      'src/index.ts': "export { value } from './value.ts';\nexport type { Value } from './value.ts';\n",
      'src/value.ts': 'export type Value = number;\nexport const value: Value = 1;\n',
    }),
    ...aPackage(
      'packages/kernel/stats',
      '@dragoman/stats',
      { 'src/index.ts': "export { value as stat } from '@dragoman/core';\n" },
      { dependencies: { '@dragoman/core': '0.1.0' } },
    ),
    ...aPackage(
      'packages/http-filters/header-mutation',
      '@dragoman/http-filter-header-mutation',
      {
        'src/index.ts': "export { headerMutation } from './filter.ts';\n",
        'src/filter.ts': [
          "import { defineHttpFilter } from '@dragoman/core';",
          "export const headerMutation = defineHttpFilter({ name: 'envoy.filters.http.header_mutation' });",
        ].join('\n'),
      },
      { dependencies: { '@dragoman/core': '0.1.0' } },
    ),
    ...aPackage(
      'apps/sidecar',
      'dragoman',
      { 'src/index.ts': "export { headerMutation } from '@dragoman/http-filter-header-mutation';\n" },
      { dependencies: { '@dragoman/http-filter-header-mutation': '0.1.0' } },
    ),
  };
}
