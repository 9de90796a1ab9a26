import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';

const BIN = join(import.meta.dirname, '..', 'bin', 'dragoman.js');
/** Makes the running Node look like another version. */
const pretend = (version: string) =>
  `data:text/javascript,Object.defineProperty(process,'versions',{value:{node:'${version}'}});Object.defineProperty(process,'version',{value:'v${version}'})`;

/** The command as it is installed: `bin` and `dist` in a folder of their own. */
function installed(files: Record<string, string>, pinned: boolean): string {
  const root = mkdtempSync(join(tmpdir(), 'dragoman-bin-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  for (const [path, text] of Object.entries({ 'package.json': '{ "type": "module" }', ...files })) {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  mkdirSync(join(root, 'bin'));
  cpSync(BIN, join(root, 'bin', 'dragoman.js'));
  if (pinned) {
    mkdirSync(join(root, 'node_modules', '.bin'), { recursive: true });
    symlinkSync(process.execPath, join(root, 'node_modules', '.bin', 'node'));
  }
  return join(root, 'bin', 'dragoman.js');
}

function run(bin: string, version: string, ...args: string[]) {
  const child = spawn(process.execPath, ['--import', pretend(version), bin, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  child.stderr.on('data', (chunk) => {
    output += chunk;
  });
  const ended = new Promise<{ code: number | null; output: string }>((resolve) => {
    child.on('close', (code) => resolve({ code, output }));
  });
  return { child, ended };
}

const PLAIN =
  "console.log('dist', process.argv.slice(2).join(' '), process.execArgv.includes('--disable-sigusr1'));\n";

test('runs the bundle when there is one, else the compiled files', async () => {
  const compiled = installed({ 'dist/main.js': PLAIN }, false);
  expect(await run(compiled, '24.15.0', '-c', 'x').ended).toEqual({ code: 0, output: 'dist -c x false\n' });
  const bundled = installed(
    { 'dist/main.js': PLAIN, 'dist/bundle/main.js': "console.log('bundle');\n" },
    false,
  );
  expect(await run(bundled, '26.0.0').ended).toEqual({ code: 0, output: 'bundle\n' });
});

test.each(['20.20.2', '24.14.9', '9.0.0'])(
  'Node %s with no other at hand: one clear line',
  async (version) => {
    const { code, output } = await run(installed({ 'dist/main.js': PLAIN }, false), version).ended;
    expect(code).toBe(1);
    expect(output).toBe(`dragoman needs Node.js 24.15 or newer; this is v${version} (${process.execPath})\n`);
  },
);

test('on an old Node the one installed beside it takes over, with arguments and exit code', async () => {
  const bin = installed({ 'dist/main.js': `${PLAIN}process.exitCode = 7;\n` }, true);
  expect(await run(bin, '20.20.2', '--help').ended).toEqual({ code: 7, output: 'dist --help true\n' });
});

test('one that is too old as well is asked only once', async () => {
  const bin = installed({ 'dist/main.js': PLAIN }, true);
  const options = {
    env: { ...process.env, NODE_OPTIONS: `--import "${pretend('20.20.2')}"` },
    stdio: 'pipe' as const,
  };
  const child = spawn(process.execPath, [bin], options);
  let output = '';
  child.stderr.on('data', (chunk) => {
    output += chunk;
  });
  expect(await new Promise((resolve) => child.on('close', resolve))).toBe(1);
  expect(output).toMatch(/^dragoman needs Node\.js 24\.15 or newer; this is v20\.20\.2 .*\n$/);
});

test('signals are passed on to it', async () => {
  const main = [
    "process.on('SIGTERM', () => { console.log('drained'); process.exit(3); });",
    'setInterval(() => {}, 60_000);',
    "console.log('up');",
  ].join('\n');
  const { child, ended } = run(installed({ 'dist/main.js': main }, true), '20.20.2');
  await new Promise((resolve) => child.stdout.once('data', resolve));
  child.kill('SIGTERM');
  expect(await ended).toEqual({ code: 3, output: 'up\ndrained\n' });
});

test('SIGUSR1 does not open the debugger', async () => {
  const main = [
    "process.on('SIGUSR1', () => { console.log('heard'); process.exit(0); });",
    'setInterval(() => {}, 60_000);',
    "console.log('up');",
  ].join('\n');
  const { child, ended } = run(installed({ 'dist/main.js': main }, false), '26.0.0');
  await new Promise((resolve) => child.stdout.once('data', resolve));
  child.kill('SIGUSR1');
  expect(await ended).toEqual({ code: 0, output: 'up\nheard\n' });
});
