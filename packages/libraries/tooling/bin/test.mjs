#!/usr/bin/env node
// npm test [-- --soak] [vitest's arguments]: installs what is missing, builds, runs the tests. Works on Node 20.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from '../src/build.mjs';
import { ensureInstalled } from '../src/install.mjs';
import { main, repositoryRoot, say } from '../src/root.mjs';
import { childEnvironment, findNode, run } from '../src/runtime.mjs';
import { countTests, summaryLine } from '../src/summary.mjs';

await main(async (args) => {
  await ensureInstalled(repositoryRoot, say);
  const node = findNode(repositoryRoot);
  await build(repositoryRoot, { log: say });
  const folder = mkdtempSync(join(tmpdir(), 'dragoman-test-'));
  const report = join(folder, 'report.json');
  try {
    const vitest = [join('node_modules', 'vitest', 'vitest.mjs'), 'run'];
    if (args.includes('--soak')) vitest.push('--config', 'vitest.soak.config.ts');
    // The last reporter speaks last: the summary ends the output.
    vitest.push('--reporter=json', `--outputFile.json=${report}`, '--reporter=default');
    vitest.push(...args.filter((argument) => argument !== '--soak'));
    const env = childEnvironment(repositoryRoot);
    const code = await run(node, vitest, { cwd: repositoryRoot, env });
    const counts = countTests(JSON.parse(readFileSync(report, 'utf8')));
    process.stdout.write(`${summaryLine(counts)}\n`);
    return code === 0 && counts.failed > 0 ? 1 : code;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
