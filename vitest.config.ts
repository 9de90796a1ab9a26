import { defineConfig } from 'vitest/config';

/** Tests run on the TypeScript sources: each package's `exports` has a `dragoman-source` condition. */
export default defineConfig({
  resolve: { conditions: ['dragoman-source', 'node', 'import', 'default'] },
  ssr: { resolve: { conditions: ['dragoman-source', 'node', 'import', 'default'] } },
  test: {
    include: [
      'packages/**/test/**/*.test.ts',
      'apps/**/test/**/*.test.ts',
      'test-e2e/**/*.test.ts',
      'examples/**/*.test.ts',
      'benchmarks/test/**/*.test.ts',
    ],
    exclude: ['**/node_modules/**', '**/dist/**', '**/*.soak.test.ts'],
    pool: 'forks',
    testTimeout: 20_000,
    hookTimeout: 30_000,
  },
});
