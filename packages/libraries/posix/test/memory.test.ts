import { expect, test } from 'vitest';
import { ffiAvailable, trimMemory } from '../src/index.ts';

test('gives freed memory back, or says that it cannot', () => {
  const glibc = (process.report.getReport() as { header: { glibcVersionRuntime?: string } }).header;
  expect(trimMemory()).toBe(ffiAvailable() && glibc.glibcVersionRuntime !== undefined);
});
