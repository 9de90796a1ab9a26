import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

const root = join(import.meta.dirname, '..', '..', '..', '..');
const READS = /\.(?:getInteger|getNumber|getBoolean|featureEnabled)\(/;

/** Keys that a source asks runtime for by a literal, or has in a constant for that. */
function keysOf(text: string): string[] {
  if (!READS.test(text)) return [];
  const found = [
    ...text.matchAll(/\.(?:getInteger|getNumber|getBoolean|featureEnabled)\(\s*'([^']+)'/g),
    ...text.matchAll(/^const \w*KEY = '([^']*\.[^']+)'/gm),
    ...text.matchAll(/'(envoy\.reloadable_features\.\w+)'/g),
  ];
  return found.map(([, key]) => key as string);
}

describe('docs/runtime.md', () => {
  const doc = readFileSync(join(root, 'docs', 'runtime.md'), 'utf8');
  const sources = globSync('packages/*/*/src/**/*.ts', {
    cwd: root,
    exclude: (path) => path.endsWith('gen'),
  });
  const keys = new Set(sources.flatMap((file) => keysOf(readFileSync(join(root, file), 'utf8'))));

  test('names every key that is read', () => {
    expect(keys.size).toBeGreaterThan(25);
    // Rows with several keys below one prefix leave it out after the first.
    const named = (key: string) =>
      doc.includes(`\`${key}\``) || doc.includes(`\`.${key.slice(key.lastIndexOf('.') + 1)}\``);
    expect([...keys].filter((key) => !named(key))).toEqual([]);
  });

  test('names every switch of Envoy’s code that acts', () => {
    const flags = readFileSync(join(root, 'packages/kernel/server/src/runtime/feature-flags.ts'), 'utf8');
    const known = [...flags.matchAll(/'(envoy\.reloadable_features\.\w+)',/g)].map(
      ([, key]) => key as string,
    );
    const inDoc = [...doc.matchAll(/^\| `(envoy\.reloadable_features\.\w+)` /gm)].map(([, key]) => key);
    expect(inDoc.sort()).toEqual(known.sort());
  });
});
