#!/usr/bin/env node
// npm run references [-- --check]: tsconfig.json `references` of every workspace, from its package.json.
import { outdatedConfigs, writeConfigs } from '../src/references.mjs';
import { main, repositoryRoot, say } from '../src/root.mjs';

await main((args) => {
  if (args.includes('--check')) {
    const wrong = outdatedConfigs(repositoryRoot);
    for (const path of wrong) say(`${path} is out of date`);
    if (wrong.length > 0) say('run: npm run references');
    return wrong.length > 0 ? 1 : 0;
  }
  for (const path of writeConfigs(repositoryRoot)) say(`wrote ${path}`);
  return 0;
});
