import { KubernetesCluster_AddressFamily as Family } from '@dragoman/api';
import { Address } from '@dragoman/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type HostOptions, hostsOf } from '../src/hosts.ts';
import { readEvent, readPage } from '../src/slices.ts';
import { endpoint, list, type SliceParts, slice } from './support/slices.ts';

const OPTIONS: HostOptions = {
  portName: undefined,
  portNumber: undefined,
  family: Family.V4_PREFERRED,
  includeNotReady: false,
  region: '',
};

function read(slices: readonly object[], options: Partial<HostOptions> = {}) {
  const page = readPage(JSON.parse(JSON.stringify(list(slices))));
  return hostsOf(new Map(page.slices.map((one) => [one.name, one])), { ...OPTIONS, ...options });
}

const addresses = (slices: readonly object[], options: Partial<HostOptions> = {}) =>
  read(slices, options).hosts.map((host) => host.endpoint.address);

it('makes a host of an endpoint, with its place and what is behind it', () => {
  const one = endpoint('10.0.0.1', { zone: 'eu-1b', hostname: 'web-0' });
  expect(read([slice('web-1', [one])], { region: 'eu-1' }).hosts).toEqual([
    {
      locality: { region: 'eu-1', zone: 'eu-1b', subZone: '' },
      endpoint: {
        address: '10.0.0.1:8080',
        hostname: 'web-0',
        weight: 1,
        metadata: { 'dragoman.clusters.kubernetes': { kind: 'Pod', name: 'web-10.0.0.1', node: 'node-1' } },
      },
    },
  ]);
});

it.each([
  ['ready', { ready: true }, 'healthy', 'healthy'],
  [
    'of unknown state',
    { ready: undefined, serving: undefined, terminating: undefined },
    'healthy',
    'healthy',
  ],
  [
    'ready, though terminating (publishNotReadyAddresses)',
    { ready: true, terminating: true },
    'healthy',
    'healthy',
  ],
  [
    'terminating and still serving',
    { ready: false, serving: true, terminating: true },
    'draining',
    'draining',
  ],
  ['terminating and done', { ready: false, serving: false, terminating: true }, 'none', 'unhealthy'],
  ['not ready', { ready: false }, 'none', 'unhealthy'],
  ['serving, not ready and not terminating', { ready: false, serving: true }, 'none', 'unhealthy'],
])('an endpoint that is %s', (_, conditions, usually, included) => {
  const one = { ...endpoint('10.0.0.1'), conditions };
  const health = (includeNotReady: boolean) =>
    read([slice('web-1', [one])], { includeNotReady }).hosts.map(
      ({ endpoint }) => endpoint.health ?? 'healthy',
    )[0] ?? 'none';
  expect([health(false), health(true)]).toEqual([usually, included]);
});

describe('the port', () => {
  const ports = [
    { name: 'http', port: 8080, protocol: 'TCP' },
    { name: 'metrics', port: 9090 },
    { name: 'dns', port: 53, protocol: 'UDP' },
  ];
  it.each([
    ['by name', ports, { portName: 'metrics' }, '10.0.0.1:9090'],
    ['by number', ports, { portNumber: 8080 }, '10.0.0.1:8080'],
    ['the only one of TCP', [ports[0], ports[2]], {}, '10.0.0.1:8080'],
    ['the only one, without a name', [{ name: '', port: 7000 }], {}, '10.0.0.1:7000'],
    ['by number, of a slice of every port', [{ name: '' }], { portNumber: 5 }, '10.0.0.1:5'],
    [
      'of two',
      ports,
      {},
      /has 2 TCP ports; say which with port_name or port_number: http 8080, metrics 9090/,
    ],
    [
      'by a name it has not',
      ports,
      { portName: 'grpc' },
      /no TCP port named grpc; it has: http 8080, metrics 9090/,
    ],
    ['by a name that is not of TCP', ports, { portName: 'dns' }, /no TCP port named dns/],
    ['by a number it has not', ports, { portNumber: 80 }, /no TCP port 80; it has: http 8080/],
    ['of none', null, {}, /has 0 TCP ports.*none/],
    ['of every port', [{ name: 'x' }], { portName: 'x' }, /"every port"; give port_number/],
    ['out of range', [{ name: 'x', port: 70_000 }], {}, /port out of range/],
  ])('%s', (_, given, options, expected) => {
    const parts: SliceParts = { ports: given };
    const { hosts, omitted, reason } = read([slice('web-1', [endpoint('10.0.0.1')], parts)], options);
    if (typeof expected === 'string') {
      expect(hosts.map((host) => host.endpoint.address)).toEqual([expected]);
    } else {
      expect([hosts, omitted]).toEqual([[], 1]);
      expect(reason).toMatch(expected);
    }
  });

  it('may be another one in each slice', () => {
    const old = slice('web-1', [endpoint('10.0.0.1')], { ports: [{ name: 'http', port: 80 }] });
    expect(addresses([old, slice('web-2', [endpoint('10.0.0.2')])], { portName: 'http' })).toEqual([
      '10.0.0.1:80',
      '10.0.0.2:8080',
    ]);
  });
});

describe('the family', () => {
  const v4 = slice('web-1', [endpoint('10.0.0.1')]);
  const v6 = slice('web-2', [endpoint('2001:db8::1')], { addressType: 'IPv6' });
  it.each([
    ['IPv4 of both', [v4, v6], Family.V4_PREFERRED, ['10.0.0.1:8080']],
    ['IPv6 when there is nothing else', [v6], Family.V4_PREFERRED, ['[2001:db8::1]:8080']],
    ['IPv4 also when it is empty', [slice('web-1', null), v6], Family.V4_PREFERRED, []],
    ['IPv4 only', [v6], Family.V4_ONLY, []],
    ['IPv6 only', [v4, v6], Family.V6_ONLY, ['[2001:db8::1]:8080']],
    ['all', [v4, v6], Family.ALL, ['10.0.0.1:8080', '[2001:db8::1]:8080']],
  ])('%s', (_, slices, family, expected) => {
    expect(addresses(slices, { family })).toEqual(expected);
  });

  it('has no place for names, which is said', () => {
    const names = slice('web-3', [endpoint('db.example')], { addressType: 'FQDN' });
    const { hosts, omitted, reason } = read([v4, names]);
    expect([hosts.length, omitted]).toEqual([1, 1]);
    expect(reason).toMatch(/slice web-3 holds addresses of type FQDN, not IPs/);
  });
});

it.each(['', 'localhost', '10.0.0.256', '::1', '10.0.0.1\r\nx'])('leaves out the address %j', (address) => {
  const { hosts, omitted, reason } = read([slice('web-1', [endpoint(address), endpoint('10.0.0.1')])]);
  expect([hosts.length, omitted]).toEqual([1, 1]);
  expect(reason).toMatch(/IPv4 address that is none/);
});

it('reads any JSON as hosts that are valid, or says why not', () => {
  const names = [
    ...['kind', 'items', 'metadata', 'type', 'object', 'name', 'resourceVersion', 'continue', 'addressType'],
    ...[
      'endpoints',
      'addresses',
      'conditions',
      'ready',
      'ports',
      'port',
      'protocol',
      'targetRef',
      '__proto__',
    ],
  ];
  const kinds = [
    'EndpointSlice',
    'EndpointSliceList',
    'ADDED',
    'BOOKMARK',
    'DELETED',
    'ERROR',
    'IPv4',
    'IPv6',
    'TCP',
  ];
  const leaf = fc.oneof(
    fc.constantFrom(...kinds, '10.0.0.1', '::1', 80, 0, null, true, false),
    fc.string(),
    fc.double(),
  );
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof({ maxDepth: 6 }, leaf, tie('list'), tie('object')),
    list: fc.array(tie('value'), { maxLength: 4 }),
    object: fc.dictionary(fc.constantFrom(...names), tie('value'), { maxKeys: 8 }),
  }));
  const slices = fc.record({
    metadata: fc.constant({ name: 'x', resourceVersion: '1' }),
    addressType: fc.constantFrom('IPv4', 'IPv6', 'FQDN'),
    endpoints: fc.oneof(
      value,
      fc.array(fc.record({ addresses: fc.array(value), conditions: value, zone: value })),
    ),
    ports: fc.oneof(value, fc.array(fc.record({ name: value, port: value }))),
  });
  const lists = fc.record({
    kind: fc.constant('EndpointSliceList'),
    metadata: fc.constant({ resourceVersion: '1' }),
    items: fc.array(slices),
  });
  fc.assert(
    fc.property(fc.oneof(value, lists, fc.jsonValue()), (json) => {
      for (const reader of [readEvent, readPage]) {
        let found: ReturnType<typeof readPage> | ReturnType<typeof readEvent>;
        try {
          found = reader(json);
        } catch (error) {
          expect((error as Error).message).toMatch(/^(is|has|holds) /);
          continue;
        }
        if (!('slices' in found)) continue;
        const byName = new Map(found.slices.map((one, index) => [`${index}`, one]));
        const { hosts } = hostsOf(byName, { ...OPTIONS, family: Family.ALL, includeNotReady: true });
        for (const { endpoint: host } of hosts) expect(Address.parse(host.address)?.text).toBe(host.address);
      }
    }),
  );
});
