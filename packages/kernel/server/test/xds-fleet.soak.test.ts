import { expect, test } from 'vitest';
import { Fleet } from './support/xds-fleet.ts';

const SECONDS = Number(process.env.SOAK_SECONDS ?? 60);
/** Quiet and busy times take turns: what else the machine does meets both. */
const TURNS = 6;
/** Of what the machine can do. */
const SHARE = 0.3;
/** What changes may add to the 99th percentile, ms. */
const MAX_ADDED_MS = 10;

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] as number;

test('a thousand clusters change 10,000 times a minute under load: no request fails, and none waits long', async () => {
  await using fleet = await Fleet.start();
  // The code is compiled, and connections are there.
  await fleet.request(0, 3000);
  const most = await fleet.request(0, 5000);
  const rate = Math.floor((most.requests / 5) * SHARE);
  const ms = (SECONDS * 1000) / TURNS;
  const changes = {
    endpoints: Math.round((10_000 / 60_000) * ms),
    listeners: Math.ceil(ms / 5000),
    clusters: Math.ceil(ms / 500),
  };
  const quiet: number[] = [];
  const busy: number[] = [];
  const failures: string[] = [...most.failures];
  let requests = 0;
  let resent = 0;
  for (let turn = 0; turn < TURNS; turn++) {
    const before = await fleet.request(rate, ms);
    const [during] = await Promise.all([fleet.request(rate, ms), fleet.change(changes, ms)]);
    quiet.push(before.p99);
    busy.push(during.p99);
    failures.push(...before.failures, ...during.failures);
    requests += before.requests + during.requests;
    resent += before.resent + during.resent;
  }
  const figures = JSON.stringify({ rate, requests, resent, quiet: median(quiet), busy: median(busy) });
  console.log(`p99 in ms: ${figures}`);
  expect(failures).toEqual([]);
  expect(requests).toBe(2 * TURNS * Math.floor((rate * ms) / 1000));
  expect(median(busy) - median(quiet), figures).toBeLessThan(MAX_ADDED_MS);
});
