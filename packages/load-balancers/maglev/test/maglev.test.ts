import { MaglevSchema, readLoose } from '@dragoman/api';
import { loadBalancerConformance, pickContext, ScriptedRandom, testHosts } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { maglev } from '../src/index.ts';
import { local, port, ports, table } from './support.ts';

const refused = (tableSize: number) => ({
  name: `a table of ${tableSize} entries`,
  config: readLoose(MaglevSchema, { table_size: tableSize }),
  path: 'table_size',
});

loadBalancerConformance(
  { describe, it },
  {
    extension: maglev,
    config: readLoose(MaglevSchema, {}),
    kind: 'hash',
    invalid: [refused(0), refused(1), refused(8), refused(65_536), refused(5_000_077)],
  },
);

it.each([
  [0, '0 is not a prime number; take 2'],
  [8, '8 is not a prime number; take 7 or 11'],
  [65_536, '65536 is not a prime number; take 65521 or 65537'],
  [5_000_077, '5000077 is too large: at most 5000011'],
])('refuses a table of %i entries: %s', (tableSize, message) => {
  expect(() => table({ table_size: tableSize })).toThrow(`table_size: ${message}`);
});

// What Envoy's maglev_lb_test.cc finds: the port of each entry and stats. table.test.ts computes tables anew.
const SIX = [1, 1, 1, 1, 1, 1];
const ADDRESSES = [92, 94, 90, 91, 95, 90, 93];
const NAMES = [92, 95, 90, 93, 94, 91, 90];
const named = (name: number) => ({ hostname: String(name) });
const keyed = (name: number) => ({ metadata: new Map([['envoy.lb', { hash_key: String(name) }]]) });
const HOSTNAMES = { use_hostname_for_hashing: true };

describe("a table of seven entries is Envoy's", () => {
  it.each([
    ['addresses', {}, local(90, SIX), ADDRESSES],
    ['addresses in another order', {}, local(90, SIX).reverse(), ADDRESSES],
    ['hostnames', { consistent_hashing_lb_config: HOSTNAMES }, local(90, SIX, named), NAMES],
    ['keys in the metadata', { consistent_hashing_lb_config: HOSTNAMES }, local(90, SIX, keyed), NAMES],
    [
      'hostnames with bounded load that nobody reaches',
      { consistent_hashing_lb_config: { ...HOSTNAMES, hash_balance_factor: 200 } },
      local(90, SIX, named),
      NAMES,
    ],
  ])('with %s', (_, config, hosts, entries) => {
    const here = table({ table_size: 7, ...config });
    const picker = here.policy.createPicker(hosts, undefined);
    expect(here.stats()).toEqual([1, 2]);
    expect(ports(picker, 21)).toEqual([...entries, ...entries, ...entries]);
  });
});

it('turns the hash over for an attempt after the first, as Envoy does', () => {
  const picker = table({ table_size: 7 }).policy.createPicker(local(90, SIX), undefined);
  expect([0, 1, 2].map((attempt) => port(picker, 10, attempt))).toEqual([91, 90, 95]);
});

it('goes anywhere with a request that has no hash', () => {
  const { policy } = table({ table_size: 7 }, { random: new ScriptedRandom([0, 3, 0, 4]) });
  const picker = policy.createPicker(local(90, SIX), undefined);
  expect(picker.pick(undefined)?.address.port).toBe(91);
  expect(picker.pick(pickContext())?.address.port).toBe(95);
});

describe('weights', () => {
  const WEIGHTED = { locality_weighted_lb_config: {} };

  it('of hosts share the entries as in Envoy', () => {
    const here = table({ table_size: 17 });
    const picker = here.policy.createPicker(local(90, [1, 2]), undefined);
    expect(here.stats()).toEqual([6, 11]);
    expect(ports(picker, 17)).toEqual([91, 90, 90, 91, 90, 91, 91, 90, 91, 91, 91, 91, 91, 90, 91, 90, 91]);
  });

  it('of localities count before those of hosts', () => {
    const here = table({ table_size: 17, ...WEIGHTED });
    expect(here.policy.locality).toEqual({ kind: 'weighted' });
    const [a, b] = local(90, [1, 2]);
    const picker = here.policy.createPicker([a, b], undefined, { hosts: [[a], [b]], weights: [1, 1] });
    expect(here.stats()).toEqual([8, 9]);
    expect(ports(picker, 17)).toEqual([91, 90, 90, 91, 90, 91, 91, 90, 90, 91, 90, 91, 90, 90, 91, 90, 91]);
  });

  it('of localities of which one is 0 leave its hosts out', () => {
    const here = table({ table_size: 17, ...WEIGHTED });
    const [a, c, b] = local(90, [1, 2, 3]);
    const localities = { hosts: [[a], [b], [c]], weights: [8, 0, 2] };
    const picker = here.policy.createPicker([a, c, b], undefined, localities);
    expect(here.stats()).toEqual([4, 13]);
    expect(ports(picker, 17)).toEqual([91, 90, 90, 90, 90, 90, 91, 90, 90, 91, 90, 91, 90, 90, 90, 90, 90]);
  });

  it('of localities that are all 0 leave no host', () => {
    const [a, b] = local(90, [1, 1]);
    const { policy } = table(WEIGHTED);
    const picker = policy.createPicker([a, b], undefined, { hosts: [[a], [b]], weights: [0, 0] });
    expect(picker.pick(undefined)).toBeUndefined();
  });

  it('that are lopsided leave one entry for each of the light hosts', () => {
    const here = table(WEIGHTED);
    const hosts = local(0, new Array(1024).fill(1));
    const localities = { hosts: [hosts.slice(0, 1), hosts.slice(1)], weights: [127, 1] };
    const picker = here.policy.createPicker(hosts, undefined, localities);
    expect(here.stats()).toEqual([1, 65_537 - 1023]);
    const counts = new Uint32Array(1024);
    for (const found of ports(picker, 65_537)) counts[found as number]++;
    expect([...counts]).toEqual([65_537 - 1023, ...new Array(1023).fill(1)]);
  });
});

it.each([1, 7])('needs no table for one host (weight %i)', (weight) => {
  const here = table({ table_size: 7 });
  const picker = here.policy.createPicker(local(90, [weight]), undefined);
  expect(here.stats()).toEqual([1, 1]);
  expect(ports(picker, 7)).toEqual(new Array(7).fill(90));
});

it('moves the entries of a lost host and few more', () => {
  const { policy } = table({});
  const hosts = testHosts(20);
  const before = policy.createPicker(hosts, undefined);
  const after = policy.createPicker(hosts.slice(1), before);
  let lost = 0;
  let disturbed = 0;
  for (let low = 0; low < 65_537; low++) {
    const context = pickContext({ hash: { high: 0, low } });
    const host = before.pick(context);
    if (host === hosts[0]) lost++;
    else if (after.pick(context) !== host) disturbed++;
  }
  expect(Math.abs(lost - 65_537 / 20)).toBeLessThan(1);
  expect(disturbed).toBeLessThan(65_537 * 0.02);
});

it('passes full hosts over', () => {
  const { policy, store } = table({
    table_size: 7,
    consistent_hashing_lb_config: { hash_balance_factor: 100 },
  });
  const hosts = local(90, SIX);
  const picker = policy.createPicker(hosts, undefined);
  store.scope('cluster.web').gauge('upstream_rq_active').set(11);
  hosts[2].activeRequests = 2;
  expect(port(picker, 0)).toBe(92);
  hosts[2].activeRequests = 11;
  expect(port(picker, 0)).not.toBe(92);
  expect(port(picker, 1)).toBe(94);
});
