import {
  constant,
  type HostModel,
  lognormal,
  HostList,
  Simulation,
  type Summary,
  WELL,
  ill,
} from '@dragoman/simulation';
import type { JsonObject } from '@dragoman/testing';
import {
  arrivedAt,
  loadBalancers,
  openCluster,
  QUEUE_LIMIT,
  RATE_PER_HOST,
  SERVERS,
  type StudySize,
  type Variant,
  variant,
} from './fleet.ts';

/** Milliseconds. Before hosts join, those that are there pass the slow-start window. */
const WINDOW_MS = 10_000;
export const JOIN_MS = 14_000;
const FROM_MS = 11_000;
const END_MS = 28_000;
const STEP_MS = 1000;
/** A cold host takes this many times as long at first, and less from second to second. */
const COLD_FACTOR = 8;
const WARM_UP_MS = 10_000;
/** A tenth of the hosts of the study, ten times as fast and as busy: a host that has a request in six seconds cannot start slowly. */
const FASTER = 10;
const SERVICE_TIME = lognormal(500 / FASTER, 0.5);

function slowStart(aggression: number): JsonObject {
  return {
    slow_start_config: {
      slow_start_window: `${WINDOW_MS / 1000}s`,
      aggression: { default_value: aggression, runtime_key: 'aggression' },
    },
  };
}

export const SLOW_STARTS: readonly Variant[] = [
  variant('round_robin', 'round_robin'),
  variant('round_robin, slow start', 'round_robin', slowStart(1)),
  variant('round_robin, aggression 2', 'round_robin', slowStart(2)),
  variant('least_request', 'least_request'),
  variant('least_request, slow start', 'least_request', slowStart(1)),
];

/** How a policy dealt with cold hosts. */
export interface ScaleOutResult {
  readonly name: string;
  /** Of requests of the first ten seconds with new hosts, and of the three before. */
  readonly before: Summary;
  readonly joining: Summary;
  /** What a new host had in proportion to all hosts' mean, for each step since they joined. */
  readonly shares: readonly (readonly [seconds: number, share: number])[];
  readonly requests: number;
}

/** A tenth more hosts join, and are cold. */
export function runScaleOut({ name, policy }: Variant, size: StudySize): ScaleOutResult {
  const sim = new Simulation({ seed: size.seed });
  const count = Math.ceil(size.hosts / FASTER);
  const model: HostModel = {
    serviceTime: SERVICE_TIME,
    servers: SERVERS,
    queueLimit: QUEUE_LIMIT,
    roundTrip: constant(1),
  };
  const conditions = Array.from({ length: WARM_UP_MS / 1000 }, (_, second) =>
    ill({ timeFactor: COLD_FACTOR ** (1 - (second * 1000) / WARM_UP_MS) }),
  );
  const cold = {
    ...model,
    condition: (nowMs: number) => conditions[Math.floor((nowMs - JOIN_MS) / 1000)] ?? WELL,
  };
  const old = sim.network.addHosts(count, model);
  const fresh = sim.network.addHosts(Math.ceil(count / 10), cold);
  const proxy = sim.addProxy({
    clusters: [openCluster({ load_balancing_policy: policy })],
    extensions: loadBalancers,
    route: { timeout: '15s' },
  });
  const list = new HostList({ hosts: old });
  proxy.updateHosts('web', list.update());
  sim.at(JOIN_MS, () => proxy.updateHosts('web', list.replace({ hosts: [...old, ...fresh] }).update()));
  const clients = sim.addClients({
    proxy,
    ratePerSecond: RATE_PER_HOST * FASTER * count,
    fromMs: FROM_MS - 1000,
    untilMs: END_MS,
  });
  sim.runUntil(JOIN_MS);
  const shares: [number, number][] = [];
  while (sim.now < END_MS) {
    const start = [arrivedAt(fresh), arrivedAt(old)] as const;
    sim.runUntil(sim.now + STEP_MS);
    const [ofFresh, ofOld] = [arrivedAt(fresh) - start[0], arrivedAt(old) - start[1]];
    const mean = (ofFresh + ofOld) / (fresh.length + old.length);
    shares.push([(sim.now - JOIN_MS) / 1000, ofFresh / fresh.length / mean]);
  }
  sim.runUntil(END_MS + 20_000);
  const { results } = clients;
  return {
    name,
    before: results.summary({ fromMs: FROM_MS, untilMs: JOIN_MS }),
    joining: results.summary({ fromMs: JOIN_MS, untilMs: JOIN_MS + WINDOW_MS }),
    shares,
    requests: results.count,
  };
}
