import { globSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Bootstrap, type LoadedConfig, loadConfig } from '@dragoman/api';
import { runCheckRoutes } from '@dragoman/route-check';
import { validateBootstrap } from '@dragoman/server';
import { extensions } from 'dragoman';
import { afterAll, describe, expect, test } from 'vitest';
import { certificatesFolder, exampleText } from './certificates.ts';

const here = (file: string) => join(import.meta.dirname, file);
/** Tests of routes are no configs. */
const files = globSync('*.yaml', { cwd: import.meta.dirname }).filter((file) => !file.includes('.tests.'));

describe('every example config', () => {
  const { folder } = certificatesFolder();
  afterAll(() => rmSync(folder, { recursive: true }));

  test('is looked at', () => {
    expect(files.sort()).toEqual([
      'access-log-json.yaml',
      'front-proxy.yaml',
      'grpc.yaml',
      'mtls-client.yaml',
      'mtls-server.yaml',
      'quickstart.yaml',
      'resilience.yaml',
      'routes.yaml',
      'sni-passthrough.yaml',
      'tcp-proxy.yaml',
      'tls-termination.yaml',
    ]);
  });

  test.each(files)('%s is valid and raises no warning', async (file) => {
    const text = exampleText(file, folder);
    const loaded = loadConfig({ text, file: here(file) }) as LoadedConfig<Bootstrap>;
    expect(loaded.warnings).toEqual([]);
    await validateBootstrap({ bootstrap: loaded, extensions });
  });
});

test('the routes go where their tests say', () => {
  let printed = '';
  const print = (text: string) => {
    printed += text;
  };
  const argv = ['-c', here('routes.yaml'), '-t', here('routes.tests.yaml'), '--fail-under', '100'];
  expect([runCheckRoutes(argv, { out: print, err: print, extensions }), printed]).toEqual([
    0,
    'Current route coverage: 100%\n',
  ]);
});
