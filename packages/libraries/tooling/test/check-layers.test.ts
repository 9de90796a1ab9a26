import { describe, expect, test } from 'vitest';
import { checkLayers } from '../src/layers/check.mjs';
import { add, aPackage, aRepository, tree } from './tree.ts';

const FILTER = 'packages/http-filters/header-mutation';
const CORE = { '@dragoman/core': '0.1.0' };

function errorsOf(changes: Record<string, string | object>): string[] {
  const root = tree(aRepository());
  add(root, changes);
  return checkLayers(root).errors;
}

test('a repository in order has no violations', () => {
  expect(checkLayers(tree(aRepository()))).toEqual({ errors: [], packages: 4, files: 10 });
});

describe('floors', () => {
  test('a package of the kernel does not import one of its own height or above', () => {
    const errors = errorsOf(
      aPackage(
        'packages/kernel/api',
        '@dragoman/api',
        { 'src/index.ts': "export { stat } from '@dragoman/stats';\n" },
        { dependencies: { '@dragoman/stats': '0.1.0' } },
      ),
    );
    expect(errors).toEqual([
      'packages/kernel/api/src/index.ts:1: @dragoman/stats does not stand below @dragoman/api',
    ]);
  });

  test('type-only imports, dynamic imports and import types count too', () => {
    const errors = errorsOf({
      ...aPackage(
        'packages/kernel/api',
        '@dragoman/api',
        {
          'src/index.ts': "export { a } from './a.ts';\n",
          'src/a.ts': [
            "import type { A } from '@dragoman/stats';",
            "export const a = async (): Promise<A> => (await import('@dragoman/stats')).stat;",
            "export type B = import('@dragoman/stats').B;",
          ].join('\n'),
        },
        { dependencies: { '@dragoman/stats': '0.1.0' } },
      ),
    });
    expect(errors.map((error) => error.split(': ')[0])).toEqual([
      'packages/kernel/api/src/a.ts:1',
      'packages/kernel/api/src/a.ts:2',
      'packages/kernel/api/src/a.ts:3',
    ]);
  });

  test('an extension imports contracts and libraries only', () => {
    const library = aPackage('packages/libraries/hashing', '@dragoman/hashing', {
      'src/index.ts': 'export {};\n',
    });
    const errors = errorsOf({
      ...library,
      ...aPackage(
        'packages/tracers/zipkin',
        '@dragoman/tracer-zipkin',
        {
          'src/index.ts': "export { zipkin } from './zipkin.ts';\n",
          'src/zipkin.ts': [
            "import '@dragoman/hashing';",
            "import { headerMutation } from '@dragoman/http-filter-header-mutation';",
            "import { stat } from '@dragoman/stats';",
            "const NAME = 'envoy.tracers.zipkin';",
            'export const zipkin = defineTracer({ name: NAME, headerMutation, stat });',
          ].join('\n'),
        },
        {
          dependencies: {
            ...CORE,
            '@dragoman/hashing': '0.1.0',
            '@dragoman/http-filter-header-mutation': '0.1.0',
            '@dragoman/stats': '0.1.0',
          },
        },
      ),
    });
    expect(errors).toEqual([
      'packages/tracers/zipkin/src/zipkin.ts:2: an extension does not import another (@dragoman/http-filter-header-mutation)',
      'packages/tracers/zipkin/src/zipkin.ts:3: an extension imports @dragoman/core, @dragoman/api and libraries, not @dragoman/stats',
    ]);
  });

  test('tests may import what is declared, from any floor', () => {
    const errors = errorsOf({
      [`${FILTER}/test/two.test.ts`]: "import '@dragoman/stats';\n",
      [`${FILTER}/package.json`]: {
        name: '@dragoman/http-filter-header-mutation',
        exports: { '.': './dist/index.js' },
        dependencies: CORE,
        devDependencies: { '@dragoman/stats': '0.1.0' },
      },
    });
    expect(errors).toEqual([]);
  });

  test('the testing library may import the kernel, other libraries may not', () => {
    const manifest = { dependencies: { '@dragoman/stats': '0.1.0' } };
    const sources = { 'src/index.ts': "export { stat } from '@dragoman/stats';\n" };
    const errors = errorsOf({
      ...aPackage('packages/libraries/testing', '@dragoman/testing', sources, manifest),
      ...aPackage('packages/libraries/hashing', '@dragoman/hashing', sources, manifest),
    });
    expect(errors).toEqual([
      'packages/libraries/hashing/src/index.ts:1: a library imports @dragoman/core, @dragoman/api and libraries, not @dragoman/stats',
    ]);
  });
});

test('the kernel uses libraries from floor 1 up, and never the testing library', () => {
  const library = (name: string) =>
    aPackage(`packages/libraries/${name}`, `@dragoman/${name}`, { 'src/index.ts': 'export {};\n' });
  const user = (folder: string) =>
    aPackage(
      `packages/kernel/${folder}`,
      `@dragoman/${folder}`,
      { 'src/index.ts': "export * from '@dragoman/hashing';\nexport * from '@dragoman/testing';\n" },
      { dependencies: { '@dragoman/hashing': '0.1.0', '@dragoman/testing': '0.1.0' } },
    );
  expect(errorsOf({ ...library('hashing'), ...library('testing'), ...user('api'), ...user('http') })).toEqual(
    [
      'packages/kernel/api/src/index.ts:1: @dragoman/api is kernel, @dragoman/hashing stands above it',
      'packages/kernel/api/src/index.ts:2: @dragoman/api is kernel, @dragoman/testing stands above it',
      'packages/kernel/http/src/index.ts:2: @dragoman/http is kernel, @dragoman/testing stands above it',
    ],
  );
});

describe('imports', () => {
  test.each([
    [
      "import 'left-pad';",
      'left-pad is not in the dependencies of packages/http-filters/header-mutation/package.json',
    ],
    [
      "import '@scope/pad/deep';",
      '@scope/pad is not in the dependencies of packages/http-filters/header-mutation/package.json',
    ],
    [
      "import 'vitest';",
      'vitest is not in the dependencies of packages/http-filters/header-mutation/package.json',
    ],
    [
      "import '@dragoman/core/src/value.ts';",
      '@dragoman/core/src/value.ts reaches into a package past its entry point',
    ],
    [
      "import '../../../kernel/core/src/value.ts';",
      '../../../kernel/core/src/value.ts reaches into another package; import it by name',
    ],
    ["import 'fs';", 'write node:fs'],
  ])('%s', (statement, message) => {
    expect(errorsOf({ [`${FILTER}/src/more.ts`]: `// first line\n${statement}\n` })).toEqual([
      `${FILTER}/src/more.ts:2: ${message}`,
    ]);
  });

  test('text that looks like an import is not one', () => {
    const source =
      "// import 'left-pad'\nexport const text = `\nimport 'left-pad';\n`;\nexport const pattern = /import 'left-pad'/;\n";
    expect(errorsOf({ [`${FILTER}/src/more.ts`]: source })).toEqual([]);
  });

  test('a file that does not parse is an error and not a crash', () => {
    expect(errorsOf({ [`${FILTER}/src/more.ts`]: 'export const = ;\n' })).toEqual([
      expect.stringMatching(/^packages\/http-filters\/header-mutation\/src\/more\.ts: /),
    ]);
  });
});

describe('circles', () => {
  test('between files, by values', () => {
    const errors = errorsOf({
      [`${FILTER}/src/a.ts`]: "export { b } from './b.ts';\n",
      [`${FILTER}/src/b.ts`]: "import { c } from './c.ts';\nexport const b = c;\n",
      [`${FILTER}/src/c.ts`]: "import './a.ts';\nexport const c = 1;\n",
    });
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatch(/files import each other in a circle: .*a\.ts/);
    expect(errors[0].split(' → ')).toHaveLength(4);
  });

  test('of types only are allowed: they are erased', () => {
    const errors = errorsOf({
      [`${FILTER}/src/a.ts`]: "import type { B } from './b.ts';\nexport type A = B[];\n",
      [`${FILTER}/src/b.ts`]: "import { type A } from './a.ts';\nexport type B = A | 1;\n",
    });
    expect(errors).toEqual([]);
  });

  test('between packages', () => {
    const library = (name: string, other: string) =>
      aPackage(
        `packages/libraries/${name}`,
        `@dragoman/${name}`,
        { 'src/index.ts': `export * from '@dragoman/${other}';\n` },
        { dependencies: { [`@dragoman/${other}`]: '0.1.0' } },
      );
    expect(errorsOf({ ...library('one', 'two'), ...library('two', 'one') })).toEqual([
      expect.stringContaining('packages import each other in a circle: @dragoman/'),
    ]);
  });
});

describe('names', () => {
  test('the npm name follows from the folder', () => {
    const { [`${FILTER}/package.json`]: manifest, ...rest } = aRepository();
    const root = tree({
      ...rest,
      [`${FILTER}/package.json`]: { ...(manifest as object), name: '@dragoman/headers' },
    });
    expect(checkLayers(root).errors).toContain(
      `${FILTER}/package.json: named @dragoman/headers, but the folder makes it @dragoman/http-filter-header-mutation`,
    );
  });

  test('the extension name follows from the folder', () => {
    const source =
      "export const headerMutation = defineHttpFilter({ name: 'envoy.filters.http.headers' });\n";
    expect(errorsOf({ [`${FILTER}/src/filter.ts`]: source })).toEqual([
      `${FILTER}/src/filter.ts:1: defineHttpFilter names envoy.filters.http.headers, but the folder makes it envoy.filters.http.header_mutation`,
    ]);
  });

  test('a package of several extensions has the names of the group, and no others', () => {
    const ip = (name: string) =>
      errorsOf(
        aPackage('packages/matchers/ip', '@dragoman/matcher-ip', {
          'src/index.ts': "export { ip } from './ip.ts';\n",
          'src/ip.ts': `export const ip = defineValueMatcher({ name: '${name}' });\n`,
        }),
      );
    expect(ip('envoy.matching.matchers.ip')).toEqual([]);
    expect(ip('envoy.matching.custom_matchers.trie_matcher')).toEqual([]);
    expect(ip('envoy.matching.input_matchers.ip')).toEqual([
      'packages/matchers/ip/src/ip.ts:1: defineValueMatcher names envoy.matching.input_matchers.ip, but the folder makes it envoy.matching.matchers.ip or envoy.matching.custom_matchers.trie_matcher',
    ]);
  });

  test('an extension must be defined at all', () => {
    expect(errorsOf({ [`${FILTER}/src/filter.ts`]: 'export const headerMutation = 1;\n' })).toEqual([
      `${FILTER}/src: no extension named envoy.filters.http.header_mutation is defined here`,
    ]);
  });

  test('unknown folders', () => {
    const errors = errorsOf({
      ...aPackage('packages/filters/cors', '@dragoman/filter-cors', { 'src/index.ts': 'export {};\n' }),
      ...aPackage('packages/kernel/misc', '@dragoman/misc', { 'src/index.ts': 'export {};\n' }),
    });
    expect(errors).toEqual([
      expect.stringMatching(/^packages\/filters\/cors: unknown category; one of http-filters, /),
      'packages/kernel/misc: the kernel has no package of this name in the table of floors',
    ]);
  });
});

describe('completeness', () => {
  test('README, tests and an entry point that only exports', () => {
    const root = tree(aRepository());
    add(root, {
      'packages/kernel/network/package.json': {
        name: '@dragoman/network',
        exports: { '.': './dist/index.js', './deep': './dist/deep.js' },
      },
      'packages/kernel/network/src/index.ts': "export { a } from './a.ts';\nexport const b = 1;\n",
      'packages/kernel/network/src/a.ts': 'export const a = 1;\n',
    });
    expect(checkLayers(root).errors).toEqual([
      'packages/kernel/network/package.json: one entry point a package, this has ., ./deep',
      'packages/kernel/network/src/index.ts:2: the entry point only exports; code belongs in a file of its own',
      'packages/kernel/network: no README.md worth the name',
      'packages/kernel/network: no test/*.test.ts',
    ]);
  });
});
