import { ClusterSchema, readLoose } from '@dragoman/api';
import type { DiscoveryContext, HostListUpdate } from '@dragoman/core';
import { lbEndpoint } from '@dragoman/testing';
import { describe, expect, it } from 'vitest';
import { staticDiscovery } from '../src/index.ts';

function discover(assignment: object): HostListUpdate[] {
  const cluster = readLoose(ClusterSchema, {
    name: 'web',
    load_assignment: { cluster_name: '', ...assignment },
  });
  const updates: HostListUpdate[] = [];
  const discovery = staticDiscovery.create(cluster as never, {} as DiscoveryContext);
  discovery.start({
    onHosts: (update) => updates.push(update),
    onFailure: () => expect.unreachable('a list in the config cannot fail'),
  });
  discovery.stop();
  return updates;
}

describe('staticDiscovery', () => {
  it('publishes the endpoints once, while it starts', () => {
    const updates = discover({
      endpoints: [
        { locality: { zone: 'a' }, lb_endpoints: [lbEndpoint('10.0.0.1'), lbEndpoint('::1', 8080)] },
        { priority: 1, lb_endpoints: [{ endpoint: { address: { pipe: { path: '@abstract' } } } }] },
      ],
      policy: { overprovisioning_factor: 150 },
    });
    expect(updates).toEqual([
      {
        overprovisioningFactor: 150,
        localities: [
          {
            locality: { region: '', zone: 'a', subZone: '' },
            weight: 0,
            priority: 0,
            endpoints: [
              { address: '10.0.0.1:80', hostname: '', weight: 1 },
              { address: '[::1]:8080', hostname: '', weight: 1 },
            ],
          },
          {
            locality: { region: '', zone: '', subZone: '' },
            weight: 0,
            priority: 1,
            endpoints: [{ address: '@abstract', hostname: '', weight: 1 }],
          },
        ],
      },
    ]);
  });

  it('publishes an empty list for an empty cluster', () => {
    expect(discover({})).toEqual([{ localities: [] }]);
  });

  it('gives plain data, which can cross threads', () => {
    const [update] = discover({
      endpoints: [
        {
          lb_endpoints: [
            { ...lbEndpoint('10.0.0.1'), metadata: { filter_metadata: { a: { b: [1, null] } } } },
          ],
        },
      ],
    });
    expect(structuredClone(update)).toEqual(update);
  });

  it('refuses every name, and says what takes names', () => {
    expect(() =>
      discover({
        endpoints: [
          { lb_endpoints: [lbEndpoint('web.example'), lbEndpoint('10.0.0.1'), lbEndpoint('b.example')] },
        ],
      }),
    ).toThrow(/lb_endpoints\[0\].*"web.example" is not an IP address.*STRICT_DNS[\s\S]*lb_endpoints\[2\]/);
  });
});
