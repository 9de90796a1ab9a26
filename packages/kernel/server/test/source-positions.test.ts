import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { transform } from 'esbuild';
import { expect, onTestFinished, test } from 'vitest';
import { describeThrown } from '../src/index.ts';
import { SourcePositions } from '../src/log/source-positions.ts';

/** Code as the sidecar is bundled: without white space, a map beside it. */
async function bundled(source: string, withMap: boolean): Promise<{ folder: string; href: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'dragoman-map-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'chunk.js');
  const { code, map } = await transform(source, {
    minifyWhitespace: true,
    sourcemap: 'external',
    sourcefile: '../../../packages/x/src/filter.ts',
    format: 'esm',
  });
  writeFileSync(file, code);
  if (withMap) writeFileSync(`${file}.map`, map);
  return { folder, href: pathToFileURL(file).href };
}

const SOURCE = '\n\nexport function broken() {\n\n  throw new Error("boom");\n}\n';

test('a stack of bundled code names the source', async () => {
  const { folder, href } = await bundled(SOURCE, true);
  const { broken } = (await import(/* @vite-ignore */ href)) as { broken(): never };
  const positions = new SourcePositions(folder);
  expect(positions.apply(thrownBy(broken))).toMatch(
    /^Error: boom\n {4}at broken \(packages\/x\/src\/filter\.ts:5:9\)\n/,
  );
});

test('what has no map, or lies elsewhere, stays as it is', async () => {
  const { folder, href } = await bundled(SOURCE, false);
  const other = await bundled(SOURCE, true);
  const { broken } = (await import(/* @vite-ignore */ href)) as { broken(): never };
  const positions = new SourcePositions(folder);
  expect(positions.apply(thrownBy(broken))).toMatch(/chunk\.js:1:\d+/);
  const foreign = `at x (${other.href}:1:20)`;
  expect(positions.apply(foreign)).toBe(foreign);
  expect(positions.apply('file:///%zz/chunk.js:1:1 and /a/../chunk.js:1:1')).toContain('%zz/chunk.js:1:1');
});

test('describes what is no error, or has no text', () => {
  const silent = {
    toString() {
      throw new Error('no');
    },
  };
  expect(['text', undefined, silent].map(describeThrown)).toEqual([
    'text',
    'undefined',
    'a value that has no text',
  ]);
});

function thrownBy(body: () => never): string {
  try {
    return body();
  } catch (error) {
    return describeThrown(error);
  }
}
