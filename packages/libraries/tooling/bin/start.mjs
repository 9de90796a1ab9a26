#!/usr/bin/env node
// npm start: installs what is missing, builds what is out of date, runs the quick start. Works on Node 20.
import { build } from '../src/build.mjs';
import { ensureInstalled } from '../src/install.mjs';
import { quickstart } from '../src/quickstart.mjs';
import { main, repositoryRoot, say } from '../src/root.mjs';
import { childEnvironment, findNode } from '../src/runtime.mjs';

await main(async (args) => {
  await ensureInstalled(repositoryRoot, say);
  const node = findNode(repositoryRoot);
  await build(repositoryRoot, { log: say });
  const print = (text) => process.stdout.write(text);
  return quickstart(repositoryRoot, node, childEnvironment(repositoryRoot), args, print);
});
