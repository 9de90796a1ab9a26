import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { outdatedConfigs, writeConfigs } from '../src/references.mjs';
import { add, aRepository, tree } from './tree.ts';

const FILTER = 'packages/http-filters/header-mutation';
const read = (root: string, path: string) => JSON.parse(readFileSync(join(root, path), 'utf8'));

test('references follow from the dependencies', () => {
  const root = tree(aRepository());
  writeConfigs(root);
  expect(read(root, `${FILTER}/tsconfig.json`)).toEqual({
    extends: '../../../tsconfig.base.json',
    compilerOptions: { rootDir: 'src', outDir: 'dist', tsBuildInfoFile: 'dist/.tsbuildinfo' },
    include: ['src'],
    references: [{ path: '../../kernel/core' }],
  });
  expect(read(root, 'apps/sidecar/tsconfig.json')).toMatchObject({
    extends: '../../tsconfig.base.json',
    references: [{ path: '../../packages/http-filters/header-mutation' }],
  });
  expect(read(root, 'tsconfig.json').references).toContainEqual({ path: 'apps/sidecar' });
});

test('what a package sets itself is kept, and a second run writes nothing', () => {
  const root = tree(aRepository());
  add(root, {
    [`${FILTER}/tsconfig.json`]: {
      extends: 'x',
      compilerOptions: { lib: ['es2024'] },
      references: [{ path: 'y' }],
    },
  });
  expect(writeConfigs(root)).toContain(`${FILTER}/tsconfig.json`);
  expect(read(root, `${FILTER}/tsconfig.json`)).toEqual({
    extends: 'x',
    compilerOptions: { lib: ['es2024'] },
    references: [{ path: '../../kernel/core' }],
  });
  expect(writeConfigs(root)).toEqual([]);
});

test('the check names what is out of date, whatever the layout of the JSON', () => {
  const root = tree(aRepository());
  writeConfigs(root);
  add(root, { [`${FILTER}/tsconfig.json`]: JSON.stringify(read(root, `${FILTER}/tsconfig.json`)) });
  expect(outdatedConfigs(root)).toEqual([]);
  add(root, {
    [`${FILTER}/tsconfig.json`]: '{}',
    'packages/kernel/core/tsconfig.json': '{ "references": [] }',
  });
  expect(outdatedConfigs(root)).toEqual([`${FILTER}/tsconfig.json`]);
});

test('comments in a tsconfig.json are refused by name', () => {
  const root = tree({ ...aRepository(), [`${FILTER}/tsconfig.json`]: '{ // no\n}' });
  expect(() => writeConfigs(root)).toThrow(`${FILTER}/tsconfig.json must be plain JSON`);
});
