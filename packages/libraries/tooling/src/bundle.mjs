/** Bundles the sidecar into a few files, so that the `dragoman` command starts fast. */
import { copyFileSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';

export const SIDECAR_ENTRY = 'apps/sidecar/src/main.ts';
export const SIDECAR_BUNDLE = 'apps/sidecar/dist/bundle';

/**
 * Everything in one place except what a module finds beside itself: `new URL('./x', import.meta.url)` in a source.
 * A script named that way (a worker's entry) becomes an entry of its own, any other file is copied.
 *
 * @param {string} root repository root
 * @param {import('esbuild').LogLevel} logLevel what esbuild prints; default: warnings and errors
 * @returns {Promise<void>}
 * @throws {Error} esbuild's, after it has printed what is wrong
 */
export async function bundleSidecar(root, logLevel = 'warning') {
  const { build } = await import('esbuild');
  const outdir = join(root, SIDECAR_BUNDLE);
  const entries = new Map([['main', join(root, SIDECAR_ENTRY)]]);
  const assets = new Map();
  // A worker's entry is known only once the module that starts it was read: repeat until no new one turns up.
  for (let known = 0; known !== entries.size; ) {
    known = entries.size;
    rmSync(outdir, { recursive: true, force: true });
    await build({
      entryPoints: Object.fromEntries(entries),
      outdir,
      bundle: true,
      splitting: true,
      format: 'esm',
      platform: 'node',
      target: 'node24',
      conditions: ['dragoman-source'],
      minifySyntax: true,
      // Comments too: each thread keeps its source as a string, of two bytes a character if one of them is beyond Latin-1.
      minifyWhitespace: true,
      lineLimit: 200,
      keepNames: false,
      sourcemap: 'linked',
      sourcesContent: false,
      legalComments: 'linked',
      chunkNames: '[name]-[hash]',
      logLevel,
      // CommonJS dependencies ask for built-ins through `require`.
      banner: {
        js: "import { createRequire as dragomanRequire } from 'node:module';\nconst require = dragomanRequire(import.meta.url);",
      },
      plugins: [besideItself(entries, assets)],
    });
  }
  for (const [name, file] of assets) copyFileSync(file, join(outdir, name));
}

const BESIDE = /new URL\(\s*(['"])(\.{1,2}\/[^'"]+)\1\s*,\s*import\.meta\.url\s*,?\s*\)/g;
const SCRIPT = /\.[cm]?[jt]s$/;

/** Rewrites `new URL('./x', import.meta.url)` to the place that x has in the bundle, and notes x. */
function besideItself(entries, assets) {
  const note = (map, name, file) => {
    const other = map.get(name);
    if (other !== undefined && other !== file)
      throw new Error(`two files of one name in the bundle: ${other}, ${file}`);
    map.set(name, file);
  };
  return {
    name: 'beside-itself',
    setup(build) {
      build.onLoad({ filter: /\.[cm]?[jt]s$/ }, ({ path }) => {
        const source = readFileSync(path, 'utf8');
        if (!source.includes('import.meta.url') || path.includes(`${'/'}node_modules${'/'}`))
          return undefined;
        const contents = source.replace(BESIDE, (whole, _quote, target) => {
          const file = resolve(dirname(path), target);
          if (!existsSync(file)) return whole;
          if (!SCRIPT.test(file)) {
            note(assets, basename(file), file);
            return `new URL('./${basename(file)}', import.meta.url)`;
          }
          const name = basename(file).replace(SCRIPT, '');
          note(entries, name, file);
          return `new URL('./${name}.js', import.meta.url)`;
        });
        return { contents, loader: /ts$/.test(path) ? 'ts' : 'js', resolveDir: dirname(path) };
      });
    },
  };
}
