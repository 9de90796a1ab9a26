import { during, exponential, HostList, ill, Simulation, type Summary } from '@dragoman/simulation';
import type { JsonObject } from '@dragoman/testing';
import { arrivedAt, loadBalancers, openCluster, type StudySize, variant } from './fleet.ts';

export const STORM_FROM_MS = 5000;
export const STORM_UNTIL_MS = 10_000;
const END_MS = 20_000;
const STEP_MS = 500;
const HOSTS = 100;
/** Two servers of 50 ms a host carry 40 a second: 60 % of them are used. */
const RATE_PER_HOST = 24;

/** How retries are bounded. */
export interface RetryVariant {
  readonly name: string;
  readonly retries: number;
  readonly threshold: JsonObject;
}

const budget = (percent: number): JsonObject => ({ retry_budget: { budget_percent: { value: percent } } });

export const RETRIES: readonly RetryVariant[] = [
  { name: 'no retries', retries: 0, threshold: {} },
  { name: '3 retries, no bound', retries: 3, threshold: {} },
  { name: '3 retries, max_retries 3', retries: 3, threshold: { max_retries: 3 } },
  { name: '3 retries, budget 10 %', retries: 3, threshold: budget(10) },
  { name: '3 retries, budget 20 %', retries: 3, threshold: budget(20) },
  { name: '3 retries, budget 50 %', retries: 3, threshold: budget(50) },
];

/** What a storm came to. */
export interface RetryStormResult {
  readonly name: string;
  readonly storm: Summary;
  /** From 5 s after the cause has gone. */
  readonly after: Summary;
  /** Requests that hosts had for each that clients sent. */
  readonly stormLoad: number;
  readonly afterLoad: number;
  /** Requests a second that were answered well, by the second at which they began. */
  readonly goodput: readonly (readonly [seconds: number, perSecond: number])[];
}

/**
 * All hosts take five times as long for five seconds, which is more than they can carry; a try has 400 ms.
 *
 * @param hostCount how many; their load is the same. Default 100
 */
export function runRetryStorm(
  { name, retries, threshold }: RetryVariant,
  { seed }: Pick<StudySize, 'seed'>,
  hostCount = HOSTS,
): RetryStormResult {
  const sim = new Simulation({ seed });
  const condition = during({ fromMs: STORM_FROM_MS, untilMs: STORM_UNTIL_MS }, ill({ timeFactor: 5 }));
  const hosts = sim.network.addHosts(hostCount, {
    serviceTime: exponential(50),
    servers: 2,
    queueLimit: 30,
    condition,
  });
  const proxy = sim.addProxy({
    clusters: [openCluster({ load_balancing_policy: variant('', 'least_request').policy }, threshold)],
    extensions: loadBalancers,
    route: {
      timeout: '5s',
      retry_policy: { retry_on: '5xx,reset', num_retries: retries, per_try_timeout: '0.4s' },
    },
  });
  proxy.updateHosts('web', new HostList({ hosts }).update());
  const clients = sim.addClients({ proxy, ratePerSecond: hostCount * RATE_PER_HOST, untilMs: END_MS });
  const loadUntil = (ms: number): number => {
    const start = [arrivedAt(hosts), clients.sent] as const;
    sim.runUntil(ms);
    return (arrivedAt(hosts) - start[0]) / (clients.sent - start[1]);
  };
  loadUntil(STORM_FROM_MS);
  const stormLoad = loadUntil(STORM_UNTIL_MS);
  loadUntil(STORM_UNTIL_MS + 5000);
  const afterLoad = loadUntil(END_MS);
  sim.runUntil(END_MS + 20_000);
  const { results } = clients;
  return {
    name,
    storm: results.summary({ fromMs: STORM_FROM_MS, untilMs: STORM_UNTIL_MS }),
    after: results.summary({ fromMs: STORM_UNTIL_MS + 5000 }),
    stormLoad,
    afterLoad,
    goodput: results
      .timeline(STEP_MS, END_MS)
      .map(({ fromMs, ok }) => [fromMs / 1000, (ok * 1000) / STEP_MS]),
  };
}
