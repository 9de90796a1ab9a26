import { readLoose, RingHashSchema } from '@dragoman/api';
import {
  loadBalancerConformance,
  pickContext,
  ScriptedRandom,
  SeededRandom,
  testHosts,
} from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { ringHash } from '../src/index.ts';
import { around, halves, local, MAX_HASH, port, ring } from './support.ts';

loadBalancerConformance(
  { describe, it },
  {
    extension: ringHash,
    config: readLoose(RingHashSchema, { minimum_ring_size: 20_000 }),
    kind: 'hash',
    invalid: [
      {
        name: 'a ring that is smaller than it must be',
        config: readLoose(RingHashSchema, { minimum_ring_size: 20, maximum_ring_size: 10 }),
        path: 'minimum_ring_size',
      },
      {
        name: 'a ring that is smaller than the default',
        config: readLoose(RingHashSchema, { maximum_ring_size: 10 }),
        path: 'maximum_ring_size',
      },
    ],
  },
);

/*
 * What Envoy's ring_hash_lb_test.cc finds (hashes, ports, stats). A ring can be computed anew by hand: the keys are
 * `<key>_0`, `<key>_1`, …; see also sorted-hashes.test.ts.
 */
const XX_RING: [bigint, number][] = [
  [833437586790550860n, 94],
  [928266305478181108n, 92],
  [1033482794131418490n, 90],
  [3551244743356806947n, 95],
  [3851675632748031481n, 93],
  [5583722120771150861n, 91],
  [6311230543546372928n, 91],
  [7700377290971790572n, 93],
  [13144177310400110813n, 95],
  [13444792449719432967n, 92],
  [15516499411664133160n, 94],
  [16117243373044804889n, 90],
];
const MURMUR_RING: [bigint, number][] = [
  [1358027074129602068n, 85],
  [4361834613929391114n, 83],
  [7224494972555149682n, 84],
  [7701421856454313576n, 81],
  [8649315368077433379n, 82],
  [8739448859063030639n, 84],
  [9887544217113020895n, 81],
  [10150910876324007731n, 82],
  [15168472011420622455n, 83],
  [15427156902705414897n, 80],
  [16375050414328759093n, 85],
  [17613279263364193813n, 80],
];
/** Of the hostnames, or metadata keys, 90 … 95. */
const NAME_RING: [bigint, number][] = [
  [1975508444536362413n, 95],
  [2376063919839173711n, 95],
  [2386806903309390596n, 93],
  [6749904478991551885n, 94],
  [6803900775736438537n, 93],
  [7225015537174310577n, 92],
  [8787465352164086522n, 90],
  [11282020843382717940n, 92],
  [13723418369486627818n, 91],
  [13776502110861797421n, 90],
  [14338313586354474791n, 91],
  [15364271037087512980n, 94],
];
const SIX = [1, 1, 1, 1, 1, 1];
const SIZE_12 = { minimum_ring_size: 12 };
const named = (name: number) => ({ hostname: String(name) });
const keyed = (name: number) => ({ metadata: new Map([['envoy.lb', { hash_key: String(name) }]]) });
const HOSTNAMES = { use_hostname_for_hashing: true };

describe("a ring of twelve places is Envoy's", () => {
  it.each([
    ['addresses', SIZE_12, local(90, SIX), XX_RING],
    ['xxHash by name', { ...SIZE_12, hash_function: 'XX_HASH' }, local(90, SIX), XX_RING],
    ['MurmurHash2', { ...SIZE_12, hash_function: 'MURMUR_HASH_2' }, local(80, SIX), MURMUR_RING],
    ['hostnames', { ...SIZE_12, consistent_hashing_lb_config: HOSTNAMES }, local(90, SIX, named), NAME_RING],
    ['hostnames, deprecated field', { ...SIZE_12, ...HOSTNAMES }, local(90, SIX, named), NAME_RING],
    ['keys in the metadata', { ...SIZE_12, ...HOSTNAMES }, local(90, SIX, keyed), NAME_RING],
    [
      'hostnames with bounded load that nobody reaches',
      { ...SIZE_12, consistent_hashing_lb_config: { ...HOSTNAMES, hash_balance_factor: 200 } },
      local(90, SIX, named),
      NAME_RING,
    ],
  ])('with %s', (_, config, hosts, places) => {
    const here = ring(config);
    const picker = here.policy.createPicker(hosts, undefined);
    expect(here.stats()).toEqual([12, 2, 2]);
    places.forEach(([hash, owner], index) => {
      expect(port(picker, hash)).toBe(owner);
      expect(port(picker, hash - 1n)).toBe(owner);
      expect(port(picker, hash + 1n)).toBe(places[(index + 1) % 12][1]);
    });
    expect(port(picker, 0n)).toBe(places[0][1]);
    expect(port(picker, MAX_HASH)).toBe(places[0][1]);
  });
});

it('goes on along the ring for an attempt after the first, and around it', () => {
  const picker = ring(SIZE_12).policy.createPicker(local(90, SIX), undefined);
  const ports = XX_RING.map(([, owner]) => owner);
  for (let attempt = 0; attempt < 30; attempt++) expect(port(picker, 0n, attempt)).toBe(ports[attempt % 12]);
});

it('goes anywhere with a request that has no hash', () => {
  const { high, low } = halves(16117243373044804880n);
  const { policy } = ring(SIZE_12, { random: new ScriptedRandom([high, low, 0, 0]) });
  const picker = policy.createPicker(local(90, SIX), undefined);
  expect(picker.pick(undefined)?.address.port).toBe(90);
  expect(picker.pick(pickContext())?.address.port).toBe(94);
});

describe('weights', () => {
  const WEIGHTED = { locality_weighted_lb_config: {} };
  const fixed = (size: number) => ({ minimum_ring_size: size, maximum_ring_size: size });
  const SIX_PLACES: [bigint, number][] = [
    [928266305478181108n, 92],
    [4443673547860492590n, 92],
    [5583722120771150861n, 91],
    [6311230543546372928n, 91],
    [13444792449719432967n, 92],
    [16117243373044804889n, 90],
  ];

  it.each([
    ['six places, of hosts', fixed(6), [1, 2, 3], undefined, [6, 1, 3], SIX_PLACES],
    [
      'six places, of localities',
      fixed(6),
      [1, 1, 1, 1],
      { split: [1, 1, 1, 1], weights: [1, 2, 3, 0] },
      [6, 1, 3],
      SIX_PLACES,
    ],
    [
      'nine places, of both',
      fixed(9),
      [1, 2, 1, 2],
      { split: [2, 2], weights: [1, 2] },
      [9, 1, 4],
      [
        [928266305478181108n, 92],
        [3851675632748031481n, 93],
        [5583722120771150861n, 91],
        [6311230543546372928n, 91],
        [7700377290971790572n, 93],
        [12559126875973811811n, 93],
        [13444792449719432967n, 92],
        [13784988426630141778n, 93],
        [16117243373044804889n, 90],
      ] as [bigint, number][],
    ],
  ])('make %s', (_, size, weights, localities, stats, places) => {
    const here = ring({ ...size, ...WEIGHTED });
    const hosts = local(90, weights);
    let from = 0;
    const groups = localities?.split.map((count) => hosts.slice(from, (from += count)));
    const picker = here.policy.createPicker(
      hosts,
      undefined,
      localities && { hosts: groups as never, weights: localities.weights },
    );
    expect(here.stats()).toEqual(stats);
    for (const [hash, owner] of places) expect(port(picker, hash)).toBe(owner);
  });

  it.each([
    [
      'of hosts',
      { minimum_ring_size: 6144 },
      [1, 2, 3],
      [6144, 1024, 3072],
      6000,
      { 90: 987, 91: 1932, 92: 3081 },
    ],
    ['that do not come out even', fixed(1023), [1, 1], [1023, 511, 512], 1023, { 90: 526, 91: 497 }],
  ])('%s share the hashes as in Envoy', (_, config, weights, stats, hashes, counts) => {
    const here = ring(config);
    const picker = here.policy.createPicker(local(90, weights), undefined);
    expect(here.stats()).toEqual(stats);
    expect(around(picker, hashes)).toEqual(counts);
  });

  it('of hosts and localities share the hashes as in Envoy', () => {
    const here = ring({ minimum_ring_size: 9216, ...WEIGHTED });
    const [a, b, c, d] = local(90, [1, 2, 1, 2]);
    const localities = {
      hosts: [
        [a, b],
        [c, d],
      ],
      weights: [1, 2],
    };
    const picker = here.policy.createPicker([a, b, c, d], undefined, localities);
    expect(here.stats()).toEqual([9216, 1024, 4096]);
    expect(around(picker, 9000)).toEqual({ 90: 924, 91: 2009, 92: 2053, 93: 4014 });
  });

  it('of localities that are all 0 leave no host', () => {
    const [a, b] = local(90, [1, 1]);
    const { policy } = ring(WEIGHTED);
    expect(policy.locality).toEqual({ kind: 'weighted' });
    const picker = policy.createPicker([a, b], undefined, { hosts: [[a], [b]], weights: [0, 0] });
    expect(picker.pick(undefined)).toBeUndefined();
  });

  it('of a ring that is too small for all hosts leave some out in turn', () => {
    const hosts = local(0, new Array(1024).fill(1));
    const here = ring({ ...fixed(1024), ...WEIGHTED });
    const picker = here.policy.createPicker(hosts, undefined, {
      hosts: [hosts.slice(0, 1), hosts.slice(1)],
      weights: [127, 1],
    });
    expect(here.stats()).toEqual([1024, 0, 1016]);
    for (const [hash, owner] of [
      [11664790346325243808n, 1],
      [15894554872961148518n, 128],
      [13958138884277627155n, 256],
      [15803774069438192949n, 384],
      [3829253010855396576n, 512],
      [17918147347826565154n, 640],
      [6442769608292299103n, 768],
      [5881074926069334434n, 896],
    ] as const)
      expect(port(picker, hash)).toBe(owner);
  });

  it('of a ring of two places with four hosts leave two hosts out', () => {
    const here = ring(fixed(2));
    const picker = here.policy.createPicker(local(90, [1, 1, 1, 1]), undefined);
    expect(here.stats()).toEqual([2, 0, 1]);
    expect(Object.keys(around(picker, 1024))).toHaveLength(2);
  });
});

it('says which bounds of the size do not fit', () => {
  expect(() => ring({ maximum_ring_size: 10 })).toThrow(
    'the ring has at least 1024 entries by default and at most 10: raise maximum_ring_size or lower minimum_ring_size',
  );
});

it('grows to a whole number of places for each host', () => {
  const here = ring({ minimum_ring_size: 3 });
  const picker = here.policy.createPicker(local(80, [1, 1]), undefined);
  expect(here.stats()).toEqual([4, 2, 2]);
  expect(port(picker, 0n)).toBe(80);
  expect(port(picker, 5454692015285649510n)).toBe(81);
});

it('moves the keys of a lost host, and about as many more where the ring is made anew for fewer', () => {
  const random = new SeededRandom(5);
  const hashes = Array.from({ length: 4000 }, () => ({
    high: random.next() % 2 ** 32,
    low: random.next() % 2 ** 32,
  }));
  const moved = (count: number, config: object) => {
    const { policy } = ring(config);
    const hosts = testHosts(count);
    const before = policy.createPicker(hosts, undefined);
    const after = policy.createPicker(hosts.slice(1), before);
    return hashes.filter((hash) => {
      const context = pickContext({ hash });
      return before.pick(context) !== after.pick(context);
    }).length;
  };
  // Of 4,000 keys one host in twenty has 200.
  expect(moved(20, {})).toBeGreaterThan(100);
  expect(moved(20, {})).toBeLessThan(450);
});

it('passes full hosts over', () => {
  const { policy, store } = ring({ ...SIZE_12, consistent_hashing_lb_config: { hash_balance_factor: 100 } });
  const hosts = local(90, SIX);
  const picker = policy.createPicker(hosts, undefined);
  store.scope('cluster.web').gauge('upstream_rq_active').set(11);
  hosts[4].activeRequests = 2;
  expect(port(picker, 0n)).toBe(94);
  hosts[4].activeRequests = 11;
  expect(port(picker, 0n)).not.toBe(94);
  expect(port(picker, 1033482794131418490n)).toBe(90);
});
