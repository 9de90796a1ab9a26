#!/usr/bin/env node
// npm run lock [-- --check]: npm install, and a package-lock.json that `npm ci` takes on every platform.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeStamp } from '../src/install.mjs';
import { completeLock } from '../src/lockfile.mjs';
import { main, repositoryRoot, say } from '../src/root.mjs';
import { childEnvironment, run } from '../src/runtime.mjs';

await main(async (args) => {
  const file = join(repositoryRoot, 'package-lock.json');
  const read = () => JSON.parse(readFileSync(file, 'utf8'));
  if (args.includes('--check')) {
    const missing = completeLock(read());
    for (const path of missing) say(`package-lock.json lacks ${path}`);
    if (missing.length > 0) say('run: npm run lock');
    return missing.length > 0 ? 1 : 0;
  }
  const options = {
    cwd: repositoryRoot,
    env: childEnvironment(repositoryRoot),
    stdio: ['ignore', 'ignore', 'inherit'],
  };
  const code = await run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error'], options);
  if (code !== 0) throw new Error('npm install failed: run it by hand');
  const lock = read();
  const added = completeLock(lock);
  if (added.length > 0) writeFileSync(file, `${JSON.stringify(lock, undefined, 2)}\n`);
  writeStamp(repositoryRoot);
  say(
    `package-lock.json is up to date${added.length > 0 ? `; added ${added.length} entries for other platforms` : ''}`,
  );
  return 0;
});
