import { emptyRuntime, type HostEvent, type HostResult } from '@dragoman/core';
import { describe, expect, it } from 'vitest';
import { OUTCOME, Outcomes, ROW } from '../src/outliers/outcomes.ts';
import { readOutlierDetection } from '../src/outliers/outlier-settings.ts';
import { SharedHostMonitor } from '../src/outliers/shared-host-monitor.ts';
import { create, OutlierDetectionSchema } from '@dragoman/api';
import { hostList } from './support/clusters.ts';
import { healthWorld } from './support/health.ts';

const ADDRESSES = Array.from({ length: 10 }, (_, i) => `10.0.0.${i + 1}:80`);
const [A, B] = ADDRESSES;
const EJECTED = ['failed_outlier_check'];

/** Ten hosts, a monitor of each as workers have it, and what main makes of what they tell. */
function outlierWorld(outlier: object, addresses = ADDRESSES, cluster: object = { health_checks: [] }) {
  const world = healthWorld({}, { outlier_detection: outlier, ...cluster });
  const { pipeline, lists, stats, clock } = world;
  pipeline.update(hostList(...addresses));
  const settings = readOutlierDetection(create(OutlierDetectionSchema, readable(outlier)));
  const monitorOf = (address: string, worker = 0): SharedHostMonitor => {
    void worker;
    const list = lists.at(-1);
    const endpoint = list?.localities[0].endpoints.find((one) => one.address === address);
    const scene = {
      settings,
      runtime: emptyRuntime,
      counts: new Int32Array(list?.outcomes as SharedArrayBuffer),
    };
    return new SharedHostMonitor(scene, endpoint?.outcomeRow as number, (event) =>
      pipeline.onEvent(address, event),
    );
  };
  const answer = (address: string, ...statuses: number[]): void => {
    for (const status of statuses) monitorOf(address).onStatus(status);
  };
  return {
    ...world,
    monitorOf,
    answer,
    /** `good` answers with 200 and `bad` ones with 500, mixed so that no row of errors is long. */
    serve(address: string, good: number, bad: number): void {
      for (let i = 0; i < bad; i++) answer(address, 500, 200);
      for (let i = 0; i < good - bad; i++) answer(address, 200);
    },
    ejected: () => Object.keys(world.hosts()).filter((one) => world.hosts()[one].includes(EJECTED[0])),
    counts: () => stats.nonZero('cluster.web.outlier_detection.'),
    clock,
  };
}

/** Proto fields in JSON names are enough for what the monitors look at. */
function readable(outlier: object): object {
  const { consecutive_5xx, consecutive_gateway_failure, split_external_local_origin_errors } =
    outlier as Record<string, never>;
  return {
    consecutive5xx: consecutive_5xx,
    consecutiveGatewayFailure: consecutive_gateway_failure,
    splitExternalLocalOriginErrors: split_external_local_origin_errors ?? false,
  };
}

const fiveTimes = (status: number): number[] => new Array(5).fill(status);

describe('rows of errors', () => {
  it('five 5xx in a row, from whatever worker, take a host out for base_ejection_time', () => {
    const { answer, ejected, counts, clock, monitorOf } = outlierWorld({ base_ejection_time: '30s' });
    answer(A, 500, 500, 500, 500, 200, 500, 500, 500);
    monitorOf(A, 1).onStatus(500);
    expect(ejected()).toEqual([]);
    monitorOf(A, 1).onStatus(503);
    expect(ejected()).toEqual([A]);
    expect(counts()).toEqual({
      ejections_active: 1,
      ejections_total: 1,
      ejections_consecutive_5xx: 1,
      ejections_detected_consecutive_5xx: 1,
      ejections_enforced_consecutive_5xx: 1,
      ejections_enforced_total: 1,
    });
    clock.advance(29_999);
    expect(ejected()).toEqual([A]);
    clock.advance(1);
    expect([ejected(), counts()]).toMatchObject([[], {}]);
    expect(counts()).not.toHaveProperty('ejections_active');
  });

  it('count anew after an ejection', () => {
    const { answer, ejected, clock } = outlierWorld({});
    answer(A, ...fiveTimes(500));
    // What was under way comes back while the host is out.
    answer(A, 500, 500, 500, 500);
    clock.advance(30_000);
    expect(ejected()).toEqual([]);
    answer(A, 500);
    expect(ejected()).toEqual([]);
  });

  it('gateway errors have a row of their own, which is only noted unless it is enforced', () => {
    const { answer, ejected, counts } = outlierWorld({ consecutive_5xx: 100 });
    answer(A, 502, 503, 504, 502, 500, 502, 502, 502, 502, 502);
    expect(ejected()).toEqual([]);
    expect(counts()).toEqual({ ejections_detected_consecutive_gateway_failure: 1 });
    const strict = outlierWorld({ consecutive_5xx: 100, enforcing_consecutive_gateway_failure: 100 });
    strict.answer(A, ...fiveTimes(503));
    expect(strict.ejected()).toEqual([A]);
  });

  it.each<[boolean, HostResult, HostEvent[]]>([
    [false, 'connect-failed', ['consecutive-gateway-failure', 'consecutive-5xx']],
    [false, 'timeout', ['consecutive-gateway-failure', 'consecutive-5xx']],
    [false, 'failed', ['consecutive-5xx']],
    [false, 'connected', []],
    [true, 'connect-failed', ['consecutive-local-origin-failure']],
    [true, 'timeout', ['consecutive-local-origin-failure']],
    [true, 'failed', ['consecutive-gateway-failure', 'consecutive-5xx']],
    [true, 'succeeded', []],
  ])('local errors are told apart: %s; five times %s', (split, result, events) => {
    const outcomes = new Outcomes();
    const row = outcomes.allocate(0) as number;
    const settings = readOutlierDetection(
      create(OutlierDetectionSchema, { splitExternalLocalOriginErrors: split }),
    );
    const told: HostEvent[] = [];
    const monitor = new SharedHostMonitor(
      { settings, runtime: emptyRuntime, counts: outcomes.counts },
      row,
      (event) => told.push(event),
    );
    for (let i = 0; i < 5; i++) monitor.onResult(result);
    expect(told).toEqual(events);
  });
});

describe('how many and how long', () => {
  it('no more than max_ejection_percent are out, or one with always_eject_one_host', () => {
    const { answer, ejected, counts } = outlierWorld({ max_ejection_percent: 20 });
    for (const address of ADDRESSES) answer(address, ...fiveTimes(500));
    expect(ejected()).toEqual([A, B]);
    expect(counts()).toMatchObject({ ejections_overflow: 8, ejections_active: 2 });
    const none = outlierWorld({}, [A, B]);
    none.answer(A, ...fiveTimes(500));
    expect(none.ejected()).toEqual([]);
    const one = outlierWorld({ always_eject_one_host: true }, [A, B]);
    one.answer(A, ...fiveTimes(500));
    one.answer(B, ...fiveTimes(500));
    expect(one.ejected()).toEqual([A]);
  });

  it('longer each time, up to max_ejection_time, and shorter again after good times', () => {
    const { answer, ejected, clock } = outlierWorld({
      interval: '1s',
      base_ejection_time: '10s',
      max_ejection_time: '25s',
    });
    /** Seconds that an ejection lasts. */
    const ejectionTime = (): number => {
      answer(A, ...fiveTimes(500));
      let seconds = 0;
      for (; ejected().length > 0; seconds++) clock.advance(1_000);
      return seconds;
    };
    expect([ejectionTime(), ejectionTime(), ejectionTime(), ejectionTime()]).toEqual([10, 20, 25, 25]);
    // Each interval at peace takes one off.
    clock.advance(10_000);
    expect(ejectionTime()).toBe(10);
  });

  it('with jitter somewhat longer', () => {
    const { answer, ejected, clock } = outlierWorld({
      interval: '0.1s',
      base_ejection_time: '10s',
      max_ejection_time_jitter: '5s',
    });
    answer(A, ...fiveTimes(500));
    clock.advance(9_900);
    expect(ejected()).toEqual([A]);
    clock.advance(5_200);
    expect(ejected()).toEqual([]);
  });

  it('a host that is removed no longer counts', () => {
    const { answer, ejected, counts, pipeline } = outlierWorld({});
    answer(A, ...fiveTimes(500));
    pipeline.update(hostList(...ADDRESSES.slice(1)));
    expect(counts()).not.toHaveProperty('ejections_active');
    answer(B, ...fiveTimes(500));
    // Nine are left: one of them is 11 %.
    expect(ejected()).toEqual([]);
  });
});

describe('success rate', () => {
  it('takes out who is far below the others', () => {
    const { serve, ejected, counts, clock } = outlierWorld({ enforcing_consecutive_5xx: 0 });
    for (const address of ADDRESSES) serve(address, 100, 0);
    serve(A, 50, 50);
    clock.advance(10_000);
    expect(ejected()).toEqual([A]);
    expect(counts()).toMatchObject({
      ejections_detected_success_rate: 1,
      ejections_enforced_success_rate: 1,
      ejections_success_rate: 1,
    });
  });

  it('by Envoy’s example: {50, 100, 100, 100, 100} has a threshold of 52', () => {
    const { serve, ejected, written, clock } = outlierWorld(
      { max_ejection_percent: 100 },
      ADDRESSES.slice(0, 5),
    );
    for (const address of ADDRESSES.slice(1, 5)) serve(address, 100, 0);
    serve(A, 50, 50);
    clock.advance(10_000);
    expect(ejected()).toEqual([A]);
    expect(JSON.parse(written[0][1])).toMatchObject({
      type: 'SUCCESS_RATE',
      action: 'EJECT',
      enforced: true,
      cluster_name: 'web',
      upstream_url: A,
      num_ejections: 1,
      eject_success_rate_event: {
        host_success_rate: 50,
        cluster_average_success_rate: 90,
        cluster_success_rate_ejection_threshold: 52,
      },
    });
    clock.advance(30_000);
    expect(JSON.parse(written[1][1])).toMatchObject({ action: 'UNEJECT', secs_since_last_action: '30' });
  });

  it.each([
    ['too few requests', ADDRESSES, 49],
    ['too few hosts', ADDRESSES.slice(0, 4), 100],
  ])('says nothing with %s', (_name, addresses, requests) => {
    const { serve, ejected, clock } = outlierWorld({ max_ejection_percent: 100 }, addresses);
    for (const address of addresses.slice(1)) serve(address, requests, 0);
    serve(A, requests / 2, Math.floor(requests / 2));
    clock.advance(10_000);
    expect(ejected()).toEqual([]);
  });

  it('begins anew with each interval', () => {
    const { serve, ejected, clock } = outlierWorld({});
    for (let round = 0; round < 3; round++) {
      for (const address of ADDRESSES) serve(address, 60, 0);
      serve(A, 10, 10);
      clock.advance(10_000);
    }
    expect(ejected()).toEqual([]);
  });
});

it('failure percentage takes out who fails too often, whatever the others do', () => {
  const { serve, ejected, counts, clock } = outlierWorld({
    enforcing_failure_percentage: 100,
    failure_percentage_threshold: 50,
    max_ejection_percent: 100,
    enforcing_success_rate: 0,
  });
  for (const address of ADDRESSES) serve(address, 25, 25);
  clock.advance(10_000);
  expect(ejected()).toEqual(ADDRESSES);
  expect(counts()).toMatchObject({ ejections_enforced_failure_percentage: 10 });
});

it.each([
  [true, []],
  [false, [A]],
])('a passed health check brings a host back: %s', (brings, ejected) => {
  const world = outlierWorld(
    { successful_active_health_check_uneject_host: brings, max_ejection_percent: 100 },
    [A],
    {},
  );
  world.of(A).succeed();
  world.answer(A, ...fiveTimes(500));
  expect(world.ejected()).toEqual([A]);
  world.clock.advance(5_000);
  world.of(A).succeed();
  expect(world.ejected()).toEqual(ejected);
});

it('rows are given to other hosts when theirs are gone, and begin at 0', () => {
  const outcomes = new Outcomes();
  const rows = Array.from({ length: 1000 }, () => outcomes.allocate(0) as number);
  expect(new Set(rows).size).toBe(1000);
  const [, second] = rows;
  outcomes.counts[second * ROW + OUTCOME.consecutive5xx] = 4;
  outcomes.release(second, 0);
  // Requests to its host may still be under way.
  expect(outcomes.allocate(1_000)).toBe(1_000);
  expect([outcomes.allocate(15 * 60_000), outcomes.counts[second * ROW]]).toEqual([second, 0]);
});

it.each([
  [{ max_ejection_time: '1s', base_ejection_time: '2s' }, 'outlier_detection.max_ejection_time'],
  [{ monitors: [{ name: 'a' }] }, 'outlier_detection.monitors'],
])('refuses %j', (outlier, message) => {
  expect(() => healthWorld({}, { outlier_detection: outlier })).toThrow(message);
});
