import { testHost, testHosts } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { hashKey, normalizeWeights, readHashing } from '../src/index.ts';

describe('the key of a host', () => {
  const host = (key?: unknown) =>
    testHost('10.0.0.1:80', 1, {
      hostname: 'zürich.example',
      metadata: new Map(key === undefined ? [] : [['envoy.lb', { hash_key: key as string }]]),
    });

  it.each([
    ['its address', host(), false, '10.0.0.1:80'],
    ['its hostname, as bytes of UTF-8', host(), true, 'z\u00c3\u00bcrich.example'],
    ['hash_key before its address', host('one'), false, 'one'],
    ['hash_key before its hostname, as bytes of UTF-8', host('é'), true, '\u00c3\u00a9'],
    ['its address, when hash_key is empty', host(''), false, '10.0.0.1:80'],
    ['its address, when hash_key is no text', host(7), false, '10.0.0.1:80'],
    ['its address of IPv6', testHost('[::1]:80'), false, '[::1]:80'],
  ])('is %s', (_, subject, useHostname, key) => {
    expect(hashKey(subject, useHostname)).toBe(key);
  });
});

describe('weights', () => {
  const shares = (...args: Parameters<typeof normalizeWeights>) => {
    const { hosts, weights, min, max } = normalizeWeights(...args);
    return { hosts: hosts.map(({ address }) => address.text), weights: [...weights], min, max };
  };
  const [a, b, c, d] = testHosts(4, [1, 3, 2, 2]);

  it('are shares of the whole', () => {
    expect(shares([a, b], undefined)).toEqual({
      hosts: ['10.0.0.1:80', '10.0.0.2:80'],
      weights: [0.25, 0.75],
      min: 0.25,
      max: 0.75,
    });
  });

  it('are shares of the locality, times that of the locality', () => {
    const hosts = [[a, b], [c], [d]];
    expect(shares([a, b, c, d], { hosts, weights: [1, 0, 3] })).toEqual({
      hosts: ['10.0.0.1:80', '10.0.0.2:80', '10.0.0.4:80'],
      weights: [1 / 16, 3 / 16, 3 / 4],
      min: 1 / 16,
      max: 3 / 4,
    });
  });

  it('of a locality without hosts stay unused', () => {
    expect(shares([a], { hosts: [[a], []], weights: [1, 1] }).weights).toEqual([0.5]);
  });

  it('that are all 0 leave no host', () => {
    expect(shares([a], { hosts: [[a]], weights: [0] }).hosts).toEqual([]);
  });
});

describe('settings', () => {
  const common = {
    $typeName: 'envoy.extensions.load_balancing_policies.common.v3.ConsistentHashingLbConfig',
  } as const;

  it.each([
    ['nothing', {}, { useHostname: false, balanceFactor: 0, localityWeighted: false }],
    [
      'the deprecated fields',
      { useHostnameForHashing: true, hashBalanceFactor: 120, localityWeightedLbConfig: {} },
      { useHostname: true, balanceFactor: 120, localityWeighted: true },
    ],
    [
      'the common fields before them',
      {
        useHostnameForHashing: true,
        hashBalanceFactor: 120,
        consistentHashingLbConfig: { ...common, useHostnameForHashing: false, hashBalanceFactor: 150 },
      },
      { useHostname: false, balanceFactor: 150, localityWeighted: false },
    ],
    [
      'none of the deprecated ones where the common message is there',
      {
        useHostnameForHashing: true,
        hashBalanceFactor: 120,
        consistentHashingLbConfig: { ...common, useHostnameForHashing: false },
      },
      { useHostname: false, balanceFactor: 0, localityWeighted: false },
    ],
  ])('are read from %s', (_, config, settings) => {
    expect(readHashing(config as never)).toEqual(settings);
  });
});
