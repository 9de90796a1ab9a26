import { execFile, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FLAG_TABLE } from '../src/flag-table.ts';
import { helpText } from '../src/help.ts';
import { packageVersion } from '../src/version.ts';

const ROOT = join(import.meta.dirname, '..');

test('the version is that of the package', () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  expect(packageVersion()).toBe(version);
  expect(packageVersion(join(ROOT, 'dist', 'bundle'))).toBe(version);
  expect(packageVersion('/')).toBe('unknown');
});

/** The command from its sources: nothing has to be built. */
function dragoman(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const node = ['--conditions=dragoman-source', join(ROOT, 'src', 'main.ts')];
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [...node, ...argv], (_error, out, err) => {
      resolve({ code: child.exitCode ?? -1, out, err });
    });
  });
}

test.each([
  [['--version'], 0, /^dragoman {2}version: \d+\.\d+\.\d+\/node-\d+\.\d+\.\d+\n$/, /^$/],
  [['--hot-restart-version'], 0, /^$/, /^1\.0$/],
  [['--hot-restart-version', '--disable-hot-restart'], 0, /^$/, /^disabled$/],
  [['--hlep'], 1, /^$/, /^dragoman: unknown flag --hlep; did you mean "--help"\?\n$/],
])('%j', async (argv, code, out, err) => {
  const result = await dragoman(...argv);
  expect(result.err).toMatch(err);
  expect(result.out).toMatch(out);
  expect(result.code).toBe(code);
});

test('check-routes is a command of its own', async () => {
  const result = await dragoman('check-routes', '-c', 'x');
  expect(result).toEqual({
    code: 1,
    out: '',
    err: 'dragoman check-routes: both --config-path (-c) and --test-path (-t) are needed\n',
  });
});

test('--help', async () => {
  expect(await dragoman('-h')).toEqual({ code: 0, out: helpText(), err: '' });
});

test('the README names every flag', () => {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
  for (const { name } of FLAG_TABLE) expect(readme).toContain(`--${name}`);
});

test('--mode validate', async () => {
  expect(await dragoman('--config-yaml', '{}', '--mode', 'validate')).toEqual({
    code: 0,
    out: "configuration '--config-yaml' OK\n",
    err: '',
  });
  const { code, err } = await dragoman('--config-yaml', '{nodes: {}}', '--mode', 'validate');
  expect(code).toBe(1);
  expect(err).toMatch(/^--config-yaml:1:2: nodes: no such field/);
});

test('serves with nothing to serve until SIGTERM', async () => {
  const main = join(ROOT, 'src', 'main.ts');
  const argv = ['--conditions=dragoman-source', main, '--config-yaml', '{}', '--log-format', '%v'];
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'ignore', 'pipe'] });
  let err = '';
  child.stderr.on('data', (chunk) => {
    err += chunk;
    if (err.endsWith('starting main dispatch loop\n')) child.kill('SIGTERM');
  });
  expect(await new Promise((resolve) => child.on('close', resolve))).toBe(0);
  expect(err).toContain('caught SIGTERM\n');
  expect(err.endsWith('exiting\n')).toBe(true);
});
