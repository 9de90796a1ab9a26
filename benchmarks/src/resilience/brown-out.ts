import {
  type Condition,
  constant,
  during,
  HostList,
  ill,
  imbalance,
  Simulation,
  type Summary,
} from '@dragoman/simulation';
import {
  arrivedAt,
  loadBalancers,
  openCluster,
  QUEUE_LIMIT,
  RATE_PER_HOST,
  SERVERS,
  SERVICE_TIME,
  type StudySize,
  userHeader,
  type Variant,
  variant,
} from './fleet.ts';

/** Milliseconds since the start. What begins before {@link WARM_MS} does not count. */
const WARM_MS = 2000;
export const BROWN_FROM_MS = 6000;
export const BROWN_UNTIL_MS = 12_000;
const END_MS = 17_000;
/** Bad hosts are every tenth. */
const BAD_EVERY = 10;
const STEP_MS = 500;

/** What becomes of the bad hosts. */
export interface BrownOut {
  readonly name: string;
  readonly title: string;
  readonly condition: Condition;
}

export const SLOW: BrownOut = {
  name: 'slow',
  title: 'every tenth host takes 5 × as long',
  condition: ill({ timeFactor: 5 }),
};

export const FAST_FAILING: BrownOut = {
  name: 'failing',
  title: 'every tenth host answers 9 of 10 requests with a 503 after 5 ms',
  condition: ill({ errorRate: 0.9, errorTimeMs: 5 }),
};

const REPORTING = 'client_side_wrr';
const REPORTS = { blackout_period: '1s', weight_update_period: '0.5s', error_utilization_penalty: 1 };

export const POLICIES: readonly Variant[] = [
  variant('round_robin', 'round_robin'),
  variant('random', 'random'),
  variant('least_request', 'least_request'),
  variant('least_request, 5 choices', 'least_request', { choice_count: 5 }),
  variant('ring_hash', 'ring_hash'),
  variant('ring_hash, 100 a host', 'ring_hash', { minimum_ring_size: 1_000_000 }),
  variant('maglev', 'maglev'),
  variant(REPORTING, 'client_side_weighted_round_robin', REPORTS),
];

/** Worth while where hosts fail: slow answers are no errors. Three errors in a row, as a host has less than two requests a second. */
const OUTLIERS = {
  outlier_detection: {
    consecutive_5xx: 3,
    interval: '1s',
    base_ejection_time: '10s',
    max_ejection_percent: 20,
  },
};

/** The same policies, with hosts taken out that fail. */
export const WITH_OUTLIERS: readonly Variant[] = [
  { ...variant('round_robin, outliers', 'round_robin'), cluster: OUTLIERS },
  { ...variant('least_request, outliers', 'least_request'), cluster: OUTLIERS },
];

/** How a policy fared. */
export interface BrownOutResult {
  readonly name: string;
  /** Before, while, and after hosts were bad (from 2 s after the end). */
  readonly calm: Summary;
  readonly brown: Summary;
  readonly after: Summary;
  /** While all was well. */
  readonly maxToMean: number;
  /** Share of the requests that went to bad hosts while they were; an even share is 0.1. */
  readonly badShare: number;
  readonly timeline: readonly (Summary & { readonly fromMs: number })[];
  readonly requests: number;
  readonly fingerprint: string;
}

export function runBrownOut(
  { name, policy, cluster }: Variant,
  brownOut: BrownOut,
  size: StudySize,
): BrownOutResult {
  const sim = new Simulation({ seed: size.seed });
  const condition = during({ fromMs: BROWN_FROM_MS, untilMs: BROWN_UNTIL_MS }, brownOut.condition);
  const model = {
    serviceTime: SERVICE_TIME,
    servers: SERVERS,
    queueLimit: QUEUE_LIMIT,
    roundTrip: constant(1),
    ...(name === REPORTING ? { reportsLoadOverMs: 3000 } : {}),
  };
  const hosts = sim.network.addHosts(size.hosts, (index) =>
    index % BAD_EVERY === 0 ? { ...model, condition } : model,
  );
  const bad = hosts.filter((_, index) => index % BAD_EVERY === 0);
  const proxy = sim.addProxy({
    clusters: [openCluster({ load_balancing_policy: policy, ...cluster })],
    extensions: loadBalancers,
    route: { timeout: '15s', hash_policy: [{ header: { header_name: 'x-user' } }] },
  });
  proxy.updateHosts('web', new HostList({ hosts }).update());
  const clients = sim.addClients({
    proxy,
    ratePerSecond: RATE_PER_HOST * size.hosts,
    untilMs: END_MS,
    headers: userHeader,
  });
  sim.runUntil(WARM_MS);
  const before = hosts.map(({ arrived }) => arrived);
  sim.runUntil(BROWN_FROM_MS);
  const { maxToMean } = imbalance(hosts, before);
  const start = [arrivedAt(bad), arrivedAt(hosts)] as const;
  sim.runUntil(BROWN_UNTIL_MS);
  const badShare = (arrivedAt(bad) - start[0]) / (arrivedAt(hosts) - start[1]);
  sim.runUntil(END_MS + 20_000);
  const { results } = clients;
  return {
    name,
    calm: results.summary({ fromMs: WARM_MS, untilMs: BROWN_FROM_MS }),
    brown: results.summary({ fromMs: BROWN_FROM_MS, untilMs: BROWN_UNTIL_MS }),
    after: results.summary({ fromMs: BROWN_UNTIL_MS + 2000 }),
    maxToMean,
    badShare,
    timeline: results.timeline(STEP_MS, END_MS),
    requests: results.count,
    fingerprint: results.fingerprint(),
  };
}
