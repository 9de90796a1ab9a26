/** Writes the generated parts of the documents, or says which are out of date. Runs under `--conditions=dragoman-source`. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { main, repositoryRoot, say } from '../root.mjs';
import { fillBlocks } from './blocks.mjs';
import { errorExamples, firstYaml } from './errors.mjs';
import { extensionTables } from './extensions.mjs';
import { fieldTables } from './field-tables.mjs';
import { flagTable, ignoredFlagTable } from './flags.mjs';
import { packagesWithSources, packageTable } from './packages.mjs';
import { importSource, loadSources } from './sources.mjs';
import { statSections } from './stats.mjs';

/** Documents with generated blocks. */
const DOCUMENTS = [
  'README.md',
  'docs/cli.md',
  'docs/compatibility.md',
  'docs/configuration-errors.md',
  'docs/stats.md',
  'docs/writing-a-filter.md',
];

async function makeParts(root) {
  const sources = await loadSources(root);
  const { FLAG_TABLE } = await importSource(root, 'apps/sidecar/src/flag-table.ts');
  const { ENVOY_STATS } = await importSource(root, 'packages/kernel/stats/src/index.ts');
  return {
    packages: packageTable(root),
    flags: flagTable(FLAG_TABLE),
    'ignored-flags': ignoredFlagTable(FLAG_TABLE),
    stats: statSections(ENVOY_STATS),
    extensions: extensionTables(root, sources, packagesWithSources(root)),
    fields: await fieldTables(sources),
    errors: await errorExamples(sources, firstYaml(read(root, 'README.md'))),
    'filter-example': code(read(root, 'examples/require-header/filter.ts')),
    'filter-test': code(read(root, 'examples/require-header/require-header.test.ts')),
  };
}

/** As `npm run format` would leave it: tables with columns of equal width. */
function formatted(root, document, text) {
  const biome = join(root, 'node_modules', '@biomejs', 'biome', 'bin', 'biome');
  const args = [biome, 'format', `--stdin-file-path=${document}`];
  return execFileSync(process.execPath, args, { cwd: root, input: text, encoding: 'utf8' });
}

const read = (root, path) => readFileSync(join(root, path), 'utf8');
/** `ts fragment`: the file itself is compiled and tested. */
const code = (text) => `\`\`\`ts fragment\n${text.trim()}\n\`\`\``;

await main(async (args) => {
  const check = args.includes('--check');
  const parts = await makeParts(repositoryRoot);
  let stale = 0;
  for (const document of DOCUMENTS) {
    const path = join(repositoryRoot, document);
    const before = read(repositoryRoot, document);
    const after = formatted(repositoryRoot, document, fillBlocks(before, parts));
    if (after === before) continue;
    stale++;
    if (check) say(`${document} is out of date`);
    else {
      writeFileSync(path, after);
      say(`wrote ${document}`);
    }
  }
  if (check && stale > 0) say('run: npm run docs');
  return check && stale > 0 ? 1 : 0;
});
