/** `npm run new`: an extension package from the template of its category. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CATEGORIES, snake } from './layers/categories.mjs';
import { writeConfigs } from './references.mjs';
import { listFiles } from './workspaces.mjs';

/** The folder of a category that packages are made from. */
const TEMPLATE = 'template';
const TEXT = ['.ts', '.json', '.md', '.mjs'];

/** @param {string} root @returns {string[]} categories that have a template */
export function templateCategories(root) {
  const packages = join(root, 'packages');
  return readdirSync(packages)
    .filter((category) => existsSync(join(packages, category, TEMPLATE, 'package.json')))
    .sort();
}

/**
 * @param {string} root repository root
 * @param {string} category folder below `packages`
 * @param {string} name kebab-case; Envoy's own name of the extension with dashes
 * @param {{ own?: boolean }} options `own`: Envoy has no such extension, so its name begins with `dragoman.`
 * @returns {{ dir: string, files: string[], extension: string }} what was made
 * @throws {Error} when the category has no template, the name does not fit or is taken
 */
export function scaffold(root, category, name, { own = false } = {}) {
  const categories = templateCategories(root);
  if (!categories.includes(category)) {
    const known = CATEGORIES[category] !== undefined ? 'has no template yet' : 'is no category';
    throw new Error(`${category} ${known}; there are templates for ${categories.join(', ')}`);
  }
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name))
    throw new Error(`"${name}" is not kebab-case, such as header-to-metadata`);
  if (name === TEMPLATE) throw new Error(`"${TEMPLATE}" is what packages are made from; choose another name`);
  const source = `packages/${category}/${TEMPLATE}`;
  const dir = `packages/${category}/${name}`;
  if (existsSync(join(root, dir))) throw new Error(`${dir} is there already`);

  const files = listFiles(root, source, TEXT)
    .filter((path) => !path.endsWith('/tsconfig.json'))
    .map((path) => ({ from: path, to: `${dir}/${path.slice(source.length + 1)}` }));
  for (const { from, to } of files) {
    const text = rename(readFileSync(join(root, from), 'utf8'), name, own);
    mkdirSync(dirname(join(root, to)), { recursive: true });
    writeFileSync(join(root, to), to.endsWith('/package.json') ? publish(text) : text);
  }
  writeConfigs(root);
  const space = CATEGORIES[category].envoy[0];
  return {
    dir,
    files: files.map(({ to }) => to),
    extension: `${own ? space.replace(/^envoy\./, 'dragoman.') : space}.${snake(name)}`,
  };
}

/** The template's name in all its spellings, and the passage that only the template has. */
function rename(text, name, own) {
  const pascal = name.replace(/(^|-)([a-z0-9])/g, (_, _dash, letter) => letter.toUpperCase());
  const camel = pascal[0].toLowerCase() + pascal.slice(1);
  return (
    text
      .replace(/<!-- template only -->[\s\S]*?<!-- end -->\n\n?/g, '')
      .replace(/dragoman\.([a-z_.]+)\.template\b/g, `${own ? 'dragoman' : 'envoy'}.$1.${snake(name)}`)
      .replace(/(@dragoman\/[a-z-]+-)template\b/g, `$1${name}`)
      // Inside a text (a stat, a detail) it is a name of Envoy's kind, elsewhere an identifier.
      .replace(/(?<=['"`>.])template(?![a-z])/g, snake(name))
      .replace(/\btemplate\b/g, camel)
      .replace(/\bTemplate(?=[A-Z])/g, pascal)
  );
}

/** The copy is published, the template is not. */
function publish(text) {
  const { private: _private, ...manifest } = JSON.parse(text);
  manifest.description = 'Say here in one line what it does';
  return `${JSON.stringify(manifest, undefined, 2)}\n`;
}
