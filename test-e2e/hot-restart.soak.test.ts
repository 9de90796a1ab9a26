import { describe, expect, it } from 'vitest';
import { restartUnderLoad } from './support/restarts-under-load.ts';
import { skipUnbuilt, UNBUILT } from './support/sidecar.ts';

describe.skipIf(skipUnbuilt)(`dragoman supervise for a while${UNBUILT}`, () => {
  it('thirty restarts under a load that leaves nothing idle', { timeout: 300_000 }, async () => {
    const plan = { restarts: 30, pauseMs: 1000, clients: 12, rate: 1000, drainTimeS: 2 };
    const { requests } = await restartUnderLoad(plan);
    expect(requests).toBeGreaterThan(20_000);
  });

  it('ten restarts while old epochs still drain', { timeout: 300_000 }, async () => {
    // Each epoch takes longer to end than the next one to start: several are there at once.
    const plan = { restarts: 10, pauseMs: 0, clients: 6, rate: 200, drainTimeS: 20 };
    const { requests } = await restartUnderLoad(plan);
    expect(requests).toBeGreaterThan(1000);
  });
});
