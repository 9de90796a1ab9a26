import { defineConfig } from 'vitest/config';

const CONDITIONS = ['dragoman-source', 'node', 'import', 'default'];
const NOT_TESTS = ['**/node_modules/**', '**/dist/**', '**/*.soak.test.ts'];

/**
 * Tests of code that has no process, no thread and no flag of V8 to itself share their workers, and with them what they import: most of
 * the time of such a file went into loading the API. Each other file has a process of its own.
 */
const SHARED = [
  'packages/{load-balancers,http-filters,health-checkers,discovery,matchers,formatters,retry-policies}/**/test/**/*.test.ts',
  'packages/kernel/{access-log,api,core,grpc,http,upstream}/test/**/*.test.ts',
  'packages/libraries/{dns-cache,grpc-frames,matching,orca}/test/**/*.test.ts',
  'packages/libraries/xds-server/test/{aggregated,caches,linear-cache,protocol,snapshot}.test.ts',
];

/** Tests run on the TypeScript sources: each package's `exports` has a `dragoman-source` condition. */
export default defineConfig({
  resolve: { conditions: CONDITIONS },
  ssr: { resolve: { conditions: CONDITIONS } },
  test: {
    pool: 'forks',
    testTimeout: 20_000,
    hookTimeout: 30_000,
    projects: [
      { extends: true, test: { name: 'shared', include: SHARED, exclude: NOT_TESTS, isolate: false } },
      {
        extends: true,
        test: {
          name: 'alone',
          include: [
            'packages/**/test/**/*.test.ts',
            'apps/**/test/**/*.test.ts',
            'test-e2e/**/*.test.ts',
            'examples/**/*.test.ts',
            'benchmarks/test/**/*.test.ts',
          ],
          exclude: [...NOT_TESTS, ...SHARED],
        },
      },
    ],
  },
});
