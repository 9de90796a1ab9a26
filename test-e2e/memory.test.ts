import { describe, it } from 'vitest';
import { expectBounded } from './support/memory.ts';
import { skipUnbuilt, UNBUILT } from './support/sidecar.ts';
import { canMeasure, UNMEASURED } from './support/transfer.ts';

describe.skipIf(skipUnbuilt || !canMeasure)(`memory${UNBUILT}${UNMEASURED}`, () => {
  // Under a second for each on an idle machine; the limit is for a busy one.
  it.each([
    ['download', 'a slow client'],
    ['upload', 'a slow upstream'],
    ['mirrored upload', 'a slow upstream, and to a mirror that does not read'],
    ['upgrade', 'a slow upstream behind a switch of protocols'],
    ['tcp', 'a slow client of the TCP proxy'],
  ] as const)('%s: 256 MiB to %s', { timeout: 40_000 }, async (kind, _reader) => {
    await expectBounded(kind, 256 * 1024 * 1024);
  });
});
