import { cpSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checkLayers } from '../src/layers/check.mjs';
import { outdatedConfigs } from '../src/references.mjs';
import { repositoryRoot } from '../src/root.mjs';
import { run } from '../src/runtime.mjs';
import { scaffold, templateCategories } from '../src/scaffold.mjs';
import { tree } from './tree.ts';

/** A repository that has the real templates, and links to the real packages for what they import. */
function copy(): string {
  const root = tree({
    'package.json': { private: true, workspaces: ['packages/*/*'], devDependencies: { vitest: '1.0.0' } },
  });
  for (const file of ['tsconfig.base.json', 'vitest.config.ts'])
    cpSync(join(repositoryRoot, file), join(root, file));
  symlinkSync(join(repositoryRoot, 'node_modules'), join(root, 'node_modules'));
  for (const category of templateCategories(repositoryRoot)) {
    const dir = `packages/${category}/template`;
    mkdirSync(join(root, dir), { recursive: true });
    const skipped = /\/(node_modules|dist)(\/|$)/;
    const filter = (path: string) => !skipped.test(path.slice(join(repositoryRoot, dir).length));
    cpSync(join(repositoryRoot, dir), join(root, dir), { recursive: true, filter });
  }
  return root;
}

const CATEGORIES = templateCategories(repositoryRoot);

test('there are templates', () => {
  expect(CATEGORIES).toEqual(expect.arrayContaining(['http-filters', 'network-filters']));
});

test.each(CATEGORIES)('%s: a package that follows every rule and passes its tests', async (category) => {
  const root = copy();
  const made = scaffold(root, category, 'my-new-thing');
  expect(made.extension).toMatch(/^envoy\..*\.my_new_thing$/);
  const texts = made.files.map((path) => readFileSync(join(root, path), 'utf8'));
  for (const text of texts) expect(text).not.toMatch(/template/i);
  expect(texts.some((text) => text.includes(made.extension))).toBe(true);
  expect(checkLayers(root).errors.filter((error) => error.startsWith(made.dir))).toEqual([]);
  expect(outdatedConfigs(root)).toEqual([]);
  const manifest = JSON.parse(readFileSync(join(root, made.dir, 'package.json'), 'utf8'));
  expect(manifest.name).toMatch(/^@dragoman\/[a-z-]+-my-new-thing$/);
  expect(manifest.private).toBeUndefined();
  const vitest = join(repositoryRoot, 'node_modules', 'vitest', 'vitest.mjs');
  const code = await run(process.execPath, [vitest, 'run', '--root', root, made.dir], {
    cwd: root,
    stdio: 'ignore',
  });
  expect(code).toBe(0);
});

test('an extension of our own is named so', () => {
  const root = copy();
  const made = scaffold(root, 'http-filters', 'stamp', { own: true });
  expect(made.extension).toBe('dragoman.filters.http.stamp');
  expect(checkLayers(root).errors.filter((error) => error.startsWith(made.dir))).toEqual([]);
});

test.each([
  ['no-such', 'a', /^no-such is no category; there are templates for .*http-filters/],
  ['tracers', 'a', /^tracers has no template yet; there are templates for .*http-filters/],
  ['http-filters', 'Not-Kebab', /is not kebab-case/],
  ['http-filters', '../escape', /is not kebab-case/],
  ['http-filters', 'template', /choose another name/],
])('%s %s is refused', (category, name, message) => {
  expect(() => scaffold(copy(), category, name)).toThrow(message);
});

test('a name that is taken is refused', () => {
  const root = copy();
  scaffold(root, 'http-filters', 'twice');
  expect(() => scaffold(root, 'http-filters', 'twice')).toThrow(
    'packages/http-filters/twice is there already',
  );
});
