import { utimesSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fingerprint, Stamps } from '../src/fingerprint.mjs';
import { installReason, writeStamp } from '../src/install.mjs';
import { isSupportedNode } from '../src/runtime.mjs';
import { countTests, summaryLine } from '../src/summary.mjs';
import { readWorkspaces } from '../src/workspaces.mjs';
import { add, tree } from './tree.ts';

test.each([
  ['v20.20.2', false],
  ['v24.14.9', false],
  ['v24.15.0', true],
  ['26.10.0', true],
  ['v9.0.0', false],
  ['nonsense', false],
])('Node %s', (version, supported) => {
  expect(isSupportedNode(version)).toBe(supported);
});

describe('fingerprint', () => {
  const of = (root: string) => fingerprint(root, ['src', 'package.json'], ['.ts']);

  test('changes with every kind of change to what it covers, and with nothing else', () => {
    const root = tree({ 'src/a.ts': 'a', 'src/b/c.ts': 'c' });
    let last = of(root);
    const changes = (change: () => void) => {
      change();
      const now = of(root);
      const changed = now !== last;
      last = now;
      return changed;
    };
    expect(changes(() => {})).toBe(false);
    expect(changes(() => add(root, { 'src/note.md': 'x', 'src/gen/a.ts': 'x', 'src/dist/a.ts': 'x' }))).toBe(
      false,
    );
    expect(changes(() => add(root, { 'src/a.ts': 'aa' }))).toBe(true);
    expect(changes(() => utimesSync(join(root, 'src/b/c.ts'), 1, 1))).toBe(true);
    expect(changes(() => add(root, { 'src/d.ts': '' }))).toBe(true);
    expect(changes(() => add(root, { 'package.json': '{}' }))).toBe(true);
  });

  test('a step is current only while its outputs are there', () => {
    const root = tree({ 'dist/a.js': '' });
    new Stamps(root).set('build', 'one');
    const stamps = new Stamps(root);
    expect(stamps.isCurrent('build', 'one', ['dist/a.js'])).toBe(true);
    expect(stamps.isCurrent('build', 'two', ['dist/a.js'])).toBe(false);
    expect(stamps.isCurrent('build', 'one', ['dist/b.js'])).toBe(false);
    stamps.clear('build');
    expect(new Stamps(root).isCurrent('build', 'one')).toBe(false);
  });
});

describe('install', () => {
  const lock = (version: string) => ({
    packages: { 'node_modules/a': { version }, 'node_modules/o': { version, optional: true } },
  });

  test('is needed when node_modules is missing or stands behind the lockfile', () => {
    const root = tree({ 'package-lock.json': lock('1.0.0') });
    expect(installReason(root)).toBe('node_modules is missing');
    add(root, { 'node_modules/.package-lock.json': { packages: {} } });
    expect(installReason(root)).toBe('node_modules does not match package-lock.json');
    add(root, {
      'node_modules/.package-lock.json': { packages: { 'node_modules/a': { version: '1.0.0' } } },
    });
    expect(installReason(root)).toBeUndefined();
    writeStamp(root);
    expect(installReason(root)).toBeUndefined();
    add(root, { 'package-lock.json': lock('1.0.1') });
    expect(installReason(root)).toBe('package-lock.json has changed');
  });
});

test('the summary counts tests, and files that could not be loaded', () => {
  const file = (status: string, ...results: string[]) => ({
    status,
    assertionResults: results.map((one) => ({ status: one })),
  });
  const report = {
    testResults: [
      file('passed', 'passed', 'passed', 'skipped', 'todo'),
      file('failed', 'failed', 'failed', 'passed'),
      file('failed'),
    ],
  };
  expect(countTests(report)).toEqual({ passed: 3, failed: 3, skipped: 2 });
  expect(summaryLine({ passed: 3, failed: 3, skipped: 2 })).toBe('3 passed, 3 failed, 2 skipped');
  expect(summaryLine({ passed: 3, failed: 0, skipped: 0 })).toBe('3 passed, 0 failed');
});

test('workspaces are found by pattern, and names are unique', () => {
  const root = tree({
    'package.json': { workspaces: ['packages/*/*', 'apps/*', 'absent'] },
    'packages/a/b/package.json': { name: 'b' },
    'packages/a/node_modules/package.json': { name: 'no' },
    'apps/c/package.json': { name: 'c', private: true },
  });
  expect(readWorkspaces(root).map(({ dir, private: hidden }) => [dir, hidden])).toEqual([
    ['apps/c', true],
    ['packages/a/b', false],
  ]);
  add(root, { 'apps/d/package.json': { name: 'b' } });
  expect(() => readWorkspaces(root)).toThrow('packages/a/b and apps/d are both named b');
});
