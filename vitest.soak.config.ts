import { defineConfig, mergeConfig } from 'vitest/config';
import base from './vitest.config.ts';

/** `npm run test:soak`: the long runs, one file at a time. */
const soak = mergeConfig(base, defineConfig({ test: { fileParallelism: false, testTimeout: 600_000 } }));
soak.test = {
  ...soak.test,
  projects: undefined,
  include: ['**/*.soak.test.ts'],
  exclude: ['**/node_modules/**', '**/dist/**'],
  passWithNoTests: true,
};

export default soak;
