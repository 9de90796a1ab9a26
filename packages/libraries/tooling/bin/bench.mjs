#!/usr/bin/env node
// npm run bench [-- arguments]: installs what is missing, builds, runs the benchmarks.
import { build } from '../src/build.mjs';
import { ensureInstalled } from '../src/install.mjs';
import { main, repositoryRoot, say } from '../src/root.mjs';
import { childEnvironment, findNode, run } from '../src/runtime.mjs';

await main(async (args) => {
  await ensureInstalled(repositoryRoot, say);
  const node = findNode(repositoryRoot);
  await build(repositoryRoot, { log: say });
  const env = childEnvironment(repositoryRoot);
  return run(node, ['benchmarks/src/main.ts', ...args], { cwd: repositoryRoot, env });
});
