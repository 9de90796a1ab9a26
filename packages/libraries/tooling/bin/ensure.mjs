#!/usr/bin/env node
// Installs what is missing and prints the path of the Node.js to run everything with.
import { ensureInstalled } from '../src/install.mjs';
import { main, repositoryRoot, say } from '../src/root.mjs';
import { findNode } from '../src/runtime.mjs';

await main(async () => {
  await ensureInstalled(repositoryRoot, say);
  process.stdout.write(`${findNode(repositoryRoot)}\n`);
});
