import { describe, expect, it } from 'vitest';
import { ffiAvailable } from '../src/index.ts';

/** Tests that make real system calls: skipped, with a word, where there is no node:ffi; in CI that is a failure. */
export function describeWithFfi(name: string, define: () => void): void {
  describe(name, () => {
    if (ffiAvailable()) {
      define();
      return;
    }
    it.runIf(process.env.CI === 'true')('has node:ffi', () => {
      expect.fail(`node:ffi is missing in Node.js ${process.version} on ${process.platform} ${process.arch}`);
    });
    it.skip('needs node:ffi: nothing to run', () => {});
  });
}
