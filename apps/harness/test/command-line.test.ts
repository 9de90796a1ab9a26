import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { parseCommandLine, USAGE, UsageError } from '../src/command-line.ts';
import { startUpstream } from '../src/index.ts';

test.each([
  [['upstream'], { port: 0, latencyMs: 0, failEvery: 0 }],
  [
    ['upstream', '--port', '8080', '--latency-ms=800', '--fail-every', '3', '--body', 'x', '--host', '::1'],
    { port: 8080, latencyMs: 800, failEvery: 3, body: 'x', host: '::1' },
  ],
  [['--help'], undefined],
  [['upstream', '-h'], undefined],
])('%j', (argv, expected) => {
  expect(parseCommandLine(argv)).toEqual(expected);
});

test.each([
  [[], 'a command is needed: upstream'],
  [['downstream'], 'no command "downstream"'],
  [['upstream', 'more'], 'unexpected argument "more"'],
  [['upstream', '--prot', '1'], "Unknown option '--prot'"],
  [['upstream', '--port'], "'--port <value>' argument missing"],
  [['upstream', '--port', '65536'], '--port must be a whole number from 0 to 65535, is "65536"'],
  [['upstream', '--latency-ms', '-1'], '--latency-ms'],
  [['upstream', '--latency-ms', '2147483648'], '--latency-ms must be a whole number from 0 to 2147483647'],
  [['upstream', '--fail-every', 'x'], '--fail-every must be'],
])('%j is refused', (argv, message) => {
  expect(() => parseCommandLine(argv)).toThrow(UsageError);
  expect(() => parseCommandLine(argv)).toThrow(message);
});

/** The command from its sources: nothing has to be built. */
function harness(...argv: string[]) {
  const main = join(import.meta.dirname, '..', 'src', 'main.ts');
  const child = spawn(process.execPath, ['--conditions=dragoman-source', main, ...argv]);
  let err = '';
  child.stderr.on('data', (chunk) => {
    err += chunk;
  });
  const ended = new Promise<{ code: number | null; err: string }>((resolve) => {
    child.on('close', (code) => resolve({ code, err }));
  });
  return { child, ended };
}

test('the command serves until it is told to end', async () => {
  const { child, ended } = harness('upstream', '--body', 'hello');
  const lines = createInterface({ input: child.stdout });
  const first = await new Promise<string>((resolve) => lines.once('line', resolve));
  const url = /^upstream on (http:\/\/127\.0\.0\.1:\d+)$/.exec(first)?.[1] as string;
  expect(await (await fetch(url)).text()).toBe('hello');
  child.kill('SIGTERM');
  expect(await ended).toEqual({ code: 0, err: '' });
});

test('the command says what is wrong', async () => {
  expect(await harness('upstream', '--port', 'x').ended).toEqual({
    code: 1,
    err: `dragoman-harness: --port must be a whole number from 0 to 65535, is "x"\n\n${USAGE}`,
  });
  await using upstream = await startUpstream();
  expect(await harness('upstream', '--port', String(upstream.port)).ended).toEqual({
    code: 1,
    err: `dragoman-harness: cannot listen: port ${upstream.port} of 127.0.0.1 is taken\n`,
  });
});
