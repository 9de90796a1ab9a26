#!/usr/bin/env node
// npm run new -- <category> <name> [--own]: an extension package that builds and passes its tests.
import { ensureInstalled, writeStamp } from '../src/install.mjs';
import { main, repositoryRoot, say } from '../src/root.mjs';
import { childEnvironment, run } from '../src/runtime.mjs';
import { scaffold, templateCategories } from '../src/scaffold.mjs';

await main(async (args) => {
  const [category, name, ...rest] = args.filter((argument) => argument !== '--own');
  if (category === undefined || name === undefined || rest.length > 0) {
    say('usage: npm run new -- <category> <name> [--own]');
    say(`categories with a template: ${templateCategories(repositoryRoot).join(', ')}`);
    say('--own: Envoy has no such extension; its name begins with dragoman. instead of envoy.');
    return 1;
  }
  await ensureInstalled(repositoryRoot, say);
  const made = scaffold(repositoryRoot, category, name, { own: args.includes('--own') });
  say(`made ${made.dir} (${made.extension})`);
  // Links the new workspace and enters it into the lockfile.
  const options = {
    cwd: repositoryRoot,
    env: childEnvironment(repositoryRoot),
    stdio: ['ignore', 'ignore', 'inherit'],
  };
  const code = await run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error'], options);
  if (code !== 0) throw new Error('npm install failed: run it by hand');
  writeStamp(repositoryRoot);
  say(`next: npm test -- ${made.dir}`);
  return 0;
});
