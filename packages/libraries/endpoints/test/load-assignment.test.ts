import { ClusterSchema, readLoose } from '@dragoman/api';
import { Address, ConfigError } from '@dragoman/core';
import { describe, expect, it } from 'vitest';
import { endpointAt, readLoadAssignment } from '../src/index.ts';

const read = (assignment: object) =>
  readLoadAssignment(
    readLoose(ClusterSchema, { name: 'web', load_assignment: { cluster_name: 'web', ...assignment } }),
  );
const socket = (address: string, port = 80) => ({
  socket_address: { address, port_value: port },
});

/** Each one with a category and a percentage, unless it says otherwise. */
const drops = (...overloads: object[]) => ({
  policy: {
    drop_overloads: overloads.map((over) => ({
      category: 'lb',
      drop_percentage: { numerator: 1 },
      ...over,
    })),
  },
});

describe('readLoadAssignment', () => {
  it('reads addresses, weights, health, names and metadata', () => {
    const found = read({
      endpoints: [
        {
          locality: { region: 'r', zone: 'z', sub_zone: 's' },
          load_balancing_weight: 3,
          priority: 1,
          lb_endpoints: [
            {
              endpoint: { address: socket('10.0.0.1', 8080), hostname: 'a.example' },
              load_balancing_weight: 7,
              health_status: 'DRAINING',
              metadata: { filter_metadata: { 'envoy.lb': { canary: true } } },
            },
            { endpoint: { address: { pipe: { path: '/run/b.sock' } } } },
          ],
        },
      ],
      policy: { overprovisioning_factor: 200 },
    });
    expect(found).toEqual({
      policy: { overprovisioningFactor: 200 },
      staleAfterMs: 0,
      localities: [
        {
          locality: { region: 'r', zone: 'z', subZone: 's' },
          weight: 3,
          priority: 1,
          path: 'load_assignment.endpoints[0]',
          endpoints: [
            {
              host: '10.0.0.1',
              port: 8080,
              pipe: '',
              path: 'load_assignment.endpoints[0].lb_endpoints[0].endpoint.address',
              healthCheckPort: 0,
              data: {
                hostname: 'a.example',
                weight: 7,
                health: 'draining',
                metadata: { 'envoy.lb': { canary: true } },
              },
            },
            {
              host: '',
              port: 0,
              pipe: '/run/b.sock',
              path: 'load_assignment.endpoints[0].lb_endpoints[1].endpoint.address',
              healthCheckPort: 0,
              data: { hostname: '', weight: 1 },
            },
          ],
        },
      ],
    });
  });

  it('has no hosts without load_assignment', () => {
    expect(readLoadAssignment(readLoose(ClusterSchema, { name: 'web' })).localities).toEqual([]);
  });

  it.each([
    ['UNKNOWN', undefined],
    ['HEALTHY', undefined],
    ['UNHEALTHY', 'unhealthy'],
    ['DRAINING', 'draining'],
    ['TIMEOUT', 'timeout'],
    ['DEGRADED', 'degraded'],
  ])('takes health_status %s for %s', (status, health) => {
    const found = read({
      endpoints: [{ lb_endpoints: [{ endpoint: { address: socket('::1') }, health_status: status }] }],
    });
    expect(found.localities[0].endpoints[0].data.health).toBe(health);
  });

  it('reads what is said of all hosts together', () => {
    const percent = (numerator: number, denominator: string) =>
      read(drops({ drop_percentage: { numerator, denominator } })).policy;
    expect(percent(1, 'HUNDRED')).toEqual({ dropOverload: { category: 'lb', ratio: 0.01 } });
    expect(percent(1, 'TEN_THOUSAND')).toEqual({ dropOverload: { category: 'lb', ratio: 0.0001 } });
    expect(percent(1_000_000, 'MILLION')).toEqual({ dropOverload: { category: 'lb', ratio: 1 } });
    expect(percent(0, 'MILLION')).toEqual({});
    expect(read({ policy: { weighted_priority_health: true } }).policy).toEqual({
      weightedPriorityHealth: true,
    });
  });

  it('finds endpoints by name, and in the newer list', () => {
    const found = read({
      named_endpoints: { a: { address: socket('10.0.0.1'), hostname: 'a.example' } },
      endpoints: [
        {
          load_balancer_endpoints: {
            lb_endpoints: [
              { endpoint_name: 'a', load_balancing_weight: 3 },
              { endpoint: { address: socket('10.0.0.2') } },
            ],
          },
        },
      ],
    });
    const { endpoints } = found.localities[0];
    expect(endpoints.map(({ host, data }) => [host, data.hostname, data.weight])).toEqual([
      ['10.0.0.1', 'a.example', 3],
      ['10.0.0.2', '', 1],
    ]);
  });

  const one = (lbEndpoint: object) => ({ endpoints: [{ lb_endpoints: [lbEndpoint] }] });
  const at = 'load_assignment.endpoints[0].lb_endpoints[0]';
  it.each<[string, object, string]>([
    ['a name that is not there', one({ endpoint_name: 'a' }), `${at}.endpoint_name`],
    ['a name of every object', one({ endpoint_name: 'constructor' }), `${at}.endpoint_name`],
    [
      'a wrong endpoint with a name',
      { named_endpoints: { a: { address: socket('') } }, ...one({ endpoint_name: 'a' }) },
      'load_assignment.named_endpoints["a"].address.socket_address.address',
    ],
    ['two categories', drops({}, {}), 'load_assignment.policy.drop_overloads'],
    ['no category', drops({ category: '' }), 'load_assignment.policy.drop_overloads[0].category'],
    [
      'more than all',
      drops({ drop_percentage: { numerator: 101 } }),
      'load_assignment.policy.drop_overloads[0].drop_percentage',
    ],
    [
      'an unknown denominator',
      drops({ drop_percentage: { numerator: 1, denominator: 3 } }),
      'load_assignment.policy.drop_overloads[0].drop_percentage.denominator',
    ],
    [
      'factor 0',
      { policy: { overprovisioning_factor: 0 } },
      'load_assignment.policy.overprovisioning_factor',
    ],
    [
      'a time to live',
      { policy: { endpoint_stale_after: '1s' } },
      'load_assignment.policy.endpoint_stale_after',
    ],
    [
      'two lists of endpoints',
      {
        endpoints: [
          {
            lb_endpoints: [{ endpoint: { address: socket('10.0.0.1') } }],
            load_balancer_endpoints: {},
          },
        ],
      },
      'load_assignment.endpoints[0].load_balancer_endpoints',
    ],
    ['no endpoint', one({}), at],
    ['no address', one({ endpoint: {} }), `${at}.endpoint.address`],
    [
      'an empty address',
      one({ endpoint: { address: socket('') } }),
      `${at}.endpoint.address.socket_address.address`,
    ],
    [
      'a port too large',
      one({ endpoint: { address: socket('10.0.0.1', 70_000) } }),
      `${at}.endpoint.address.socket_address.port_value`,
    ],
    [
      'UDP',
      one({ endpoint: { address: { socket_address: { address: '::1', protocol: 'UDP', port_value: 1 } } } }),
      `${at}.endpoint.address.socket_address.protocol`,
    ],
    [
      'a named port',
      one({ endpoint: { address: { socket_address: { address: '::1', named_port: 'http' } } } }),
      `${at}.endpoint.address.socket_address.named_port`,
    ],
    [
      'a relative pipe',
      one({ endpoint: { address: { pipe: { path: 'x.sock' } } } }),
      `${at}.endpoint.address.pipe.path`,
    ],
    [
      'an internal address',
      one({ endpoint: { address: { envoy_internal_address: { server_listener_name: 'x' } } } }),
      `${at}.endpoint.address.envoy_internal_address`,
    ],
    [
      'more addresses',
      one({
        endpoint: { address: socket('10.0.0.1'), additional_addresses: [{ address: socket('10.0.0.2') }] },
      }),
      `${at}.endpoint.additional_addresses`,
    ],
    [
      'a name where health checks go',
      one({ endpoint: { address: socket('10.0.0.1'), health_check_config: { address: socket('web') } } }),
      `${at}.endpoint.health_check_config.address.socket_address.address`,
    ],
    [
      'weight 0',
      one({ endpoint: { address: socket('10.0.0.1') }, load_balancing_weight: 0 }),
      `${at}.load_balancing_weight`,
    ],
    ['priority 128', { endpoints: [{ priority: 128 }] }, 'load_assignment.endpoints[0].priority'],
    [
      'LEDS',
      { endpoints: [{ leds_cluster_locality_config: {} }] },
      'load_assignment.endpoints[0].leds_cluster_locality_config',
    ],
  ])('refuses %s by its path', (_name, assignment, path) => {
    let error: unknown;
    try {
      read(assignment);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as ConfigError).problems.map((problem) => problem.path)).toEqual([path]);
  });

  it('knows where health checks go', () => {
    const found = (health_check_config: object) => {
      const [group] = read(
        one({ endpoint: { address: socket('10.0.0.1'), health_check_config } }),
      ).localities;
      return endpointAt(group.endpoints[0], Address.ip('10.0.0.1', 80));
    };
    expect(found({ port_value: 9 }).healthCheckAddress).toBe('10.0.0.1:9');
    expect(found({ address: socket('10.0.0.2', 7) }).healthCheckAddress).toBe('10.0.0.2:7');
    expect(found({ hostname: 'a', disable_active_health_check: true })).toEqual({
      address: '10.0.0.1:80',
      hostname: '',
      weight: 1,
      healthCheckHostname: 'a',
      noHealthCheck: true,
    });
  });

  it('reports every problem, not only the first', () => {
    expect(() => read({ endpoints: [{ lb_endpoints: [{}, { endpoint: {} }] }] })).toThrow(
      /lb_endpoints\[0\][\s\S]*lb_endpoints\[1\]/,
    );
  });
});
