#!/usr/bin/env node
// npm run check:pack: what every publishable package would ship. Needs a build.
import { checkPack } from '../src/pack.mjs';
import { main, repositoryRoot, say } from '../src/root.mjs';
import { childEnvironment } from '../src/runtime.mjs';

await main(async () => {
  const started = performance.now();
  const { errors, packages } = await checkPack(repositoryRoot, {
    npm: 'npm',
    env: childEnvironment(repositoryRoot),
  });
  for (const error of errors) process.stdout.write(`${error}\n`);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  say(
    `pack: ${packages} packages, ${errors.length} ${errors.length === 1 ? 'problem' : 'problems'} (${seconds} s)`,
  );
  return errors.length > 0 ? 1 : 0;
});
