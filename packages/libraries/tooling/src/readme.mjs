/** Examples in the READMEs and in docs/: every block marked `ts` is a module of its own that must compile against the sources. */
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readWorkspaces } from './workspaces.mjs';

/** Where the extracted examples are put, below the root (git-ignored). */
export const EXAMPLES = '.cache/readme';

/**
 * The blocks of one README that say `ts` and nothing else; a block marked otherwise (`ts fragment`) is not compiled.
 *
 * @param {string} markdown
 * @returns {{ code: string, line: number }[]} line: 1-based, of the first line of code
 */
export function examples(markdown) {
  const found = [];
  const fence = /^```ts[ \t]*\n([\s\S]*?)^```[ \t]*$/gm;
  for (let match = fence.exec(markdown); match !== null; match = fence.exec(markdown)) {
    found.push({ code: match[1], line: markdown.slice(0, match.index).split('\n').length + 1 });
  }
  return found;
}

/**
 * Writes the examples of every README as files that keep their line numbers, with a tsconfig.json beside them.
 *
 * @param {string} root repository root
 * @returns {Map<string, string>} extracted file → README, both relative to the root
 */
export function extractExamples(root) {
  const out = join(root, EXAMPLES);
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  const origin = new Map();
  const readmes = [
    'README.md',
    ...globSync('docs/*.md', { cwd: root }).sort(),
    ...readWorkspaces(root).map(({ dir }) => `${dir}/README.md`),
  ];
  for (const readme of readmes) {
    if (!existsSync(join(root, readme))) continue;
    for (const { code, line } of examples(readFileSync(join(root, readme), 'utf8'))) {
      const file = `${EXAMPLES}/${readme.replace(/\/?README\.md$|\.md$/, '').replaceAll('/', '_') || 'root'}_${line}.ts`;
      // Blank lines in front: the compiler's line numbers are the README's.
      writeFileSync(join(root, file), `${'\n'.repeat(line - 1)}${code}\nexport {};\n`);
      origin.set(file, readme);
    }
  }
  const config = {
    extends: '../../tsconfig.base.json',
    compilerOptions: {
      noEmit: true,
      composite: false,
      declaration: false,
      sourceMap: false,
      noUnusedLocals: false,
      noUnusedParameters: false,
      erasableSyntaxOnly: false,
      customConditions: ['dragoman-source'],
    },
    include: ['*.ts'],
  };
  writeFileSync(join(out, 'tsconfig.json'), `${JSON.stringify(config, undefined, 2)}\n`);
  return origin;
}

/** The compiler's output with the READMEs' names in place of the extracted files'. */
export function renameFiles(output, origin) {
  let text = output;
  for (const [file, readme] of origin) text = text.replaceAll(file, readme);
  return text;
}
