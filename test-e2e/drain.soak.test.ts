import { HttpUpstream, reply, within } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { drainConfig } from './support/draining.ts';
import { KeepAliveLoad } from './support/keep-alive-load.ts';
import { Sidecar, skipUnbuilt, UNBUILT } from './support/sidecar.ts';

const ROUNDS = 15;
const CLIENTS = 60;

/** Answers after 0 to `ms` milliseconds. */
const after = (ms: number) => {
  const answer = reply({ body: 'x'.repeat(1000), headers: { 'content-length': '1000' } });
  return async (exchange: Parameters<typeof answer>[0]) => {
    await new Promise((resolve) => setTimeout(resolve, Math.random() * ms));
    await answer(exchange);
  };
};

describe.skipIf(skipUnbuilt).each([1, 2])(`draining again and again, workers: %i${UNBUILT}`, (workers) => {
  it.each([0, 10, 60])('fails no request of clients who think for up to %i ms', async (thinkMs) => {
    await using upstream = await HttpUpstream.start(after(30));
    let requests = 0;
    for (let round = 0; round < ROUNDS; round++) {
      await using sidecar = await Sidecar.serve(drainConfig(upstream.port), ['--concurrency', `${workers}`]);
      await using load = await KeepAliveLoad.start({ port: await sidecar.port(), clients: CLIENTS, thinkMs });
      await new Promise((resolve) => setTimeout(resolve, 200 + Math.random() * 600));
      sidecar.kill('SIGTERM');
      const { code } = await within(sidecar.exit, 'the end of the drain', 10_000);
      const report = await load.report();
      expect([round, code, report.failures]).toEqual([round, 0, []]);
      requests += report.requests;
    }
    expect(requests).toBeGreaterThan(ROUNDS * CLIENTS);
  });
});
