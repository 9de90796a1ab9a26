import { expect, test } from 'vitest';
import { siblingModule } from '../src/index.ts';

test.each([
  ['file:///p/src/x.ts', 'file:///p/src/main.ts', 'file:///p/src/x.ts'],
  ['file:///p/dist/x.ts', 'file:///p/dist/main.js', 'file:///p/dist/x.js'],
  // A bundler has put the name in that the module has there.
  ['file:///p/dist/bundle/x.js', 'file:///p/dist/bundle/chunk-1.js', 'file:///p/dist/bundle/x.js'],
])('%s, asked for by %s: %s', (module, from, expected) => {
  expect(siblingModule(new URL(module), from).href).toBe(expected);
});
