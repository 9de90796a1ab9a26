import { ConsulCluster_WarningHealth as WarningHealth } from '@dragoman/api';
import { Address } from '@dragoman/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { InstanceOptions } from '../src/config.ts';
import { readInstances } from '../src/instances.ts';
import { nextIndex, staleness } from '../src/query-index.ts';
import { type InstanceParts, instance } from './support/scene.ts';

const OPTIONS: InstanceOptions = {
  warningHealth: WarningHealth.HEALTHY,
  taggedAddress: '',
  regionKey: 'region',
  zoneKey: 'zone',
};

const read = (parts: InstanceParts, options: Partial<InstanceOptions> = {}, address = '10.0.0.1') =>
  readInstances([instance(address, parts)], { ...OPTIONS, ...options }, 10);

describe('an instance', () => {
  it('is a host with its place, its weight and who it is', () => {
    const parts = { id: 'web-1', weights: { Passing: 10 }, meta: { region: 'eu', zone: 'eu-1a' } };
    expect(read(parts).hosts).toEqual([
      {
        locality: { region: 'eu', zone: 'eu-1a', subZone: '' },
        endpoint: {
          address: '10.0.0.1:8080',
          hostname: '',
          weight: 10,
          metadata: { 'dragoman.clusters.consul': { id: 'web-1', node: 'node-1', datacenter: 'dc1' } },
        },
      },
    ]);
  });

  it('has its place under keys that the config names', () => {
    const parts = { meta: { r: 'eu', rack: '7', zone: 'x' } };
    const [{ locality }] = read(parts, { regionKey: 'r', zoneKey: 'rack' }).hosts;
    expect(locality).toEqual({ region: 'eu', zone: '7', subZone: '' });
    const [odd] = read(parts, { regionKey: '__proto__', zoneKey: 'toString' }).hosts;
    expect(odd.locality).toEqual({ region: '', zone: '', subZone: '' });
  });

  it.each([
    ['all pass', { a: 'passing', b: 'passing' }, {}, undefined, 10],
    ['there is none', {}, {}, undefined, 10],
    ['one warns', { a: 'passing', b: 'warning' }, {}, undefined, 3],
    ['one warns, as degraded', { b: 'warning' }, { warningHealth: WarningHealth.DEGRADED }, 'degraded', 3],
    ['one warns, as unhealthy', { b: 'warning' }, { warningHealth: WarningHealth.UNHEALTHY }, 'unhealthy', 3],
    ['one is critical', { a: 'warning', b: 'critical' }, {}, 'unhealthy', 10],
    ['one is unheard of', { a: 'passing', b: 'splendid' }, {}, 'unhealthy', 10],
    ['its node is in maintenance', { _node_maintenance: 'critical', b: 'critical' }, {}, 'draining', 1],
    ['it is in maintenance', { b: 'passing', '_service_maintenance:web': 'critical' }, {}, 'draining', 1],
  ])('has the health of its worst check: %s', (_, checks, options, health, weight) => {
    const parts = { checks: checks as Record<string, string>, weights: { Passing: 10, Warning: 3 } };
    const [{ endpoint }] = read(parts, options).hosts;
    expect([endpoint.health, endpoint.weight]).toEqual([health, weight]);
  });

  it('gets no requests while it warns when its weight for that is 0', () => {
    const [{ endpoint }] = read({ checks: { a: 'warning' }, weights: { Warning: 0 } }).hosts;
    expect([endpoint.health, endpoint.weight]).toEqual(['unhealthy', 1]);
  });

  it.each([
    ['its own', {}, '', '10.0.0.1', '10.0.0.1:8080'],
    ['its node’s without its own', {}, '', '', '10.9.9.9:8080'],
    ['a tagged one', {}, 'wan', '10.0.0.1', '198.51.100.1:80'],
    [
      'a tagged one of its node',
      { service: { TaggedAddresses: {} } },
      'wan',
      '10.0.0.1',
      '198.51.100.9:8080',
    ],
    ['its own without such a tag', {}, 'lan_ipv6', '10.0.0.1', '10.0.0.1:8080'],
    ['one of IPv6', {}, '', '2001:db8::1', '[2001:db8::1]:8080'],
  ])('has an address: %s', (_, parts, taggedAddress, address, expected) => {
    expect(read(parts, { taggedAddress }, address).hosts[0].endpoint.address).toBe(expected);
  });

  it.each([
    [
      'a name',
      {},
      'web\n.example',
      /instance web-web\?.example has the address "web\?.example", which is no IP/,
    ],
    ['no port', { port: 0 }, '10.0.0.1', /instance web-10.0.0.1 has no port/],
    ['a port beyond', { port: 70_000 }, '10.0.0.1', /has no port/],
  ])('is left out with %s', (_, parts, address, reason) => {
    const { hosts, omitted, reason: why } = read(parts, {}, address);
    expect([hosts, omitted]).toEqual([[], 1]);
    expect(why).toMatch(reason);
  });
});

it('makes valid hosts of any JSON, or says why not', () => {
  const names = [
    'Node',
    'Service',
    'Checks',
    'Address',
    'Port',
    'Weights',
    'Passing',
    'Meta',
    'Status',
    'ID',
  ];
  const leaf = fc.oneof(
    fc.constantFrom('10.0.0.1', '::1', 'passing', 80, 0, -1, null, true),
    fc.string(),
    fc.double(),
  );
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof({ maxDepth: 5 }, leaf, tie('list'), tie('object')),
    list: fc.array(tie('value'), { maxLength: 4 }),
    object: fc.dictionary(fc.constantFrom(...names), tie('value'), { maxKeys: 6 }),
  }));
  fc.assert(
    fc.property(fc.oneof(value, fc.array(value), fc.jsonValue()), (json) => {
      if (!Array.isArray(json)) return;
      const { hosts, omitted } = readInstances(json, { ...OPTIONS, taggedAddress: 'Address' }, 100);
      expect(hosts.length + omitted).toBe(json.length);
      for (const { endpoint } of hosts) {
        expect(Address.parse(endpoint.address)?.text).toBe(endpoint.address);
        expect(Number.isInteger(endpoint.weight) && endpoint.weight >= 1).toBe(true);
      }
    }),
  );
});

describe('an index', () => {
  it.each([
    [0n, '5', 5n],
    [5n, '5', 5n],
    [5n, '9', 9n],
    [9n, '5', 0n],
    [0n, '0', 1n],
    [1n, '0', 1n],
    [9n, '0', 0n],
    [0n, '', 1n],
    [0n, '-3', 1n],
    [0n, '1e9', 1n],
    [9007199254740993n, '9007199254740994', 9007199254740994n],
  ])('after %s and "%s" is %s', (previous, header, next) => {
    expect(nextIndex(previous, header)).toBe(next);
  });

  it('says nothing of age without headers, or with ones that make no sense', () => {
    expect(staleness({}, 0)).toBeUndefined();
    expect(staleness({ 'x-consul-lastcontact': 'soon' }, 0)).toBeUndefined();
    expect(staleness({ 'x-consul-lastcontact': ['9', '9'] }, 0)).toBeUndefined();
    expect(staleness({ 'x-consul-knownleader': 'true', 'x-consul-lastcontact': '1' }, 0)).toMatch(/1 ms ago/);
  });
});
