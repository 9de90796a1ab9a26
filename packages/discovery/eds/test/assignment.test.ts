import { ClusterLoadAssignmentSchema, fromBinary, toBinary } from '@dragoman/api';
import { ConfigError, type EndpointData } from '@dragoman/core';
import { lbEndpoint } from '@dragoman/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toAssignment } from '../src/assignment.ts';
import { toHostList } from '../src/host-list.ts';
import { assignment, EdsScene, group } from './support.ts';

const hostsOf = (fields: object) =>
  toHostList(
    toAssignment(assignment(fields), { serviceName: 'web', local: false }),
    ({ endpoints }) => endpoints,
  );

describe('an assignment becomes hosts', () => {
  it('with all that it says of them', () => {
    const list = hostsOf({
      named_endpoints: { db: { address: { pipe: { path: '/run/db.sock' } } } },
      endpoints: [
        {
          locality: { region: 'r', zone: 'z', sub_zone: 's' },
          load_balancing_weight: 7,
          lb_endpoints: [
            {
              endpoint: {
                ...lbEndpoint('10.0.0.1', 8080).endpoint,
                hostname: 'a.example',
                health_check_config: { port_value: 9, hostname: 'check', disable_active_health_check: true },
              },
              health_status: 'DEGRADED',
              load_balancing_weight: 3,
              metadata: { filter_metadata: { 'envoy.lb': { canary: true } } },
            },
          ],
        },
        { priority: 2, lb_endpoints: [{ endpoint_name: 'db' }] },
      ],
      policy: { overprovisioning_factor: 200, weighted_priority_health: true },
    });
    expect(list).toEqual({
      overprovisioningFactor: 200,
      weightedPriorityHealth: true,
      localities: [
        {
          locality: { region: 'r', zone: 'z', subZone: 's' },
          weight: 7,
          priority: 0,
          endpoints: [
            {
              address: '10.0.0.1:8080',
              hostname: 'a.example',
              weight: 3,
              health: 'degraded',
              metadata: { 'envoy.lb': { canary: true } },
              healthCheckAddress: '10.0.0.1:9',
              healthCheckHostname: 'check',
              noHealthCheck: true,
            },
          ],
        },
        {
          locality: { region: '', zone: '', subZone: '' },
          weight: 0,
          priority: 2,
          endpoints: [{ address: '/run/db.sock', hostname: '', weight: 1 }],
        },
      ],
    });
  });

  it.each<[string, EndpointData['health']]>([
    ['UNKNOWN', undefined],
    ['HEALTHY', undefined],
    ['UNHEALTHY', 'unhealthy'],
    ['DRAINING', 'draining'],
    ['TIMEOUT', 'timeout'],
    ['DEGRADED', 'degraded'],
  ])('%s', (health_status, health) => {
    const list = hostsOf({ endpoints: [{ lb_endpoints: [{ ...lbEndpoint('::1'), health_status }] }] });
    expect(list.localities[0].endpoints[0].health).toBe(health);
  });

  it('the first of those with one address, wherever the others are', () => {
    const list = hostsOf({
      endpoints: [group(['10.0.0.1', '10.0.0.1']), group(['10.0.0.2', '10.0.0.1'], { priority: 1 })],
    });
    expect(list.localities.map(({ endpoints }) => endpoints.map(({ address }) => address))).toEqual([
      ['10.0.0.1:80'],
      ['10.0.0.2:80'],
    ]);
  });

  it('entries of one locality and priority are one, with the last weight', () => {
    const zone = (name: string, address: string, fields: object = {}) =>
      group([address], { locality: { zone: name }, ...fields });
    const list = hostsOf({
      endpoints: [
        zone('a', '10.0.0.1', { load_balancing_weight: 1 }),
        zone('b', '10.0.0.2', { load_balancing_weight: 2 }),
        zone('a', '10.0.0.3', { load_balancing_weight: 3 }),
        zone('a', '10.0.0.4'),
        zone('a', '10.0.0.5', { priority: 1 }),
      ],
    });
    expect(
      list.localities.map(({ locality, weight, priority, endpoints }) => [
        `${locality.zone}${priority}`,
        weight,
        endpoints.length,
      ]),
    ).toEqual([
      ['a0', 3, 3],
      ['b0', 2, 1],
      ['a1', 0, 1],
    ]);
  });
});

describe('refused', () => {
  const one = (lbEndpoint: object) => ({ endpoints: [{ lb_endpoints: [lbEndpoint] }] });
  const at = 'web: endpoints[0].lb_endpoints[0]';
  const leds = (config: object, more: object = {}) => ({
    endpoints: [{ leds_cluster_locality_config: config, ...more }],
  });
  const ads = { leds_config: { ads: {} }, leds_collection_name: 'xdstp://a/b/c/*' };

  it.each<[string, object, string]>([
    ['another cluster', { cluster_name: 'x' }, 'web: cluster_name'],
    ['a name', one(lbEndpoint('web.example')), `${at}.endpoint.address.socket_address.address`],
    ['no endpoint', one({}), at],
    ['an unknown name', one({ endpoint_name: 'x' }), `${at}.endpoint_name`],
    ['weight 0', one({ ...lbEndpoint('::1'), load_balancing_weight: 0 }), `${at}.load_balancing_weight`],
    ['priority 128', { endpoints: [{ priority: 128 }] }, 'web: endpoints[0].priority'],
    ['proximity', { endpoints: [{ proximity: 1 }] }, 'web: endpoints[0].proximity'],
    [
      'more addresses',
      one({
        endpoint: { ...lbEndpoint('::1').endpoint, additional_addresses: [lbEndpoint('::2').endpoint] },
      }),
      `${at}.endpoint.additional_addresses`,
    ],
    ['a time of nothing', { policy: { endpoint_stale_after: '0s' } }, 'web: policy.endpoint_stale_after'],
    [
      'two categories',
      { policy: { drop_overloads: [{ category: 'a' }, { category: 'b' }] } },
      'web: policy.drop_overloads',
    ],
    [
      'a collection beside endpoints',
      leds(ads, group(['::1'])),
      'web: endpoints[0].leds_cluster_locality_config',
    ],
    [
      'a collection without a source',
      leds({ ...ads, leds_config: undefined }),
      'web: endpoints[0].leds_cluster_locality_config.leds_config',
    ],
    [
      'a collection of no xdstp name',
      leds({ ...ads, leds_collection_name: 'x' }),
      'web: endpoints[0].leds_cluster_locality_config.leds_collection_name',
    ],
  ])('%s', async (_name, fields, path) => {
    const scene = new EdsScene().begin();
    const error: unknown = await scene.assign(fields).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as ConfigError).problems.map((problem) => problem.path)).toEqual([path]);
    expect([scene.updates, scene.subscriptions.active.length]).toEqual([[], 1]);
  });

  it('is more than one assignment', async () => {
    const scene = new EdsScene().begin();
    await expect(scene.server.resources({ web: assignment(), other: assignment() })).rejects.toThrow(
      'web: came with 1 others',
    );
  });

  it('tells a few of ten thousand problems', async () => {
    const scene = new EdsScene().begin();
    const addresses = Array.from({ length: 10_000 }, (_, index) => `host-${index}`);
    const error: unknown = await scene
      .assign({ endpoints: [group(addresses)] })
      .catch((caught: unknown) => caught);
    expect((error as ConfigError).problems).toHaveLength(11);
    expect((error as ConfigError).message).toMatch(
      /^web: endpoints\[0\]\.lb_endpoints\[0\]\.endpoint\.address[^\n]*"host-0" is not an IP address[\s\S]*\nand 9990 more problems$/,
    );
  });
});

it('ten thousand times the same endpoint is one host', async () => {
  const scene = new EdsScene().begin();
  await scene.assign({ endpoints: [group(new Array<string>(10_000).fill('10.0.0.1'))] });
  expect(scene.addresses).toEqual(['10.0.0.1:80']);
});

describe('any assignment within limits', () => {
  const address = fc.oneof(fc.ipV4(), fc.ipV6());
  const port = fc.integer({ min: 0, max: 65_535 });
  const weight = fc.integer({ min: 1, max: 2 ** 32 - 1 });
  const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
  const text = fc.string({ maxLength: 5, unit: 'grapheme' });
  const endpoint = fc.record({
    endpoint: fc.record({
      address: fc
        .tuple(address, port)
        .map(([ip, port_value]) => ({ socket_address: { address: ip, port_value } })),
      hostname: text,
      health_check_config: optional(
        fc.record({ port_value: port, hostname: text, disable_active_health_check: fc.boolean() }),
      ),
    }),
    health_status: fc.constantFrom('UNKNOWN', 'HEALTHY', 'UNHEALTHY', 'DRAINING', 'TIMEOUT', 'DEGRADED'),
    load_balancing_weight: optional(weight),
    metadata: optional(
      fc.record({ filter_metadata: fc.dictionary(text, fc.dictionary(text, fc.constantFrom(1, 'x', null))) }),
    ),
  });
  const locality = fc.record({
    locality: optional(fc.record({ region: text, zone: text, sub_zone: text })),
    load_balancing_weight: optional(weight),
    priority: fc.integer({ min: 0, max: 127 }),
    lb_endpoints: fc.array(endpoint, { maxLength: 6 }),
  });
  const anyAssignment = fc.record({
    endpoints: fc.array(locality, { maxLength: 6 }),
    policy: optional(
      fc.record({
        overprovisioning_factor: optional(weight),
        weighted_priority_health: fc.boolean(),
        endpoint_stale_after: optional(fc.integer({ min: 1, max: 10 ** 9 }).map((s) => `${s}s`)),
        drop_overloads: fc.array(
          fc.record({
            category: fc.constant('lb'),
            drop_percentage: fc.record({
              numerator: fc.integer({ min: 0, max: 100 }),
              denominator: fc.constantFrom('HUNDRED', 'TEN_THOUSAND', 'MILLION'),
            }),
          }),
          { maxLength: 1 },
        ),
      }),
    ),
  });

  it('is taken, with each address once', async () => {
    await fc.assert(
      fc.asyncProperty(anyAssignment, async (fields) => {
        const scene = new EdsScene().begin();
        // As it comes over the wire.
        const bytes = toBinary(ClusterLoadAssignmentSchema, assignment(fields));
        const message = fromBinary(ClusterLoadAssignmentSchema, bytes);
        await scene.server.resources({ web: message });
        const wanted = new Set(
          fields.endpoints.flatMap(({ lb_endpoints }) =>
            lb_endpoints.map(({ endpoint: { address } }) => JSON.stringify(address)),
          ),
        );
        const { addresses } = scene;
        expect(new Set(addresses).size).toBe(addresses.length);
        expect(addresses.length).toBeLessThanOrEqual(wanted.size);
        if (wanted.size > 0) expect(addresses).not.toEqual([]);
        await scene.server.resources({ web: message });
        expect(scene.updates).toHaveLength(1);
        scene.discovery.stop();
      }),
      { numRuns: 100 },
    );
  });

  it('bytes that are anything else are refused, or taken, and never fail otherwise', async () => {
    await fc.assert(
      fc.asyncProperty(anyAssignment, fc.nat(), fc.nat(255), async (fields, at, byte) => {
        const bytes = toBinary(ClusterLoadAssignmentSchema, assignment(fields));
        bytes[at % bytes.length] = byte;
        let message: unknown;
        try {
          message = fromBinary(ClusterLoadAssignmentSchema, bytes);
        } catch {
          return;
        }
        const scene = new EdsScene().begin();
        const error: unknown = await scene.server
          .resources({ web: message })
          .catch((caught: unknown) => caught);
        if (error !== undefined) expect(error).toBeInstanceOf(ConfigError);
        scene.discovery.stop();
      }),
      { numRuns: 200 },
    );
  });
});
