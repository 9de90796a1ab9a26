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
      overprovisioningFactor: 200,
      localities: [
        {
          locality: { region: 'r', zone: 'z', subZone: 's' },
          weight: 3,
          priority: 1,
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

  const one = (lbEndpoint: object) => ({ endpoints: [{ lb_endpoints: [lbEndpoint] }] });
  const at = 'load_assignment.endpoints[0].lb_endpoints[0]';
  it.each<[string, object, string]>([
    [
      'named endpoints',
      { named_endpoints: { a: { address: socket('10.0.0.1') } } },
      'load_assignment.named_endpoints',
    ],
    ['an endpoint by name', one({ endpoint_name: 'a' }), `${at}.endpoint_name`],
    [
      'drop_overloads',
      { policy: { drop_overloads: [{ category: 'x' }] } },
      'load_assignment.policy.drop_overloads',
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
