import {
  type LocalityLbConfig,
  LocalityLbConfig_ZoneAwareLbConfig_LocalityBasis as LocalityBasis,
} from '@dragoman/api';
import type { LocalityRouting } from '@dragoman/core';

/** Envoy's defaults of `ZoneAwareLbConfig`. */
const DEFAULT_ROUTING_ENABLED = 100;
const DEFAULT_MIN_CLUSTER_SIZE = 6;
const DEFAULT_FORCE_MIN_SIZE = 1;

/** What a policy without `locality_lb_config` has. */
export const DEFAULT_LOCALITY_ROUTING: LocalityRouting = {
  kind: 'zone-aware',
  routingEnabled: DEFAULT_ROUTING_ENABLED,
  minClusterSize: DEFAULT_MIN_CLUSTER_SIZE,
  failTrafficOnPanic: false,
  forceLocalZoneMinSize: undefined,
  basis: 'hosts',
};

/** Reads `locality_lb_config` of a policy. */
export function readLocalityRouting(config: LocalityLbConfig | undefined): LocalityRouting {
  const specifier = config?.localityConfigSpecifier;
  if (specifier?.case === 'localityWeightedLbConfig') return { kind: 'weighted' };
  if (specifier?.case !== 'zoneAwareLbConfig') return DEFAULT_LOCALITY_ROUTING;
  const zone = specifier.value;
  const forced = zone.forceLocalZone !== undefined || zone.forceLocalityDirectRouting;
  return {
    kind: 'zone-aware',
    routingEnabled: zone.routingEnabled?.value ?? DEFAULT_ROUTING_ENABLED,
    minClusterSize: Number(zone.minClusterSize ?? DEFAULT_MIN_CLUSTER_SIZE),
    failTrafficOnPanic: zone.failTrafficOnPanic,
    forceLocalZoneMinSize: forced ? (zone.forceLocalZone?.minSize ?? DEFAULT_FORCE_MIN_SIZE) : undefined,
    basis: zone.localityBasis === LocalityBasis.HEALTHY_HOSTS_WEIGHT ? 'weights' : 'hosts',
  };
}
