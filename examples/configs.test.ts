import { globSync } from 'node:fs';
import { join } from 'node:path';
import { type Bootstrap, type LoadedConfig, loadConfig } from '@dragoman/api';
import { validateBootstrap } from '@dragoman/server';
import { extensions } from 'dragoman';
import { describe, expect, test } from 'vitest';

const files = globSync('*.yaml', { cwd: import.meta.dirname });

describe('every example config', () => {
  test('is looked at', () => {
    expect(files.sort()).toEqual([
      'access-log-json.yaml',
      'front-proxy.yaml',
      'quickstart.yaml',
      'tcp-proxy.yaml',
    ]);
  });

  test.each(files)('%s is valid and raises no warning', async (file) => {
    const loaded = loadConfig({ file: join(import.meta.dirname, file) }) as LoadedConfig<Bootstrap>;
    expect(loaded.warnings).toEqual([]);
    await validateBootstrap({ bootstrap: loaded, extensions });
  });
});
