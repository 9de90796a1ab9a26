import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { completeLock } from '../src/lockfile.mjs';
import { repositoryRoot } from '../src/root.mjs';

test('packages for other platforms are entered beside the one that is there', () => {
  const lock = {
    packages: {
      '': {},
      'node_modules/a/node_modules/tool': {
        optionalDependencies: {
          '@t/t-linux-x64-gnu': '1.0.0',
          '@t/t-linux-armv7-musleabihf': '1.0.0',
          '@t/t-darwin-arm64': '1.0.0',
        },
      },
      'node_modules/a/node_modules/@t/t-linux-x64-gnu': {
        version: '1.0.0',
        dev: true,
        license: 'MIT',
        optional: true,
      },
      'node_modules/ranged': { optionalDependencies: { fsevents: '~2.3.2', '@t/t-linux-x64-gnu': '1.0.0' } },
      'node_modules/alone': { optionalDependencies: { addon: '1.0.0' } },
    },
  };
  expect(completeLock(lock)).toEqual([
    'node_modules/a/node_modules/@t/t-linux-armv7-musleabihf',
    'node_modules/a/node_modules/@t/t-darwin-arm64',
  ]);
  const packages: Record<string, unknown> = lock.packages;
  expect(packages['node_modules/a/node_modules/@t/t-linux-armv7-musleabihf']).toEqual({
    version: '1.0.0',
    cpu: ['arm'],
    dev: true,
    libc: ['musl'],
    license: 'MIT',
    optional: true,
    os: ['linux'],
  });
  expect(packages['node_modules/a/node_modules/@t/t-darwin-arm64']).toMatchObject({
    os: ['darwin'],
    cpu: ['arm64'],
  });
  expect(completeLock(lock)).toEqual([]);
});

test('a name that tells no platform is an error', () => {
  const lock = {
    packages: {
      'node_modules/tool': { optionalDependencies: { 'tool-linux-x64': '1.0.0', 'tool-extra': '1.0.0' } },
      'node_modules/tool-linux-x64': { version: '1.0.0' },
    },
  };
  expect(() => completeLock(lock)).toThrow('tool-extra: its platform cannot be told from its name');
});

test("this repository's lockfile is complete and names no registry", () => {
  const text = readFileSync(join(repositoryRoot, 'package-lock.json'), 'utf8');
  expect(completeLock(JSON.parse(text))).toEqual([]);
  expect(text).not.toMatch(/"resolved": "https?:/);
});
