import { ConfigError, type Host, type MetadataValue } from '@dragoman/core';
import { hostSetOf, loadBalancerConformance, loadBalancerContext, pickContext } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { subset } from '../src/index.ts';
import { type Fields, host, Scene, typedConfig } from './scene.ts';

const keys = (...names: string[]) => ({ keys: names });
const invalid = (name: string, selector: object, field: string) => ({
  name,
  config: typedConfig({ subset_selectors: [keys('z'), selector] }),
  path: `subset_selectors[1].${field}`,
});

loadBalancerConformance(
  { describe, it },
  {
    extension: subset,
    config: typedConfig({ fallback_policy: 'ANY_ENDPOINT', subset_selectors: [keys('v')] }),
    // Weights are the child's business.
    weighted: false,
    invalid: [
      invalid(
        'fallback keys without KEYS_SUBSET',
        { keys: ['a', 'b'], fallback_keys_subset: ['a'] },
        'fallback_keys_subset',
      ),
      invalid(
        'KEYS_SUBSET without keys',
        { keys: ['a'], fallback_policy: 'KEYS_SUBSET' },
        'fallback_keys_subset',
      ),
      invalid(
        'fallback keys that are not of the selector',
        { keys: ['a', 'b'], fallback_policy: 'KEYS_SUBSET', fallback_keys_subset: ['c'] },
        'fallback_keys_subset',
      ),
      invalid(
        'fallback keys that are all of the selector',
        { keys: ['a', 'b'], fallback_policy: 'KEYS_SUBSET', fallback_keys_subset: ['b', 'a', 'a'] },
        'fallback_keys_subset',
      ),
      invalid('a fallback without keys', { fallback_policy: 'ANY_ENDPOINT' }, 'keys'),
    ],
  },
);

describe('routes over versions and stages', () => {
  const hosts = [
    host('1', { version: '1', stage: 'prod' }),
    host('2', { version: '1', stage: 'prod' }),
    host('3', { version: '2', stage: 'canary' }),
    host('4', { version: '3-rc', stage: 'dev' }),
    host('5'),
  ];
  const config = {
    fallback_policy: 'DEFAULT_SUBSET',
    default_subset: { stage: 'prod' },
    subset_selectors: [keys('version', 'stage'), { keys: ['stage'], fallback_policy: 'NO_FALLBACK' }],
  };

  it.each<[Fields | undefined, number[], string | undefined]>([
    [{ stage: 'canary' }, [3], 'selected'],
    [{ stage: 'prod' }, [1, 2], 'selected'],
    [{ version: '3-rc', stage: 'dev' }, [4], 'selected'],
    [{ stage: 'dev', version: '3-rc' }, [4], 'selected'],
    [{ version: '1' }, [1, 2], 'fallback'],
    [{ other: 'x' }, [1, 2], 'fallback'],
    [{ version: '3-rc', stage: 'prod' }, [1, 2], 'fallback'],
    [{ version: '1', stage: 'prod', more: 1 }, [1, 2], 'fallback'],
    [{}, [1, 2], 'fallback'],
    [undefined, [1, 2], 'fallback'],
    [{ stage: 'test' }, [], undefined],
  ])('%j goes to %j', (criteria, expected, stat) => {
    const scene = new Scene(config).update(hosts);
    expect(scene.over(criteria, 6)).toEqual(new Set(expected.map((number) => hosts[number - 1])));
    expect([scene.count('selected'), scene.count('fallback')]).toEqual([
      stat === 'selected' ? 6 : 0,
      stat === 'fallback' ? 6 : 0,
    ]);
  });
});

describe('fallbacks', () => {
  const hosts = [host('1', { a: 1, b: 1 }), host('2', { a: 1, b: 2 }), host('3', { a: 2 }), host('4')];
  const [h1, h2, h3] = hosts;
  const all = new Set<Host>(hosts);
  const none = new Set<Host>();

  it.each<[string, string, Set<Host>]>([
    ['NO_FALLBACK', 'NOT_DEFINED', none],
    ['ANY_ENDPOINT', 'NOT_DEFINED', all],
    ['DEFAULT_SUBSET', 'NOT_DEFINED', new Set([h3])],
    ['NO_FALLBACK', 'ANY_ENDPOINT', all],
    ['NO_FALLBACK', 'DEFAULT_SUBSET', new Set([h3])],
    ['ANY_ENDPOINT', 'NO_FALLBACK', none],
    ['ANY_ENDPOINT', 'DEFAULT_SUBSET', new Set([h3])],
    ['DEFAULT_SUBSET', 'ANY_ENDPOINT', all],
    ['DEFAULT_SUBSET', 'NO_FALLBACK', none],
  ])('%s of the policy, %s of the selector', (fallback_policy, own, expected) => {
    const selectors = [{ keys: ['a'], fallback_policy: own }];
    const scene = new Scene({ fallback_policy, default_subset: { a: 2 }, subset_selectors: selectors });
    scene.update(hosts);
    expect(scene.over({ a: 9 })).toEqual(expected);
    // Only the policy's own is counted.
    expect(scene.count('fallback')).toBe(own === 'NOT_DEFINED' ? 24 * Math.sign(expected.size) : 0);
    expect(scene.count('selected')).toBe(0);
  });

  it('an empty default subset has every host', () => {
    expect(new Scene({ fallback_policy: 'DEFAULT_SUBSET' }).update(hosts).over({ a: 9 })).toEqual(all);
  });

  it('go over fewer keys, step by step', () => {
    const scene = new Scene({
      fallback_policy: 'ANY_ENDPOINT',
      subset_selectors: [
        { keys: ['a', 'b', 'c'], fallback_policy: 'KEYS_SUBSET', fallback_keys_subset: ['a', 'b'] },
        { keys: ['a', 'b'], fallback_policy: 'KEYS_SUBSET', fallback_keys_subset: ['a'] },
        { keys: ['a'], fallback_policy: 'NO_FALLBACK' },
        { keys: ['d', 'e'], fallback_policy: 'KEYS_SUBSET', fallback_keys_subset: ['d'] },
      ],
    }).update(hosts);
    expect(scene.over({ a: 1, b: 2, c: 3 })).toEqual(new Set([h2]));
    expect(scene.over({ a: 1, b: 3, c: 3 })).toEqual(new Set([h1, h2]));
    expect(scene.over({ a: 9, b: 3, c: 3 })).toEqual(none);
    // No selector is for `d` alone.
    expect(scene.over({ d: 1, e: 1 })).toEqual(all);
  });

  it('panic_mode_any helps out when the fallback has no host', () => {
    const config = {
      fallback_policy: 'DEFAULT_SUBSET',
      default_subset: { a: 7 },
      subset_selectors: [keys('a')],
    };
    expect(new Scene(config).update(hosts).over({ a: 9 })).toEqual(none);
    const scene = new Scene({ ...config, panic_mode_any: true }).update(hosts);
    expect(scene.over({ a: 9 }, 8)).toEqual(all);
    expect([scene.count('fallback'), scene.count('fallback_panic')]).toEqual([0, 8]);
    const off = new Scene({ ...config, fallback_policy: 'NO_FALLBACK', panic_mode_any: true }).update(hosts);
    expect(off.over({ a: 9 })).toEqual(none);
  });

  it('allow_redundant_keys takes the selector with the most keys that are asked for', () => {
    const selectors = [keys('a'), keys('a', 'b')];
    const strict = new Scene({ subset_selectors: selectors }).update(hosts);
    expect(strict.over({ a: 1, b: 2, x: 1 })).toEqual(none);
    const lenient = new Scene({ subset_selectors: selectors, allow_redundant_keys: true }).update(hosts);
    expect(lenient.over({ a: 1, b: 2, x: 1 })).toEqual(new Set([h2]));
    expect(lenient.over({ a: 1, x: 1 })).toEqual(new Set([h1, h2]));
    expect(lenient.over({ b: 1 })).toEqual(none);
  });

  it('metadata_fallback_policy tries a list of criteria', () => {
    const scene = new Scene({
      metadata_fallback_policy: 'FALLBACK_LIST',
      subset_selectors: [keys('a'), keys('a', 'b')],
    }).update(hosts);
    const list = (...entries: Fields[]) => ({ fallback_list: entries });
    expect(scene.over(list({ a: 9 }, { a: 2 }))).toEqual(new Set([h3]));
    expect(scene.over({ a: 1, ...list({ b: 9 }, { b: 2 }) })).toEqual(new Set([h2]));
    expect(scene.over({ a: 9, ...list({ a: 8 }, { a: 1, b: 1 }) })).toEqual(new Set([h1]));
    expect(scene.over({ a: 2, ...list() })).toEqual(new Set([h3]));
    expect(scene.over({ a: 2, fallback_list: 'x' })).toEqual(new Set([h3]));
    expect(scene.over(list({ a: 9 }, { a: 8 }))).toEqual(none);
    expect(scene.over({ a: 2 })).toEqual(new Set([h3]));
    // Without the policy it is a criterion like others.
    const off = new Scene({ subset_selectors: [keys('a')] }).update(hosts);
    expect(off.over({ a: 2, ...list({ a: 1 }) })).toEqual(none);
  });
});

describe('values', () => {
  const values: MetadataValue[] = [
    '1',
    1,
    true,
    'true',
    null,
    'null',
    0,
    false,
    '',
    [1, 2],
    [2, 1],
    '[1,2]',
    { x: 1, y: [] },
    { x: 1 },
  ];

  it('match the same kind and content only', () => {
    const hosts = values.map((v, index) => host(`${index}`, { v }));
    const scene = new Scene({ subset_selectors: [keys('v')] }).update(hosts);
    for (const [index, v] of values.entries())
      expect(scene.over({ v: structuredClone(v) })).toEqual(new Set([hosts[index]]));
    expect(scene.over({ v: { y: [], x: 1 } })).toEqual(new Set([hosts[12]]));
    expect(scene.count('active')).toBe(values.length);
  });

  it('of inherited names are no metadata', () => {
    const scene = new Scene({ subset_selectors: [keys('constructor')] }).update([host('1', {})]);
    expect(scene.over({ constructor: 'x' })).toEqual(new Set());
    expect(scene.count('created')).toBe(0);
  });

  it('list_as_any takes a list as each of its values', () => {
    const hosts = [
      host('1', { a: [1, 2, 1], b: ['x', 'y'] }),
      host('2', { a: 1, b: 'y' }),
      host('3', { a: [] }),
    ];
    const config = { subset_selectors: [keys('a'), keys('a', 'b')], default_subset: { a: 2 } };
    const scene = new Scene({ ...config, list_as_any: true, fallback_policy: 'DEFAULT_SUBSET' }).update(
      hosts,
    );
    expect(scene.over({ a: 1 })).toEqual(new Set([hosts[0], hosts[1]]));
    expect(scene.over({ a: 2, b: 'y' })).toEqual(new Set([hosts[0]]));
    expect(scene.over({ a: 9 })).toEqual(new Set([hosts[0]]));
    expect(scene.count('created')).toBe(6);
    const plain = new Scene(config).update(hosts);
    expect(plain.over({ a: [1, 2, 1] })).toEqual(new Set([hosts[0]]));
    expect(plain.over({ a: 2 })).toEqual(new Set());
  });
});

describe('subsets of a single host', () => {
  const config = { subset_selectors: [{ keys: ['id'], single_host_per_subset: true }] };

  it('have the first, whatever its health, and count the others', () => {
    const hosts = [
      host('1', { id: 'a' }),
      host('2', { id: 'a' }),
      host('3', { id: 'b' }),
      host('4', { id: 'a' }),
    ];
    const scene = new Scene(config).update(
      hostSetOf(hosts, { healthyHosts: [hosts[1]], healthyHostsByLocality: [[hosts[1]]] }),
    );
    expect(scene.over({ id: 'a' })).toEqual(new Set([hosts[0]]));
    expect(scene.count('single_host_per_subset_duplicate')).toBe(2);
    scene.update(hosts.slice(1, 3));
    expect(scene.over({ id: 'a' })).toEqual(new Set([hosts[1]]));
    expect(scene.count('single_host_per_subset_duplicate')).toBe(0);
    expect(scene.count('active')).toBe(2);
    expect(scene.seen).toEqual([]);
  });

  it('prefer the first priority', () => {
    const [first, second] = [host('1', { id: 'a' }), host('2', { id: 'a' }, { priority: 1 })];
    const scene = new Scene(config).update([first], [second]);
    expect(scene.over({ id: 'a' })).toEqual(new Set([first]));
    scene.update([], [second]);
    expect(scene.over({ id: 'a' })).toEqual(new Set([second]));
    scene.update([]);
    expect([scene.over({ id: 'a' }), scene.count('removed')]).toEqual([new Set(), 1]);
  });
});

describe('updates', () => {
  const config = { subset_selectors: [keys('v')] };

  it('count subsets that come and go, and close their balancers', () => {
    const [a, b, c] = [host('1', { v: 1 }), host('2', { v: 2 }), host('3', { v: 3 })];
    const scene = new Scene(config).update([a, b]);
    expect([scene.count('active'), scene.count('created'), scene.count('removed')]).toEqual([2, 2, 0]);
    scene.update([b, c]);
    expect([scene.count('active'), scene.count('created'), scene.count('removed')]).toEqual([2, 3, 1]);
    expect([scene.over({ v: 1 }), scene.over({ v: 3 }), scene.closed]).toEqual([new Set(), new Set([c]), 1]);
    scene.balancer.close?.();
    expect([scene.count('active'), scene.count('removed'), scene.closed]).toEqual([0, 3, 3]);
  });

  it('keep the sets of subsets in which nothing has changed', () => {
    const [a, b, c] = [host('1', { v: 1 }), host('2', { v: 2 }), host('3', { v: 2 })];
    const scene = new Scene(config).update([a, b, c]);
    const [first, second] = scene.seen.map(([set]) => set);
    scene.update(hostSetOf([a, b, c], { healthyHosts: [a, b], healthyHostsByLocality: [[a, b]] }));
    expect(scene.seen[0][0]).toBe(first);
    expect(scene.seen[1][0]).not.toBe(second);
    expect(scene.seen[1][0].healthyHosts).toEqual([b]);
    const before = scene.seen[0][0];
    a.weight = 5;
    scene.update([a, b]);
    expect(scene.seen[0][0]).not.toBe(before);
  });

  it('move a host whose metadata has changed', () => {
    const [a, b] = [host('1', { v: 1 }), host('2', { v: 2 })];
    const scene = new Scene(config).update([a, b]);
    Object.assign(a, { metadata: new Map([['envoy.lb', { v: 2 }]]) });
    scene.update([a, b]);
    expect([scene.over({ v: 1 }), scene.over({ v: 2 })]).toEqual([new Set(), new Set([a, b])]);
    Object.assign(a, { metadata: new Map() });
    scene.update([a, b]);
    expect(scene.over({ v: 2 })).toEqual(new Set([b]));
  });

  it('look only at priorities that have changed', () => {
    const [a, b, c] = [host('1', { v: 1 }), host('2', { v: 1 }), host('3', { v: 2 })];
    const [first, second] = [hostSetOf([a]), hostSetOf([b], { priority: 1 })];
    const scene = new Scene(config).update(first, second);
    const [[before]] = scene.seen;
    scene.update(first, hostSetOf([b, c], { priority: 1 }));
    expect(scene.seen[0][0]).toBe(before);
    expect(scene.seen.map((sets) => sets.map((set) => set.hosts))).toEqual([
      [[a], [b]],
      [[], [c]],
    ]);
    expect(scene.seen[1].map(({ priority }) => priority)).toEqual([0, 1]);
    // A host may go to another priority, and a priority may go.
    scene.update(hostSetOf([c]), hostSetOf([a], { priority: 1 }));
    expect(scene.seen.map((sets) => sets.map((set) => set.hosts))).toEqual([
      [[], [a]],
      [[c], []],
    ]);
    scene.update(hostSetOf([c]));
    expect([scene.over({ v: 1 }), scene.over({ v: 2 })]).toEqual([new Set(), new Set([c])]);
    expect([scene.count('active'), scene.count('removed'), scene.closed]).toEqual([1, 1, 1]);
    scene.update([c], [a], [b]);
    expect(scene.count('created')).toBe(3);
  });

  it('give each subset a policy of its own', () => {
    let made = 0;
    const { policy: child } = loadBalancerContext();
    const policy: typeof child = (config, path) => {
      made++;
      return child(config, path);
    };
    new Scene(config, { policy }).update([host('1', { v: 1 }), host('2', { v: 2 }), host('3', { v: 2 })]);
    expect(made).toBe(2);
  });

  it('name the place of a child that cannot be made', () => {
    const policy = (_: unknown, path: string): never => {
      throw ConfigError.at(path, 'is unknown');
    };
    expect(() => new Scene(config, { policy })).toThrow('subset_lb_policy: is unknown');
  });
});

describe('localities', () => {
  const near = [host('1', { v: 1 }), host('2', { v: 1 }), host('3', { v: 2 })];
  const far = [host('4', { v: 1 }), host('5', { v: 2 }, { healthFlags: 64 })];
  const place = (zone: string) => ({ region: 'r', zone, subZone: '' });
  const whole = hostSetOf([...near, ...far], {
    localities: [place('a'), place('b'), place('c')],
    hostsByLocality: [near, far, []],
    healthyHosts: [near[0], near[2], far[0]],
    healthyHostsByLocality: [[near[0], near[2]], [far[0]], []],
    degradedHosts: [near[1]],
    degradedHostsByLocality: [[near[1]], [], []],
    localityWeights: [10, 5, 7],
    excludedByLocality: [0, 1, 0],
    excluded: 1,
    overprovisioningFactor: 120,
  });
  const setsOf = (config: object) =>
    new Scene({ subset_selectors: [keys('v')], ...config }).update(whole).seen.map(([set]) => set);

  it('are those of the cluster, with the hosts of the subset', () => {
    const [one, two] = setsOf({});
    expect(one).toEqual({
      priority: 0,
      hosts: [near[0], near[1], far[0]],
      healthyHosts: [near[0], far[0]],
      degradedHosts: [near[1]],
      localities: whole.localities,
      hostsByLocality: [[near[0], near[1]], [far[0]], []],
      healthyHostsByLocality: [[near[0]], [far[0]], []],
      degradedHostsByLocality: [[near[1]], [], []],
      localityWeights: undefined,
      excludedByLocality: [0, 0, 0],
      excluded: 0,
      overprovisioningFactor: 120,
    });
    expect([two.hosts, two.excludedByLocality, two.excluded]).toEqual([[near[2], far[1]], [0, 1, 0], 1]);
  });

  it('weigh their hosts for the health of the priority where the cluster does', () => {
    const scene = new Scene({ subset_selectors: [keys('v')] }).update({ ...whole, countedWeight: 99 });
    expect(scene.seen.map(([set]) => set.countedWeight)).toEqual([3, 1]);
  });

  it.each([
    [{}, undefined, undefined],
    [{ scale_locality_weight: true }, undefined, undefined],
    [{ locality_weight_aware: true }, [10, 5, 7], [10, 5, 7]],
    [{ locality_weight_aware: true, scale_locality_weight: true }, [7, 3, 0], [3, 3, 0]],
  ])('weigh as %j says', (config, one, two) => {
    expect(setsOf(config).map((set) => set.localityWeights)).toEqual([one, two]);
  });

  it('of all hosts together are weighted only if those of subsets are', () => {
    const config = { fallback_policy: 'ANY_ENDPOINT', subset_selectors: [] };
    const scene = new Scene(config).update(whole);
    const [before] = scene.seen[0];
    expect(before).toEqual({ ...whole, localityWeights: undefined });
    scene.update(whole);
    expect(scene.seen[0][0]).toBe(before);
    expect(setsOf({ ...config, locality_weight_aware: true })).toEqual([whole]);
  });

  it('make anew what has moved', () => {
    const scene = new Scene({ subset_selectors: [keys('v')] }).update(whole);
    const [before] = scene.seen[0];
    scene.update({ ...whole });
    expect(scene.seen[0][0]).toBe(before);
    scene.update({ ...whole, localities: [place('x'), place('b'), place('c')] });
    expect(scene.seen[0][0]).not.toBe(before);
  });
});

it('chooses without a context by the fallback', () => {
  const scene = new Scene({ fallback_policy: 'ANY_ENDPOINT' }).update([host('1')]);
  expect(scene.balancer.choose(undefined)).toBe(scene.balancer.choose(pickContext()));
});
