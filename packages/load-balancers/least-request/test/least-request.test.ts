import { LeastRequestSchema, readLoose } from '@dragoman/api';
import { emptyRuntime, type Host, type HostPicker, type PickerPolicy, type Runtime } from '@dragoman/core';
import {
  FakeClock,
  loadBalancerConformance,
  loadBalancerContext,
  ScriptedRandom,
  SeededRandom,
  testHost,
  testHosts,
} from '@dragoman/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { leastRequest } from '../src/index.ts';

/** Every policy draws where its schedules begin before anything else. */
const SEED = 0;

function policy(config: object = {}, over: Parameters<typeof loadBalancerContext>[0] = {}): PickerPolicy {
  return leastRequest.create(readLoose(LeastRequestSchema, config) as never, loadBalancerContext(over));
}

function scripted(config: object, draws: readonly number[]): PickerPolicy {
  return policy(config, { random: new ScriptedRandom([SEED, ...draws]) });
}

function busyHosts(...active: number[]): Host[] {
  return active.map((activeRequests, index) => testHost(`10.0.0.${index + 1}:80`, 1, { activeRequests }));
}

function picks(picker: HostPicker, count: number): (Host | undefined)[] {
  return Array.from({ length: count }, () => picker.pick(undefined));
}

for (const config of [{}, { choice_count: 5 }, { selection_method: 'FULL_SCAN' }])
  loadBalancerConformance(
    { describe, it },
    { extension: leastRequest, config: readLoose(LeastRequestSchema, config) },
  );

describe('of hosts of equal weight', () => {
  const [a, b, c] = busyHosts(2, 1, 1);

  it.each([
    // Draws are taken modulo the number of hosts; of equal ones the first drawn stays.
    { draws: [0, 1], expected: b },
    { draws: [1, 0], expected: b },
    { draws: [1, 2], expected: b },
    { draws: [2, 1], expected: c },
    { draws: [0, 0], expected: a },
    { draws: [3, 5], expected: c },
    { draws: [2 ** 53 - 1, 0], expected: [a, b, c][(2 ** 53 - 1) % 3] },
  ])('two are drawn: $draws', ({ draws, expected }) => {
    expect(scripted({}, draws).createPicker([a, b, c], undefined).pick(undefined)).toBe(expected);
  });

  it('as many are drawn as choice_count says', () => {
    const hosts = busyHosts(4, 3, 2, 1);
    const four = scripted({ choice_count: 4 }, [0, 1, 2, 3, 0, 0, 1, 1]).createPicker(hosts, undefined);
    expect(picks(four, 2)).toEqual([hosts[3], hosts[1]]);
  });

  it('sees the load of the moment', () => {
    const hosts = busyHosts(0, 0);
    const picker = scripted({}, [0, 1, 0, 1]).createPicker(hosts, undefined);
    expect(picker.pick(undefined)).toBe(hosts[0]);
    hosts[0].activeRequests = 1;
    expect(picker.pick(undefined)).toBe(hosts[1]);
  });

  it('the busiest of n is drawn in 1 of n² cases', () => {
    const hosts = busyHosts(5, 0, 0, 0);
    const picker = policy({}, { random: new SeededRandom(3) }).createPicker(hosts, undefined);
    const share = picks(picker, 40_000).filter((host) => host === hosts[0]).length / 40_000;
    expect(share).toBeCloseTo(1 / 16, 2);
  });

  it('keeps the load even', () => {
    const hosts = testHosts(10);
    const picker = policy({}, { random: new SeededRandom(5) }).createPicker(hosts, undefined);
    for (let i = 0; i < 1000; i++) (picker.pick(undefined) as Host).activeRequests++;
    const loads = hosts.map((host) => host.activeRequests);
    expect(Math.max(...loads) - Math.min(...loads)).toBeLessThan(10);
  });
});

describe.each([{ selection_method: 'FULL_SCAN' }, { enable_full_scan: true }])('with %j', (config) => {
  it('the host with the fewest open requests is found', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(9), { minLength: 1, maxLength: 30 }), fc.integer(), (active, seed) => {
        const hosts = busyHosts(...active);
        const picker = policy(config, { random: new SeededRandom(seed) }).createPicker(hosts, undefined);
        expect((picker.pick(undefined) as Host).activeRequests).toBe(Math.min(...active));
      }),
    );
  });

  it('a tie is settled by drawing, once for each further host', () => {
    const hosts = busyHosts(1, 1, 5, 1);
    // The second replaces the first at a multiple of 2, the fourth those before at a multiple of 3.
    const picker = (...draws: number[]) => scripted(config, draws).createPicker(hosts, undefined);
    expect(picker(1, 1).pick(undefined)).toBe(hosts[0]);
    expect(picker(2, 1).pick(undefined)).toBe(hosts[1]);
    expect(picker(2, 3).pick(undefined)).toBe(hosts[3]);
  });

  it('nothing is drawn without a tie', () => {
    const hosts = busyHosts(3, 2, 1);
    expect(scripted(config, []).createPicker(hosts, undefined).pick(undefined)).toBe(hosts[2]);
  });

  it('equal hosts share the requests', () => {
    const hosts = busyHosts(0, 0, 0, 9);
    const picker = policy(config, { random: new SeededRandom(7) }).createPicker(hosts, undefined);
    const found = picks(picker, 30_000);
    for (const host of hosts.slice(0, 3))
      expect(found.filter((one) => one === host).length / 30_000).toBeCloseTo(1 / 3, 1);
    expect(found).not.toContain(hosts[3]);
  });
});

/** The schedule worked out the slow way: earliest deadline, then longest wait. */
function scheduled(hosts: readonly Host[], weigh: (host: Host) => number, count: number): Host[] {
  const due = hosts.map((host, index) => ({ host, deadline: 1 / weigh(host), turn: index }));
  return Array.from({ length: count }, (_, pick) => {
    const [first] = [...due].sort((x, y) => x.deadline - y.deadline || x.turn - y.turn);
    first.deadline += 1 / weigh(first.host);
    first.turn = hosts.length + pick;
    return first.host;
  });
}

describe('of hosts of different weight', () => {
  const runtimeOf = (value: number): Runtime => ({
    ...emptyRuntime,
    getNumber: (key, fallback) => (key === 'bias' ? value : fallback),
  });

  it.each([
    [{}, 1],
    [{ active_request_bias: { default_value: 2 } }, 2],
    [{ active_request_bias: { default_value: 0 } }, 0],
    [{ active_request_bias: { default_value: 0.5 } }, 0.5],
    [{ active_request_bias: { default_value: -1 } }, 1],
  ])('%j weighs by (open requests + 1) ^ %d', (config, bias) => {
    const hosts = testHosts(3, [5, 3, 2]);
    [2, 0, 1].forEach((active, index) => {
      hosts[index].activeRequests = active;
    });
    const picker = scripted(config, []).createPicker(hosts, undefined);
    const weigh = (host: Host): number => host.weight / (host.activeRequests + 1) ** bias;
    expect(picks(picker, 60)).toEqual(scheduled(hosts, weigh, 60));
  });

  it.each([
    [2, 2],
    [-0.5, 1],
    [Number.NaN, 1],
  ])('takes %d of runtime for %d, read when the hosts change', (value, bias) => {
    const hosts = testHosts(2, [2, 1]);
    hosts[0].activeRequests = 3;
    const config = { active_request_bias: { default_value: 7, runtime_key: 'bias' } };
    const random = new ScriptedRandom([SEED]);
    const picker = policy(config, { random, runtime: runtimeOf(value) }).createPicker(hosts, undefined);
    const weigh = (host: Host): number => host.weight / (host.activeRequests + 1) ** bias;
    expect(picks(picker, 40)).toEqual(scheduled(hosts, weigh, 40));
  });

  it('weighs at each turn', () => {
    const [a, b] = testHosts(2, [2, 1]);
    const picker = scripted({}, []).createPicker([a, b], undefined);
    expect(picks(picker, 3)).toEqual([a, b, a]);
    a.activeRequests = 9;
    const found = picks(picker, 60);
    expect(found.filter((host) => host === a).length).toBeLessThan(15);
  });

  it('begins where the seed says', () => {
    const hosts = testHosts(3, [7, 11, 3]);
    const random = new ScriptedRandom([25]);
    const picker = policy({}, { random }).createPicker(hosts, undefined);
    expect(picks(picker, 10)).toEqual(scheduled(hosts, (host) => host.weight, 35).slice(25));
  });

  it('draws the only host, whatever it weighs', () => {
    const [host] = testHosts(1, [9]);
    expect(scripted({}, [4, 8]).createPicker([host], undefined).pick(undefined)).toBe(host);
  });
});

it('gives a new host its share by and by', () => {
  const clock = new FakeClock();
  const balanced = policy({ slow_start_config: { slow_start_window: '10s' } }, { clock });
  const [old] = testHosts(1);
  const fresh = testHost('10.0.1.1:80', 1, { healthySince: clock.now() });
  const share = (): number => {
    const found = picks(balanced.createPicker([old, fresh], undefined), 1100);
    return found.filter((host) => host === fresh).length / found.filter((host) => host === old).length;
  };
  expect(share()).toBeCloseTo(0.1, 1);
  clock.advance(5_000);
  expect(share()).toBeCloseTo(0.5, 1);
  fresh.activeRequests = 1;
  expect(share()).toBeCloseTo(0.25, 1);
});

it.each([
  [{}, { kind: 'zone-aware', minClusterSize: 6, routingEnabled: 100 }],
  [{ locality_lb_config: { locality_weighted_lb_config: {} } }, { kind: 'weighted' }],
  [
    { locality_lb_config: { zone_aware_lb_config: { min_cluster_size: 2 } } },
    { kind: 'zone-aware', minClusterSize: 2 },
  ],
])('says how localities count: %j', (config, routing) => {
  expect(policy(config).locality).toMatchObject(routing);
});
