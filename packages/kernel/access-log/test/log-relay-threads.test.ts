import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemFileSystem } from '../src/file-system.ts';
import { relayLine } from './log-relay-lines.ts';

const MAIN = [
  process.execPath,
  '--conditions',
  'dragoman-source',
  join(import.meta.dirname, 'log-relay-main.ts'),
];
const TIMEOUT_MS = 60_000;

let folder: string;
const started: ChildProcess[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'log-relay-'));
});
afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

/** Runs a shell command over the given arguments; gives what it wrote to standard error. */
async function run(command: string, args: readonly (string | number)[]): Promise<string> {
  const child = spawn('sh', ['-c', command, ...args.map(String)], { stdio: ['ignore', 'inherit', 'pipe'] });
  started.push(child);
  let errors = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  await once(child, 'close');
  return errors;
}

/** Checks that a file holds all lines of all writers, whole. */
function expectAllLines(path: string, writers: number, lines: number): void {
  const found = readFileSync(path, 'latin1').split('\n');
  expect(found.pop()).toBe('');
  const seen = new Set<string>();
  for (const line of found) {
    const [writer, i] = line.split(' ', 2);
    if (`${line}\n` !== relayLine(Number(writer), Number(i))) expect.fail(`torn: ${line.slice(0, 100)}`);
    seen.add(`${writer} ${i}`);
  }
  expect([seen.size, found.length]).toEqual([writers * lines, writers * lines]);
}

/** Checks that each writer's lines in a file are in order. */
function expectOrder(path: string): void {
  const last = new Map<string, number>();
  for (const line of readFileSync(path, 'latin1').split('\n')) {
    const [writer = '', i] = line.split(' ', 2);
    expect(Number(i)).not.toBeLessThan(last.get(writer) ?? 0);
    last.set(writer, Number(i));
  }
}

describe('lines of several threads', () => {
  // Three workers and the main thread, 5,000 lines of up to 8 KiB each.
  const cases = [
    ['standard output into a pipe', 'flush', '"$@" /dev/stdout | cat > "$0"'],
    ['standard output into a pipe, workers that die', 'throw', '"$@" /dev/stdout | cat > "$0"'],
    ['standard output into a file', 'flush', '"$@" /dev/stdout > "$0"'],
    ['a file', 'flush', '"$@" "$0"'],
    ['a file, workers that die', 'throw', '"$@" "$0"'],
  ] as const;
  for (const [what, end, command] of cases) {
    it(`come whole and complete to ${what}`, { timeout: TIMEOUT_MS }, async () => {
      const out = join(folder, 'out');
      expect(await run(command, [out, ...MAIN, end, 3, 5000])).toBe('');
      expectAllLines(out, 4, 5000);
      if (end === 'flush') expectOrder(out);
    });
  }

  it('come whole and complete to a named pipe', { timeout: TIMEOUT_MS }, async () => {
    const fifo = join(folder, 'fifo');
    const out = join(folder, 'out');
    expect(spawnSync('mkfifo', [fifo]).status).toBe(0);
    // A pipe that is open for both lets writers and reader come in any order.
    const holder = openSync(fifo, constants.O_RDWR);
    const reader = run('cat "$0" > "$1"', [fifo, out]);
    expect(await run('"$0" "$@"', [...MAIN, 'flush', 2, 500, fifo])).toBe('');
    closeSync(holder);
    expect(await reader).toBe('');
    expectAllLines(out, 3, 500);
    expectOrder(out);
  });
});

describe('the machine', () => {
  it('keeps writes whole to regular files and to the null device only', () => {
    const file = join(folder, 'file');
    const fifo = join(folder, 'fifo');
    expect(spawnSync('mkfifo', [fifo]).status).toBe(0);
    expect(systemFileSystem.keepsWritesWhole(file)).toBe(true);
    const fd = systemFileSystem.open(file);
    expect(systemFileSystem.keepsWritesWhole(fd)).toBe(true);
    systemFileSystem.close(fd);
    expect(systemFileSystem.keepsWritesWhole(fifo)).toBe(false);
    expect(systemFileSystem.keepsWritesWhole('/dev/null')).toBe(true);
    expect(systemFileSystem.keepsWritesWhole('/dev/full')).toBe(false);
  });
});
