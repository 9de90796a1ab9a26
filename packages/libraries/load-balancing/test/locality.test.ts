import { LocalityLbConfigSchema, readLoose } from '@dragoman/api';
import { expect, it } from 'vitest';
import { DEFAULT_LOCALITY_ROUTING, readLocalityRouting } from '../src/index.ts';

it.each([
  [{ locality_weighted_lb_config: {} }, { kind: 'weighted' }],
  [{ zone_aware_lb_config: {} }, DEFAULT_LOCALITY_ROUTING],
  [
    { zone_aware_lb_config: { routing_enabled: { value: 12.5 }, min_cluster_size: 3 } },
    { ...DEFAULT_LOCALITY_ROUTING, routingEnabled: 12.5, minClusterSize: 3 },
  ],
  [
    { zone_aware_lb_config: { routing_enabled: { value: 0 }, min_cluster_size: 0 } },
    { ...DEFAULT_LOCALITY_ROUTING, routingEnabled: 0, minClusterSize: 0 },
  ],
  [
    { zone_aware_lb_config: { fail_traffic_on_panic: true } },
    { ...DEFAULT_LOCALITY_ROUTING, failTrafficOnPanic: true },
  ],
  [
    { zone_aware_lb_config: { force_local_zone: {} } },
    { ...DEFAULT_LOCALITY_ROUTING, forceLocalZoneMinSize: 1 },
  ],
  [
    { zone_aware_lb_config: { force_local_zone: { min_size: 4 } } },
    { ...DEFAULT_LOCALITY_ROUTING, forceLocalZoneMinSize: 4 },
  ],
  [
    { zone_aware_lb_config: { force_locality_direct_routing: true } },
    { ...DEFAULT_LOCALITY_ROUTING, forceLocalZoneMinSize: 1 },
  ],
  [
    { zone_aware_lb_config: { locality_basis: 'HEALTHY_HOSTS_WEIGHT' } },
    { ...DEFAULT_LOCALITY_ROUTING, basis: 'weights' },
  ],
])('%j', (config, routing) => {
  expect(readLocalityRouting(readLoose(LocalityLbConfigSchema, config))).toEqual(routing);
});

it('is zone-aware with the defaults of Envoy when nothing is said', () => {
  expect(readLocalityRouting(undefined)).toEqual({
    kind: 'zone-aware',
    routingEnabled: 100,
    minClusterSize: 6,
    failTrafficOnPanic: false,
    forceLocalZoneMinSize: undefined,
    basis: 'hosts',
  });
});
