import { describe, expect, test } from 'vitest';
import {
  constant,
  DEAD,
  exponential,
  failing,
  flapping,
  ill,
  lognormal,
  schedule,
  SILENT,
  Simulation,
  WELL,
} from '../src/index.ts';
import { scene, send, web } from './support/worlds.ts';

describe('latencies', () => {
  const draws = (latency: ReturnType<typeof constant>): Float64Array => {
    const random = new Simulation({ seed: 9 }).newRandom();
    return Float64Array.from({ length: 200_000 }, () => latency(random)).sort();
  };
  const at = (sorted: Float64Array, share: number): number => sorted[Math.floor(sorted.length * share)];

  test('exponential: mean and quantiles', () => {
    const sorted = draws(exponential(20));
    expect(sorted.reduce((sum, ms) => sum + ms) / sorted.length).toBeCloseTo(20, 0);
    expect(at(sorted, 0.5) / (20 * Math.LN2)).toBeCloseTo(1, 1);
    expect(at(sorted, 0.99) / (20 * Math.log(100))).toBeCloseTo(1, 1);
  });

  test('lognormal: median and 99th percentile', () => {
    const sorted = draws(lognormal(10, 0.5));
    expect(at(sorted, 0.5) / 10).toBeCloseTo(1, 2);
    expect(at(sorted, 0.99) / (10 * Math.exp(2.326 * 0.5))).toBeCloseTo(1, 1);
  });
});

/** Probability that a request waits in an M/M/k queue (Erlang's C formula). */
function erlangC(servers: number, load: number): number {
  let term = 1;
  let sum = 1;
  for (let n = 1; n < servers; n++) {
    term *= load / n;
    sum += term;
  }
  const last = ((term * load) / servers) * (servers / (servers - load));
  return last / (sum + last);
}

describe('queues', () => {
  test.each([
    { servers: 1, load: 0.5 },
    { servers: 1, load: 0.8 },
    { servers: 4, load: 2.5 },
  ])('of $servers servers with $load at work on average: mean time as by Erlang C', ({ servers, load }) => {
    const sim = new Simulation({ seed: 4 });
    const hosts = sim.network.addHosts(1, { serviceTime: exponential(10), servers });
    const { proxy } = scene(sim, [{ hosts }]);
    const clients = sim.addClients({ proxy, ratePerSecond: load * 100, untilMs: 600_000 });
    sim.runUntil(610_000);
    const expected = 10 + (erlangC(servers, load) * 10) / (servers - load);
    expect(clients.results.summary().mean / expected).toBeCloseTo(1, 1);
    expect(clients.results.count).toBe(clients.sent);
  });

  test('what finds the queue full is answered 503 at once', () => {
    const sim = new Simulation();
    const hosts = sim.network.addHosts(1, { serviceTime: constant(100), servers: 1, queueLimit: 2 });
    const { proxy } = scene(sim, [{ hosts }]);
    const ends: [number, number][] = [];
    for (let i = 0; i < 5; i++) proxy.send({}, ({ status }) => ends.push([sim.now, status]));
    sim.runUntil(1000);
    expect(ends).toEqual([
      [0, 503],
      [0, 503],
      [100, 200],
      [200, 200],
      [300, 200],
    ]);
  });
});

describe('what may be wrong with a host', () => {
  const outcome = (condition: ReturnType<typeof failing>, route = {}, cluster = {}) => {
    const sim = new Simulation({ seed: 3 });
    const hosts = sim.network.addHosts(1, { serviceTime: constant(10), roundTrip: constant(2), condition });
    const { proxy } = scene(sim, [{ hosts }], { clusters: [web(cluster)], route });
    const ends: unknown[] = [];
    proxy.send({}, ({ status, info }) => ends.push([status, sim.now, info.responseCodeDetails]));
    sim.runUntil(60_000);
    return ends[0];
  };

  test.each([
    ['well', () => WELL, {}, {}, [200, 14, 'via_upstream']],
    ['slow', () => ill({ timeFactor: 3 }), {}, {}, [200, 34, 'via_upstream']],
    ['failing', failing(1, { errorStatus: 500 }), {}, {}, [500, 14, 'via_upstream']],
    ['failing fast', failing(1, { errorTimeMs: 1 }), {}, {}, [503, 5, 'via_upstream']],
    [
      'slow beyond the timeout',
      () => ill({ timeFactor: 100 }),
      { timeout: '0.5s' },
      {},
      [504, 500, 'response_timeout'],
    ],
    [
      'dead',
      () => DEAD,
      {},
      {},
      [
        503,
        2,
        'upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_connection_refused}',
      ],
    ],
    [
      'silent: the connect timeout',
      () => SILENT,
      {},
      { connect_timeout: '0.25s' },
      [503, 250, 'upstream_reset_before_response_started{connection_timeout}'],
    ],
    [
      'dead while it works',
      schedule({ fromMs: 5, condition: DEAD }),
      {},
      {},
      [503, 14, 'upstream_reset_before_response_started{connection_termination}'],
    ],
    [
      'silent while it works',
      schedule({ fromMs: 5, condition: SILENT }),
      { timeout: '1s' },
      {},
      [504, 1000, 'response_timeout'],
    ],
  ] as const)('%s', (_name, condition, route, cluster, expected) => {
    expect(outcome(condition, route, cluster)).toEqual(expected);
  });

  test('a share of the requests fails', () => {
    const sim = new Simulation({ seed: 3 });
    const hosts = sim.network.addHosts(2, { serviceTime: constant(1), condition: failing(0.25) });
    const statuses = send(sim, scene(sim, [{ hosts }]).proxy, 4000);
    expect(statuses.filter((status) => status === 503).length / 4000).toBeCloseTo(0.25, 1);
  });

  test('flapping: up and down in turns', () => {
    const condition = flapping({ upMs: 30, downMs: 10, offsetMs: 5 });
    const up = Array.from({ length: 80 }, (_, ms) => condition(ms).reachable === 'yes');
    expect(up.lastIndexOf(true, 40)).toBe(40);
    expect(up.flatMap((now, ms) => (ms > 0 && now !== up[ms - 1] ? [ms] : []))).toEqual([25, 35, 65, 75]);
  });
});

test('the real circuit breaker stands between', () => {
  const sim = new Simulation();
  const hosts = sim.network.addHosts(3, { serviceTime: constant(100) });
  const { proxy } = scene(sim, [{ hosts }], {
    clusters: [web({}, { max_connections: 5, max_pending_requests: 2 })],
  });
  const statuses: number[] = [];
  for (let i = 0; i < 20; i++) proxy.send({}, ({ status }) => statuses.push(status));
  sim.runUntil(1000);
  expect(statuses.filter((status) => status === 503)).not.toEqual([]);
  expect(proxy.stat('cluster.web.upstream_rq_pending_overflow')).toBe(
    statuses.filter((status) => status === 503).length,
  );
});
