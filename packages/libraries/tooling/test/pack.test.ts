import { expect, test } from 'vitest';
import { checkDependencies, checkTarball } from '../src/pack.mjs';

const MANIFEST = {
  name: '@dragoman/a',
  version: '0.1.0',
  description: 'a',
  license: 'Apache-2.0',
  type: 'module',
  engines: { node: '>=24.15' },
  files: ['dist'],
  exports: {
    '.': { 'dragoman-source': './src/index.ts', types: './dist/index.d.ts', default: './dist/index.js' },
    './package.json': './package.json',
  },
  bin: { a: 'bin/a.js' },
  publishConfig: { access: 'public' },
};
const FILES = ['package.json', 'README.md', 'src/index.ts', 'dist/index.js', 'dist/index.d.ts', 'bin/a.js'];
const check = (paths: string[], manifest: object = MANIFEST) =>
  checkTarball(
    manifest,
    paths.map((path) => ({ path })),
    1000,
  );

test('a complete tarball', () => {
  expect(check(FILES)).toEqual([]);
});

test.each([
  ['README.md', /^README\.md is missing/],
  ['dist/index.d.ts', /^dist\/index\.d\.ts is missing from the tarball \(exports \. types\)/],
  ['bin/a.js', /^bin\/a\.js is missing from the tarball \(bin a\)/],
  ['src/index.ts', /^src is missing/],
])('without %s', (path, message) => {
  expect(check(FILES.filter((file) => file !== path))).toContainEqual(expect.stringMatching(message));
});

test.each([
  'test/a.test.ts',
  'dist/.tsbuildinfo',
  'src/deep/b.test.ts',
  'dist/bundle/.cache/x',
  'bench/a.ts',
])('with %s', (path) => {
  expect(check([...FILES, path])).toContain(`${path} does not belong in the tarball`);
});

test('compiled files whose source is gone', () => {
  expect(check([...FILES, 'dist/old.js'])).toEqual([
    'dist/old.js has no source any more; remove dist and build again',
  ]);
  expect(check([...FILES, 'dist/bundle/main.js'])).toEqual([]);
});

test('fields that publishing needs', () => {
  const { license: _license, publishConfig: _access, ...rest } = MANIFEST;
  expect(check(FILES, rest)).toEqual([
    'package.json has no license',
    'package.json: publishConfig.access is not "public"',
  ]);
});

test('dependencies can be installed from the registry', () => {
  const workspace = (name: string, isPrivate: boolean) => ({
    dir: name,
    name,
    version: '0.1.0',
    private: isPrivate,
    manifest: {},
  });
  const byName = new Map([
    ['open', workspace('open', false)],
    ['closed', workspace('closed', true)],
  ]);
  const dependencies = { open: '0.0.9', closed: '0.1.0', yaml: '^2.0.0', pinned: '1.2.3' };
  expect(checkDependencies({ ...workspace('a', false), manifest: { dependencies } }, byName)).toEqual([
    'package.json: open is "0.0.9", the workspace has 0.1.0',
    'package.json: closed is not published',
    'package.json: yaml is "^2.0.0"; dependencies are pinned to one version',
  ]);
});
