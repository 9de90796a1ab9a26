#!/usr/bin/env node
// npm run check:readme: compiles the `ts` examples of every README.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { EXAMPLES, extractExamples, renameFiles } from '../src/readme.mjs';
import { main, repositoryRoot, say } from '../src/root.mjs';
import { childEnvironment, findNode } from '../src/runtime.mjs';

await main(async () => {
  const origin = extractExamples(repositoryRoot);
  const tsc = join('node_modules', 'typescript', 'bin', 'tsc');
  const options = { cwd: repositoryRoot, env: childEnvironment(repositoryRoot) };
  const { code, output } = await new Promise((resolve) => {
    execFile(
      findNode(repositoryRoot),
      [tsc, '-p', EXAMPLES, '--pretty', 'false'],
      options,
      (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : 1, output: stdout + stderr });
      },
    );
  });
  process.stdout.write(renameFiles(output, origin));
  say(`README: ${origin.size} examples ${code === 0 ? 'compile' : 'were compiled, with errors'}`);
  return code;
});
