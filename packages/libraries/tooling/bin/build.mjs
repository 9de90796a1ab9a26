#!/usr/bin/env node
// npm run build [-- --force]: installs what is missing, then builds what is out of date.
import { build } from '../src/build.mjs';
import { ensureInstalled } from '../src/install.mjs';
import { main, repositoryRoot, say } from '../src/root.mjs';
import { findNode } from '../src/runtime.mjs';

await main(async (args) => {
  await ensureInstalled(repositoryRoot, say);
  findNode(repositoryRoot);
  const { built } = await build(repositoryRoot, { log: say, force: args.includes('--force') });
  if (!built) say('the build is up to date');
  return 0;
});
