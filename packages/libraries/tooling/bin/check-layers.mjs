#!/usr/bin/env node
// npm run check:layers: floors, circles, names, completeness. Exit code 1 and one line for each violation.
import { checkLayers } from '../src/layers/check.mjs';
import { main, repositoryRoot, say } from '../src/root.mjs';

await main(() => {
  const { errors, packages, files } = checkLayers(repositoryRoot);
  for (const error of errors) process.stdout.write(`${error}\n`);
  say(
    `layers: ${packages} packages, ${files} files, ${errors.length} ${errors.length === 1 ? 'violation' : 'violations'}`,
  );
  return errors.length > 0 ? 1 : 0;
});
