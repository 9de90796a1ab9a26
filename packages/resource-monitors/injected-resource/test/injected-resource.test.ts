import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, InjectedResourceConfigSchema } from '@dragoman/api';
import { testContext } from '@dragoman/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { injectedResource } from '../src/index.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'injected-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const monitor = (filename: string) =>
  injectedResource.create(create(InjectedResourceConfigSchema, { filename }) as never, {
    ...testContext(),
    downstreamConnections: () => 0,
  });

describe('the pressure', () => {
  test.each([
    ['0', 0],
    ['0.35', 0.35],
    ['1\n', 1],
    ['  0.5 \n', 0.5],
    ['1e-1', 0.1],
  ])('%j', async (text, pressure) => {
    const file = join(folder, 'pressure');
    writeFileSync(file, text);
    await expect(monitor(file).measure()).resolves.toBe(pressure);
  });

  test('a file that another takes the place of', async () => {
    const file = join(folder, 'replaced');
    writeFileSync(file, '0.1');
    const made = monitor(file);
    await expect(made.measure()).resolves.toBe(0.1);
    writeFileSync(`${file}.new`, '0.9');
    renameSync(`${file}.new`, file);
    await expect(made.measure()).resolves.toBe(0.9);
  });
});

describe('no pressure', () => {
  test.each([
    ['', 'holds "", and no number'],
    ['high', 'holds "high", and no number'],
    ['1.01', 'which is not from 0 to 1'],
    ['-0.1', 'which is not from 0 to 1'],
  ])('%j', async (text, message) => {
    const file = join(folder, 'wrong');
    writeFileSync(file, text);
    await expect(monitor(file).measure()).rejects.toThrow(message);
  });

  test('no file', async () => {
    await expect(monitor(join(folder, 'none')).measure()).rejects.toThrow('ENOENT');
  });

  test('no name', () => {
    expect(() => monitor('')).toThrow('filename: is required');
  });
});
