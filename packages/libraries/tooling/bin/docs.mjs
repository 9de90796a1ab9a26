#!/usr/bin/env node
// npm run docs [-- --check]: the generated parts of README.md and docs/, from the sources.
import { join } from 'node:path';
import { main, repositoryRoot } from '../src/root.mjs';
import { childEnvironment, findNode, run } from '../src/runtime.mjs';

await main((args) => {
  const script = join(import.meta.dirname, '..', 'src', 'docs', 'main.mjs');
  const options = { cwd: repositoryRoot, env: childEnvironment(repositoryRoot) };
  return run(findNode(repositoryRoot), ['--conditions=dragoman-source', script, ...args], options);
});
