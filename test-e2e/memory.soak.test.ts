import { describe, it } from 'vitest';
import { expectBounded } from './support/memory.ts';
import { skipUnbuilt, UNBUILT } from './support/sidecar.ts';
import { canMeasure, UNMEASURED } from './support/transfer.ts';

describe.skipIf(skipUnbuilt || !canMeasure)(`memory over 1 GiB${UNBUILT}${UNMEASURED}`, () => {
  it.each(['download', 'upload', 'mirrored upload', 'upgrade', 'tcp'] as const)('%s', async (kind) => {
    await expectBounded(kind, 1024 * 1024 * 1024);
  });
});
