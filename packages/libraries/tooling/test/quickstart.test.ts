import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { repositoryRoot } from '../src/root.mjs';
import { tree } from './tree.ts';

const SERVICE =
  "process.on('disconnect', () => process.exit(0));\nprocess.on('SIGTERM', () => { console.log('service ended'); process.exit(0); });\n";

/** Binds port 0, writes the address where it was told to, and is ready at the second question. */
const SIDECAR = `
import { createServer } from 'node:http';
import { writeFileSync } from 'node:fs';
let asked = 0;
const server = createServer((request, response) => {
  response.statusCode = request.url === '/ready' && ++asked > 1 ? 200 : 503;
  response.end();
});
process.on('SIGTERM', () => { console.log('drained'); server.closeAllConnections(); server.close(() => process.exit(0)); });
server.listen(0, '127.0.0.1', () => {
  const file = process.argv[process.argv.indexOf('--admin-address-path') + 1];
  writeFileSync(file, '127.0.0.1:' + server.address().port);
});
`;

/** `npm start` without install and build, on a repository made up of scripts. */
function start(sidecar: string, service = SERVICE, through: readonly string[] = []) {
  const root = tree({
    'apps/sidecar/bin/dragoman.js': sidecar,
    'package.json': { type: 'module' },
    ...Object.fromEntries(
      ['fast', 'slow', 'flaky'].map((name) => [`examples/quickstart/${name}.mjs`, service]),
    ),
  });
  const module = join(repositoryRoot, 'packages/libraries/tooling/src/quickstart.mjs');
  const script = `import { quickstart } from ${JSON.stringify(module)};
    process.exitCode = await quickstart(${JSON.stringify(root)}, process.execPath, process.env, [], (text) => process.stdout.write(text));`;
  const [command = '', ...argv] = [...through, process.execPath, '--input-type=module', '-e', script];
  const env = { ...process.env, npm_lifecycle_event: through.length > 0 ? 'start' : undefined };
  const child = spawn(command, argv, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const listeners: (() => void)[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += chunk;
      for (const listener of listeners) listener();
    });
  }
  return {
    child,
    output: () => output,
    printed: (text: string) =>
      new Promise<void>((resolve) => {
        const look = () => output.includes(text) && resolve();
        listeners.push(look);
        look();
      }),
    ended: new Promise<number | null>((resolve) => child.on('close', resolve)),
  };
}

test('says what to try once the proxy is ready, and ends everything on SIGINT with 0', async () => {
  const run = start(SIDECAR);
  await run.printed('Ctrl-C ends it.');
  expect(run.output()).toMatch(/curl -i http:\/\/127\.0\.0\.1:10000\/slow/);
  expect(run.output()).toMatch(/http:\/\/127\.0\.0\.1:\d+\/ +the admin interface/);
  run.child.kill('SIGINT');
  expect(await run.ended).toBe(0);
  expect(run.output()).toContain('drained');
});

test('ends with the shell that npm has put before it', async () => {
  // What follows keeps the shell from becoming the command itself.
  const run = start(SIDECAR, SERVICE, ['sh', '-c', '"$@"; exit $?', 'sh']);
  await run.printed('Ctrl-C ends it.');
  run.child.kill('SIGTERM');
  // The pipes close with the last of them.
  await run.ended;
  expect(run.output()).toContain('drained');
});

test('a sidecar that cannot start is heard, and everything ends with its code', async () => {
  const run = start(
    "console.error('examples/quickstart.yaml:10:1: port 10000 is taken'); process.exit(1);\n",
  );
  expect(await run.ended).toBe(1);
  expect(run.output()).toContain('port 10000 is taken');
  expect(run.output()).not.toContain('Ctrl-C');
});

test('a service that ends takes the rest with it', async () => {
  const run = start(SIDECAR, "console.error('service fast: port 18081 is taken'); process.exit(1);\n");
  expect(await run.ended).toBe(1);
  expect(run.output()).toContain('port 18081 is taken');
});

test('a sidecar that ends by itself with 0 is a failure too', async () => {
  const run = start('process.exit(0);\n');
  expect(await run.ended).toBe(1);
});
