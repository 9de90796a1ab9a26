import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { Experiment, Session } from '../experiment.ts';
import { FAST_FAILING, POLICIES, runBrownOut, SLOW, WITH_OUTLIERS } from '../resilience/brown-out.ts';
import { failingChart, goodputChart, sharesChart, slowChart } from '../resilience/charts.ts';
import { FULL_SIZE } from '../resilience/fleet.ts';
import { RETRIES, runRetryStorm } from '../resilience/retry-storm.ts';
import { runScaleOut, SLOW_STARTS } from '../resilience/scale-out.ts';
import { brownOutTable, retryTable, scaleOutTable } from '../resilience/tables.ts';

const CHARTS = join(import.meta.dirname, '../../../docs/resilience');

export const resilience: Experiment = {
  name: 'resilience',
  title: `brown-outs, cold hosts and storms of retries among ${FULL_SIZE.hosts.toLocaleString('en-US')} simulated hosts`,
  onlyWhenNamed: true,
  run,
};

/** All on virtual time: the figures depend on the seed, not on the machine. The charts of the documentation are written anew. */
async function run({ say, keep }: Session): Promise<void> {
  mkdirSync(CHARTS, { recursive: true });
  const begun = performance.now();
  const draw = (name: string, svg: string): void => writeFileSync(join(CHARTS, `${name}.svg`), svg);
  let requests = 0;
  for (const brownOut of [SLOW, FAST_FAILING]) {
    const policies = brownOut === SLOW ? POLICIES : [...POLICIES, ...WITH_OUTLIERS];
    const results = await each(policies, (policy) => runBrownOut(policy, brownOut, FULL_SIZE));
    say(`### ${brownOut.title}\n\n${brownOutTable(results)}\n`);
    draw(brownOut.name, (brownOut === SLOW ? slowChart : failingChart)(results));
    keep(brownOut.name, results);
    requests += results.reduce((sum, result) => sum + result.requests, 0);
  }
  const joins = await each(SLOW_STARTS, (policy) => runScaleOut(policy, FULL_SIZE));
  say(`### a tenth more hosts join, and are cold\n\n${scaleOutTable(joins)}\n`);
  draw('slow-start', sharesChart(joins));
  keep('slow-start', joins);
  requests += joins.reduce((sum, result) => sum + result.requests, 0);
  const storms = await each(RETRIES, (retries) => runRetryStorm(retries, FULL_SIZE));
  say(`### all hosts are slow for five seconds, and requests are tried again\n\n${retryTable(storms)}\n`);
  draw('retries', goodputChart(storms));
  keep('retries', storms);
  const seconds = (performance.now() - begun) / 1000;
  say(
    `seed ${FULL_SIZE.seed}; ${requests.toLocaleString('en-US')} requests and the storms in ${seconds.toFixed(0)} s\n`,
  );
}

/** One after the other, with time for signals between them. */
async function each<T, R>(items: readonly T[], once: (item: T) => R): Promise<R[]> {
  const results: R[] = [];
  for (const item of items) {
    results.push(once(item));
    await setImmediate();
  }
  return results;
}
